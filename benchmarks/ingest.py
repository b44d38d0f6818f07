"""Spans and log records per CPU-second of the whole server, beside rotel and beside the pure-Python engine.

    python -m benchmarks.ingest [--out FOLDER] [--rotel PATH] [--quick] [--seed N] [--rounds N]

needs `pip install '.[bench]'`. One run starts `foreshock serve` with each engine and rotel (the Rust collector of the
wheel `rotel`, with the exporter that drops everything), and sends each the same bodies from the same client, in turns:
A B C, B C A, ... so that the machine's drift meets all alike. Loads are made by `benchmarks.otlp_bodies`: gzip protobuf,
requests of 512 records with 1 % and 10 % errors, over HTTP and gRPC, and requests of one record.

Foreshock runs as users run it: defaults, windows on, 8 partitions, every answer after a flush to disk, ticks each minute.
CPU is that of all processes and threads of a receiver (`benchmarks.processes`), from the first request of a round until
it has absorbed all of it, waiting included. What a receiver uses in the time in which others are measured (ticks,
checkpoints, idling), as a share of one core, is added to every round of it; a tick that falls into a round counts twice so.
Every body is unique: Foreshock would otherwise count it once and do little.

At the end every record sent must be counted in `/metrics` and stand in a window of the data folder, and no limit, late
window, repeat or survived fault may have spared it work; the result says so, and the exit code is 1 if not.
Kernel threads that write to disk for a receiver are in no process and so not counted; rotel writes nothing.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from app.settings import IngestSettings
from benchmarks.ingest_report import Round, machine, plot, summary, table, write_csv
from benchmarks.ingest_truth import faults_of, windows_of
from benchmarks.otlp_bodies import Body, Template, bodies, templates
from benchmarks.otlp_clients import Protocol, send
from benchmarks.processes import Receiver, find_rotel, foreshock, rotel

__all__ = ["LOADS", "Load", "main"]

_TICK_S = 60.0


@dataclass(frozen=True, slots=True)
class Load:
    """One kind of request.

    Parameters
    ----------
    protocol : str
        `http` or `grpc`.
    signal : str
        `traces` or `logs`.
    n_records : int
        Records a request.
    errors : float
        Share of them that failed.
    """

    protocol: Protocol
    signal: str
    n_records: int
    errors: float

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"{self.protocol} {self.signal} {self.n_records} x {self.errors:.0%}"


LOADS = (
    Load("http", "traces", 512, 0.01),
    Load("http", "traces", 512, 0.10),
    Load("grpc", "traces", 512, 0.01),
    Load("grpc", "traces", 512, 0.10),
    Load("http", "logs", 512, 0.01),
    Load("http", "logs", 512, 0.10),
    Load("grpc", "logs", 512, 0.01),
    Load("http", "traces", 1, 0.01),
    Load("grpc", "traces", 1, 0.01),
    Load("http", "logs", 1, 0.01),
)
_QUICK = LOADS[:3]


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is sent."""

    loads: tuple[Load, ...]
    rounds: int
    large: int
    small: int
    connections: int
    seed: int

    def requests(self, load: Load) -> int:
        """Return the requests of one round."""
        return self.large if load.n_records > 1 else self.small


