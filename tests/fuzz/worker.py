"""One process of the fuzzing: makes bodies, reads each with both engines, and keeps those that they read differently.

`tests.fuzz` starts it with the checked scanner and the sanitizer's library in place. What it is at stands in a file that
outlives it (`Slate`), so that the input that kills it is known. Prints one line of JSON at its end.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import hashlib
import json
import mmap
import random
import signal as signals
import struct
import sys
import time
from collections import Counter
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from tests.fuzz.memory import Sanitizer, Starving, leaks

__all__ = ["Slate", "Totals", "load_scanner", "main"]

SLOWEST_S = 10.0
"""CPU seconds after which an input counts as a hang. Guessed: a thousand times what the largest one needs."""

_HEAD = struct.Struct("<QQQQ32s")
_ROOM = 1 << 24
_KEPT = 3
_SEEDS = 250
_RENEWED_EVERY = 5000
_WEIGHED_EVERY = 97
_LARGE_EVERY = 500
_LARGE = (30_000,) * 8 + (300_000,) * 3 + (1_200_000,)
_STARVED_EVERY = 13
_WEIGHED_STARVING = 0.1
_WITHOUT_MEMORY = ("raised MemoryError", "raised SystemError: error return without exception set")
"""The second is CPython 3.11's own: `raise ... from None` gives it, too, without any C of ours. A C function that fails without
saying why reads otherwise ("returned NULL without setting an exception")."""


@dataclass(slots=True)
class Totals:
    """What a run came to.

    Parameters
    ----------
    inputs, accepted, refused : int
        Bodies read by both, by how both ended.
    weighed : int
        Bodies that were read again and again to see whether the heap grows.
    starved : int
        Bodies that were read while an allocation failed.
    found : dict of str to int
        Findings by what they are.
    slowest_s : float
        The longest that the scanner took for one body, under the sanitizers.
    slowest_bytes : int
        The size of that body.
    """

    inputs: int = 0
    accepted: int = 0
    refused: int = 0
    weighed: int = 0
    starved: int = 0
    found: dict[str, int] = field(default_factory=dict[str, int])
    slowest_s: float = 0.0
    slowest_bytes: int = 0

    def add(self, other: Totals) -> None:
        """Add another process's totals."""
        self.inputs += other.inputs
        self.accepted += other.accepted
        self.refused += other.refused
        self.weighed += other.weighed
        self.starved += other.starved
        self.found = dict(Counter(self.found) + Counter(other.found))
        if other.slowest_s > self.slowest_s:
            self.slowest_s, self.slowest_bytes = other.slowest_s, other.slowest_bytes


class Slate:
    """A file that holds the counts and the body at hand, and still holds them when the process is gone.

    Parameters
    ----------
    path : Path
        Made if absent.
    """

    def __init__(self, path: Path) -> None:
        with path.open("a+b") as file:
            file.truncate(_ROOM)
            self._map = mmap.mmap(file.fileno(), _ROOM)

    def note(self, totals: Totals, name: str, body: bytes) -> None:
        """Write down the counts and the body that is about to be read."""
        _HEAD.pack_into(self._map, 0, totals.inputs, totals.accepted, totals.refused, len(body), name.encode())
        kept = body[: _ROOM - _HEAD.size]
        self._map[_HEAD.size : _HEAD.size + len(kept)] = kept

    def read(self) -> tuple[Totals, str, bytes]:
        """Return what was noted last."""
        inputs, accepted, refused, size, name = _HEAD.unpack_from(self._map, 0)
        body = bytes(self._map[_HEAD.size : _HEAD.size + size])
        return Totals(inputs, accepted, refused), bytes(name).rstrip(b"\0").decode(), body


def load_scanner(library: Path) -> None:
    """Put a build of the scanner in the place of the installed one, before anything imports that."""
    name = "app.ingest._scan"
    spec = spec_from_file_location(name, library, loader=ExtensionFileLoader(name, str(library)))
    if spec is None or spec.loader is None:
        raise SystemExit(f"{library} is no extension module")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[name] = module


