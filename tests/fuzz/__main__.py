"""Fuzz the C scanner: ``python -m tests.fuzz --seconds 120 --seed 1 --workers 2``, or ``make fuzz``.

Builds the scanner under AddressSanitizer and UndefinedBehaviorSanitizer, starts workers with it and waits. Every crash, hang,
leak, or difference from the Python reader leaves its body under ``build/fuzz/found`` and makes the exit status 1;
``python -m tests.fuzz build/fuzz/found/*.bin`` reads them again. ``--coverage`` says instead which share of the scanner's lines
the same bodies reach.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.fuzz.build import FOLDER, ROOT, SANITIZERS, build, coverage, environment
from tests.fuzz.worker import Slate, Totals, save

__all__ = ["main"]

_SAY_EVERY_S = 60.0
_MOST_CRASHES = 50


class Worker:
    """A process that fuzzes, started again with another seed when a body kills it.

    Parameters
    ----------
    number : int
        Which worker of the run.
    start : callable
        Starts the process, given its slate's path, the seed's suffix and the seconds left.
    options : argparse.Namespace
        Of the command.
    """

    def __init__(
        self, number: int, start: Callable[[Path, str, float], subprocess.Popen[str]], options: argparse.Namespace
    ) -> None:
        self.number, self.start, self.options = number, start, options
        self.path = FOLDER / f"slate-{number}"
        self.path.unlink(missing_ok=True)
        self.slate = Slate(self.path)
        self.until = time.monotonic() + options.seconds
        self.totals = Totals()
        self.lives = 0
        self.process: subprocess.Popen[str] | None = None
        self.begin()

    def begin(self) -> None:
        """Start the process for the time that is left."""
        self.process = self.start(self.path, f"{self.number}.{self.lives}", self.until - time.monotonic())
        self.lives += 1

    def look(self) -> bool:
        """Return whether the worker is still at it; gather what an ended process left."""
        if self.process is None or self.process.poll() is None:
            return self.process is not None
        out, err = self.process.communicate()
        if self.process.returncode == 0:
            self.totals.add(Totals(**json.loads(out.splitlines()[-1])))
            self.process = None
            return False
        if self.process.returncode > 0:
            raise SystemExit(f"worker {self.number} failed by itself:\n{err}")
        self.bury(err)
        self.process = None
        if self.lives < _MOST_CRASHES and self.until - time.monotonic() > 1:
            self.begin()
        return self.process is not None

    def bury(self, said: str) -> None:
        """Keep the body that killed the process."""
        totals, name, body = self.slate.read()
        assert self.process is not None
        code = -self.process.returncode
        kind = "hang" if "Profiling" in said or code == 27 else "crash"  # 27: SIGPROF
        totals.found = {kind: 1}
        self.totals.add(totals)
        save(Path(self.options.found), kind, name or "start", body, f"status {code}\n{said[-8000:]}")

    def so_far(self) -> int:
        """Return how many bodies were read until now."""
        return self.totals.inputs + (self.slate.read()[0].inputs if self.process is not None else 0)


def fuzz(options: argparse.Namespace, library: Path) -> Totals:
    """Run the workers until the time is over, and return what they came to."""

    def start(slate: Path, suffix: str, seconds: float) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.fuzz.worker", "--library", str(library), "--slate", str(slate)]
        command += [] if options.coverage else ["--checked"]
        command += ["--found", options.found, "--seconds", str(seconds), "--seed", f"{options.seed}.{suffix}"]
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(counted=options.coverage),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    workers = [Worker(number, start, options) for number in range(options.workers)]
    began = said = time.monotonic()
    while any([worker.look() for worker in workers]):  # noqa: C419 -- every worker is looked at
        time.sleep(0.2)
        if time.monotonic() - said > _SAY_EVERY_S:
            said = time.monotonic()
            sys.stdout.write(f"{said - began:.0f} s: {sum(worker.so_far() for worker in workers)} inputs\n")
            sys.stdout.flush()
    totals = Totals()
    for worker in workers:
        totals.add(worker.totals)
    return totals


def report(options: argparse.Namespace, totals: Totals, took_s: float) -> str:
    """Return what a run came to, in words."""
    checks = "none (counting lines)" if options.coverage else SANITIZERS
    lines = [
        f"seed {options.seed}, {options.workers} worker(s), {took_s:.0f} s, sanitizers: {checks}",
        f"{totals.inputs} inputs ({totals.inputs / max(took_s, 1e-9):.0f} a second): accepted by both {totals.accepted}, "
        f"refused by both {totals.refused}; heap weighed for {totals.weighed}; "
        f"read while an allocation failed {totals.starved}",
        f"slowest: {1000 * totals.slowest_s:.1f} ms of CPU in the scanner for {totals.slowest_bytes} bytes",
    ]
    lines += [f"FOUND {number} x {what}" for what, number in sorted(totals.found.items())]
    lines += [coverage()] if options.coverage else []
    lines.append(f"bodies under {options.found}" if totals.found else "no crash, no hang, no leak, no difference")
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> None:
    """Build, fuzz and report; or read kept bodies again."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--found", default=str(FOLDER / "found"))
    parser.add_argument("--coverage", action="store_true")
    parser.add_argument("bodies", nargs="*")
    options = parser.parse_args(arguments)
    library = build(counted=options.coverage)
    if options.bodies:
        command = [
            sys.executable,
            "-m",
            "tests.fuzz.worker",
            "--library",
            str(library),
            "--slate",
            str(FOLDER / "slate-replay"),
        ]
        bodies = [str(Path(body).resolve()) for body in options.bodies]
        sys.exit(
            subprocess.run([*command, "--found", options.found, *bodies], cwd=ROOT, env=environment(), check=False).returncode
        )
    began = time.monotonic()
    totals = fuzz(options, library)
    sys.stdout.write(report(options, totals, time.monotonic() - began))
    sys.exit(bool(totals.found) or not totals.inputs)


if __name__ == "__main__":
    main(sys.argv[1:])