class Run:
    """The receivers of one run, and what was measured of them."""

    def __init__(self, receivers: Sequence[Receiver], plan: Plan) -> None:
        self.receivers = receivers
        self.plan = plan
        self.rounds: list[Round] = []
        self.sent: dict[str, Counter[str]] = {r.name: Counter() for r in receivers}
        self.quiet: dict[str, list[float]] = {r.name: [0.0, 0.0] for r in receivers}  # CPU and wall seconds
        self._left = {r.name: (r.cpu_s(), time.perf_counter()) for r in receivers}
        self._bodies = np.random.default_rng(plan.seed)

    def go(self) -> None:
        """Warm every receiver up with every load, then measure round by round."""
        forms = {load: self._forms(load) for load in self.plan.loads}
        for load, made in forms.items():
            self._round(load, made, -1, max(self.plan.requests(load) // 10, 16))
        self.quiet = {name: [0.0, 0.0] for name in self.quiet}
        for load, made in forms.items():
            for number in range(self.plan.rounds):
                self._round(load, made, number, self.plan.requests(load))
            print(f"{time.strftime('%H:%M:%S')} {load.name}", file=sys.stderr)

    def upkeep(self) -> dict[str, float]:
        """Return the share of one core that each receiver uses while it gets nothing."""
        return {name: cpu / wall for name, (cpu, wall) in self.quiet.items()}

    def _forms(self, load: Load) -> list[Template]:
        return templates(load.signal, load.n_records, load.errors, random.Random(self.plan.seed))

    def _round(self, load: Load, forms: list[Template], number: int, n: int) -> None:
        made = bodies(forms, n, self._bodies, time.time_ns())
        turn = number % len(self.receivers)
        for receiver in [*self.receivers[turn:], *self.receivers[:turn]]:
            measured = self._measure(receiver, load, number, made)
            if number >= 0:
                self.rounds.append(measured)

    def _measure(self, receiver: Receiver, load: Load, number: int, made: Sequence[Body]) -> Round:
        cpu, wall = receiver.cpu_s(), time.perf_counter()
        left_cpu, left_wall = self._left[receiver.name]
        self.quiet[receiver.name][0] += cpu - left_cpu
        self.quiet[receiver.name][1] += wall - left_wall
        sent = send(receiver.address, load.protocol, load.signal, made, self.plan.connections)
        receiver.settled()
        used, until = receiver.cpu_s() - cpu, time.perf_counter()
        n_records = sum(body.n_records for body in made)
        self.sent[receiver.name][load.signal] += n_records
        p50, p99 = np.quantile(sent.answers_s, (0.5, 0.99)).tolist()
        self._left[receiver.name] = (receiver.cpu_s(), time.perf_counter())
        rss = receiver.rss_bytes() / 2**20
        return Round(load.name, receiver.name, number, len(made), n_records, used, until - wall, p50, p99, rss)


def start(asked: argparse.Namespace, folder: Path, until: ExitStack) -> list[Receiver]:
    """Start every receiver that there is, rotel last."""
    engines = ["c", "python"] if "engine" in IngestSettings.model_fields else [""]
    if "c" in engines and importlib.util.find_spec("app.ingest._scan") is None:
        print("the C scanner is not built: only the Python engine is measured", file=sys.stderr)
        engines.remove("c")
    receivers: list[Receiver] = []
    for engine in engines:
        name = f"foreshock {engine}".strip()
        receivers.append(foreshock(name, folder / (engine or "own"), {"FORESHOCK_INGEST__ENGINE": engine} if engine else {}))
        until.callback(receivers[-1].stop)
    receivers.append(rotel(find_rotel(asked.rotel), folder / "rotel"))
    until.callback(receivers[-1].stop)
    return receivers


def verify(run: Run) -> dict[str, list[str]]:
    """Wait for a tick, end every Foreshock, and return what speaks against its measurement."""
    found: dict[str, list[str]] = {}
    for receiver in run.receivers:
        if receiver.folder is None:
            continue
        sent = run.sent[receiver.name]
        deadline = time.monotonic() + _TICK_S + 5
        while "no tick passed" in (faults := faults_of(receiver.metrics(), sent)) and time.monotonic() < deadline:
            time.sleep(0.5)
        receiver.stop()
        inside = windows_of(receiver.folder)
        faults += [f"{inside[s]} records of {s} stand in windows, {n} sent" for s, n in sent.items() if inside[s] != n]
        found[receiver.name] = faults
    return found


def main() -> int:
    """Measure, verify, print and write."""
    parser = argparse.ArgumentParser(description="Records per CPU-second of the whole server, beside rotel.")
    parser.add_argument("--out", type=Path, help="folder for ingest.json, ingest.csv, ingest.svg and ingest.png")
    parser.add_argument("--rotel", type=Path, help="path of rotel-agent, otherwise the installed wheel's")
    parser.add_argument("--quick", action="store_true", help="three loads, two rounds: about a minute")
    parser.add_argument("--rounds", type=int, help="times each load is measured")
    parser.add_argument("--requests", type=int, help="requests of 512 records a round; five times as many of one record")
    parser.add_argument("--connections", type=int, default=16, help="each with one request under way")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="loads whose name holds this")
    asked = parser.parse_args()
    large = asked.requests or (300 if asked.quick else 800)
    loads = tuple(load for load in (_QUICK if asked.quick and not asked.only else LOADS) if asked.only in load.name)
    plan = Plan(loads, asked.rounds or (3 if asked.quick else 7), large, 5 * large, asked.connections, asked.seed)
    with tempfile.TemporaryDirectory(dir=asked.out if asked.out and asked.out.is_dir() else None) as name, ExitStack() as until:
        run = Run(start(asked, Path(name), until), plan)
        run.go()
        faults = verify(run)
    rows, where = summary(run.rounds, run.upkeep(), "rotel"), machine(asked.rotel)
    result = {
        "command": " ".join(sys.argv),
        "plan": asdict(plan),
        "machine": where,
        "upkeep": run.upkeep(),
        "faults": faults,
        "summary": [asdict(row) for row in rows],
        "rounds": [asdict(one) for one in run.rounds],
    }
    print(table(rows, run.upkeep(), faults))
    if asked.out:
        asked.out.mkdir(parents=True, exist_ok=True)
        (asked.out / "ingest.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        write_csv(run.rounds, asked.out / "ingest.csv")
        plot(rows, where, asked.out)
    return int(any(faults.values()))


if __name__ == "__main__":
    sys.exit(main())