def save(folder: Path, kind: str, name: str, body: bytes, said: str) -> None:
    """Keep a body that was found, and what is wrong with it beside it."""
    stem = f"{kind}-{name}-{hashlib.sha256(body).hexdigest()[:10]}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{stem}.bin").write_bytes(body)
    (folder / f"{stem}.txt").write_text(said + "\n", encoding="utf-8")


class Run:
    """The two engines, the seeds and what came of them.

    Parameters
    ----------
    rng : random.Random
        Where every choice comes from.
    slate : Slate
        Where the body at hand is noted.
    found : Path
        Folder of the bodies that were found.
    starving : Starving
        Makes allocations fail.
    checked : bool
        Whether the scanner was built under sanitizers; otherwise the heap is not weighed and ends are not guarded.
    """

    def __init__(self, rng: random.Random, slate: Slate, found: Path, starving: Starving, *, checked: bool) -> None:
        # Imported here, after `load_scanner`.
        from app.ingest.otlp import decoder  # noqa: PLC0415
        from tests.fuzz import compare, mutate, seeds  # noqa: PLC0415

        self.rng, self.slate, self.found, self.starving = rng, slate, found, starving
        self.compare, self.mutate, self.seeds = compare, mutate, seeds
        self.in_c, self.in_python = decoder("c"), decoder("python")
        self.sanitizer = Sanitizer() if checked else None
        self.totals = Totals()
        self.corpus = {name: [seeds.request(rng, name) for _ in range(_SEEDS)] for name in seeds.REQUESTS}

    def differs(self, body: bytes, signal: str, limits: str) -> str:
        """Read a body with both engines and return where they differ."""
        bounds = self.compare.LIMITS[limits]
        began = time.process_time()
        with self.sanitizer.guarded(body) if self.sanitizer is not None else nullcontext(body) as exact:
            ours = self.compare.outcome(self.in_c, exact, signal, bounds)
        took = time.process_time() - began
        if took > self.totals.slowest_s:
            self.totals.slowest_s, self.totals.slowest_bytes = took, len(body)
        theirs = self.compare.outcome(self.in_python, body, signal, bounds)
        if ours == self.compare.REFUSED:
            self.totals.refused += 1
        else:
            self.totals.accepted += 1
        return self.compare.difference(ours, theirs)

    def one(self) -> None:
        """Make one body, read it, and keep it if that shows something."""
        signal = self.rng.choice(("traces", "traces", "logs"))
        limits = self.rng.choice(("usual", "usual", "tight", "none"))
        rarely = self.totals.inputs % _LARGE_EVERY == _LARGE_EVERY // 2
        bodies = [self.seeds.large(self.rng, signal, self.rng.choice(_LARGE))] if rarely else self.corpus[signal]
        body = self.mutate.mutant(self.rng, bodies, self.seeds.MESSAGES[signal])
        self.slate.note(self.totals, f"{signal}-{limits}", body)
        signals.setitimer(signals.ITIMER_PROF, SLOWEST_S)
        self.totals.inputs += 1
        said = self.differs(body, signal, limits)
        if said:
            self.keep(body, signal, limits, said)
        elif self.sanitizer is not None and self.totals.inputs % _WEIGHED_EVERY == 0:
            self.weigh(self.sanitizer, body, signal, limits)
        elif self.totals.inputs % _STARVED_EVERY == 0:
            self.starve(body, signal, limits)

    def weigh(self, sanitizer: Sanitizer, body: bytes, signal: str, limits: str) -> None:
        """Read a body again and again, and see whether the heap grows."""
        self.totals.weighed += 1
        bounds = self.compare.LIMITS[limits]
        if leaks(lambda: self.compare.outcome(self.in_c, body, signal, bounds), sanitizer.allocated):
            self.count("leak")
            save(self.found, "leak", f"{signal}-{limits}", body, "the heap grows by every call")

    def starve(self, body: bytes, signal: str, limits: str) -> None:
        """Read a body while one allocation fails: nothing may come of it but MemoryError, or what comes without."""
        self.totals.starved += 1
        own = self.rng.choice((-1, self.rng.randrange(12), self.rng.randrange(200)))
        python = self.rng.randrange(300) if own < 0 else -1
        bounds = self.compare.LIMITS[limits]

        def read() -> object:
            return self.starving.call(lambda: self.compare.outcome(self.in_c, body, signal, bounds), own=own, python=python)

        found = read()
        out_of_memory = found is None or (isinstance(found, str) and found.startswith(_WITHOUT_MEMORY))
        said = "" if out_of_memory else self.compare.difference(found, self.compare.outcome(self.in_c, body, signal, bounds))
        if (
            not said
            and self.sanitizer is not None
            and self.rng.random() < _WEIGHED_STARVING
            and leaks(read, self.sanitizer.allocated)
        ):
            said = "the heap grows by every call"
        if said:
            self.count("starved")
            save(
                self.found, "starved", f"{signal}-{limits}", body, f"allocation {own} (own) or {python} (Python) fails\n{said}"
            )

    def count(self, what: str) -> None:
        """Count a finding."""
        self.totals.found[what] = self.totals.found.get(what, 0) + 1

    def keep(self, body: bytes, signal: str, limits: str, said: str) -> None:
        """Count a difference, and keep the first bodies of its kind, made small."""
        what = said.partition(": ")[0] if not said.startswith("outcome") else said[:60]
        key = f"{signal} {what}"
        self.count(key)
        if self.totals.found[key] > _KEPT:
            return
        signals.setitimer(signals.ITIMER_PROF, 100 * SLOWEST_S)
        before = (self.totals.accepted, self.totals.refused)
        small = self.compare.shrink(body, lambda smaller: self.differs(smaller, signal, limits).startswith(what))
        said = self.differs(small, signal, limits)
        self.totals.accepted, self.totals.refused = before
        save(self.found, "differs", f"{signal}-{limits}", small, f"C / Python\n{said}\nbody {small.hex()}")

    def renew(self) -> None:
        """Put fresh requests in the place of some seeds."""
        for name, bodies in self.corpus.items():
            for _ in range(_SEEDS // 5):
                bodies[self.rng.randrange(_SEEDS)] = self.seeds.request(self.rng, name)


def replay(run: Run, paths: list[Path]) -> bool:
    """Read kept bodies again, say what both engines make of them, and return whether any still shows something."""
    wrong = False
    for path in paths:
        _, signal, limits, _ = path.stem.split("-")
        said = run.differs(path.read_bytes(), signal, limits)
        sys.stdout.write(f"{path.name}: {said or 'the same from both'}\n")
        wrong = wrong or bool(said)
    return wrong


def main(arguments: list[str]) -> None:
    """Fuzz for a while, or read kept bodies again."""
    parser = argparse.ArgumentParser(prog="tests.fuzz.worker")
    parser.add_argument("--library", type=Path, required=True)
    parser.add_argument("--slate", type=Path, required=True)
    parser.add_argument("--found", type=Path, required=True)
    parser.add_argument("--checked", action="store_true", help="the library was built under sanitizers")
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--seed", default="1")
    parser.add_argument("replayed", type=Path, nargs="*")
    options = parser.parse_args(arguments)
    load_scanner(options.library)
    # CPU time, so that a busy machine makes no hangs; the default action behind the trace ends the process.
    faulthandler.enable()
    faulthandler.register(signals.SIGPROF, chain=True)
    run = Run(
        random.Random(options.seed), Slate(options.slate), options.found, Starving(options.library), checked=options.checked
    )
    if options.replayed:
        sys.exit(replay(run, options.replayed))
    # What lives until the end is not looked through again; a collection in the middle of a body would count as the body's time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000)
    until = time.monotonic() + options.seconds
    while time.monotonic() < until:
        run.one()
        if run.totals.inputs % _RENEWED_EVERY == 0:
            run.renew()
    signals.setitimer(signals.ITIMER_PROF, 0)
    sys.stdout.write(json.dumps(asdict(run.totals)) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
