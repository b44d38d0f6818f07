"""Foreshock under twice the load that it can take: what it accepts, what it refuses, and whether what it accepted counts.

    python -m benchmarks.overload [--seconds 600] [--rate-factor 2] [--data FOLDER] [--out FILE] [--seed N]

needs `pip install '.[bench]'`. A real `foreshock serve` with default settings over a new folder is measured first: 32
connections that wait for each answer, requests of 512 spans with 1 % errors over HTTP with gzip, until all is absorbed.
Then it is offered that rate times the factor for the given time by a process that slows down for no answer and sends
nothing again (`benchmarks.overload_load`), which shares the machine's cores with it.

It fails (exit code 1) when

- a request ended by anything but 200, 429 or 503 (a connection lost, no answer within 30 s), or found all of the sender's
  2,048 connections busy, four times as many as the requests that may be under way;
- a record that was acknowledged is missing or there twice: in `/metrics`, or in the windows of the data folder, where the
  spans and errors of each service must be those of the requests that were answered with 200;
- `/metrics` shows a survived fault, a repeat, a late window, a rejected record, or a limit that cut something: a limit may
  have refused whole requests (`REFUSALS`), nothing else;
- memory is not flat: of five equal parts of the load the median of the resident memory of the server's process tree in the
  last is more than 5 % above that in the second. The first is warm-up; a median, since rows that wait for history and are
  written every minute or five make a saw-tooth.

Nothing is asked of the latency of accepted requests, which is told. Progress and the table go to standard error, a line for
each tenth of the load; the JSON, with every second, to standard output. When it fails, the server's log is kept and named.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ingest_report import machine
from benchmarks.ingest_truth import faults_of, services_of
from benchmarks.overload_load import N_SPANS
from benchmarks.processes import Receiver, foreshock

__all__ = ["REFUSALS", "main"]

REFUSALS = ("calls", "lag", "in_flight_bytes", "tenant_in_flight_bytes", "log_bytes")
"""Limits that refuse whole requests because of the load, as `foreshock_limited_total` names them."""

_MAY_COME = {"200", "429", "503"}
_PARTS = 5  # of the load, whose second is compared with the last
_PROGRESS_S = 10
_FLAT = 0.05
_CLOSED_LOOP = 32  # connections that find out what it can take
_OPEN_LOOP = 2048  # of a sender that slows down for nobody, as many exporters would be
_ABSORBED_S = 1200.0
_TICK_S = 65.0

Seconds = list[dict[str, Any]]


def load(receiver: Receiver, asked: Mapping[str, float], seconds: Seconds) -> dict[str, Any]:
    """Run the sender, note each second with what the server uses, and return what the sender says at its end."""
    words = [f"{asked[key]:g}" for key in ("seconds", "rate", "connections", "seed")]
    command = [sys.executable, "-m", "benchmarks.overload_load", str(receiver.address.http), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sender:
        assert sender.stdout is not None
        for line in sender.stdout:
            told = json.loads(line)
            if "ended" in told:
                return told["ended"]
            if len(seconds) % _PROGRESS_S == 0:
                told["behind"] = receiver.behind()
            used = {"rss_mib": round(receiver.rss_bytes() / 2**20, 1), "disk_mib": round(disk_bytes(receiver) / 2**20, 1)}
            seconds.append(told | used | {"cpu_s": round(receiver.cpu_s(), 2)})
            if len(seconds) % _PROGRESS_S == 0:
                _say(f"{told['second']:g} s: {told['codes']}, p99 {told.get('p99_ms', 0):g} ms, {used['rss_mib']:g} MiB")
    raise RuntimeError(f"the sender ended with {sender.returncode}")


def disk_bytes(receiver: Receiver) -> int:
    """Return the size of all files in the server's folder."""
    assert receiver.folder is not None
    total = 0
    for path in receiver.folder.rglob("*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:  # it was removed meanwhile
            continue
    return total


def absorbed(receiver: Receiver) -> float:
    """Wait until the worker has absorbed what is in the log, and return how long that took."""
    begun = time.monotonic()
    while True:
        try:
            receiver.settled()
        except TimeoutError:
            if time.monotonic() > begun + _ABSORBED_S:
                raise
        else:
            return time.monotonic() - begun


def memory(seconds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return how resident memory went after the warm-up: between two parts of the load, and along a fitted line."""
    at, rss = (np.array([one[key] for one in seconds]) for key in ("second", "rss_mib"))
    parts = [float(np.median(part)) for part in np.array_split(rss, _PARTS)]
    kept = len(rss) // _PARTS
    slope = float(np.polyfit(at[kept:], rss[kept:], 1)[0])
    told = {"second_fifth_mib": parts[1], "last_fifth_mib": parts[-1], "rise": parts[-1] / parts[1] - 1}
    return told | {"slope_mib_a_minute": slope * 60, "highest_mib": float(rss.max())}


def cost(seconds: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return what a second of the load took: CPU time of the server, and disk, most of it the log of a day."""
    first, last = seconds[0], seconds[-1]
    took = last["second"] - first["second"]
    mib, cpu_s = ((last[key] - first[key]) / took for key in ("disk_mib", "cpu_s"))
    return {"disk_mib_a_s": mib, "cpu_s_a_s": cpu_s, "most_behind": max(one.get("behind", 0) for one in seconds)}


def verdict(run: Mapping[str, Any]) -> Iterator[str]:
    """Yield what speaks against the run."""
    codes: Mapping[str, int] = run["ended"]["codes"]
    yield from (f"{n} requests ended by {code!r}" for code, n in codes.items() if code not in _MAY_COME)
    if run["memory"]["rise"] > _FLAT:
        yield f"memory rose by {run['memory']['rise']:.1%} from the second to the last fifth, more than {_FLAT:.0%}"
    for service in sorted({*run["acknowledged"], *run["counted"]}):
        wanted, found = run["acknowledged"].get(service, {}), run["counted"].get(service, {})
        for what in ("spans", "errors"):
            if wanted.get(what, 0) != found.get(what, 0):
                yield f"{service}: {found.get(what, 0)} {what} in windows, {wanted.get(what, 0)} acknowledged"
    yield from run["faults"]


def measure(receiver: Receiver, asked: argparse.Namespace) -> dict[str, Any]:
    """Find out what the server can take, offer it more, and gather what it counted."""
    _say("what it can take")
    told = {"seconds": asked.capacity_seconds / 3, "rate": 0.0, "connections": _CLOSED_LOOP, "seed": 10 * asked.seed}
    phases = [load(receiver, told, [])]  # warms up
    absorbed(receiver)
    told |= {"seconds": asked.capacity_seconds, "seed": told["seed"] + 2}
    phases.append(load(receiver, told, []))
    taken = phases[-1]["codes"]["200"] / (asked.capacity_seconds + absorbed(receiver))
    _say(f"{taken:.0f} requests/s; {asked.rate_factor:g} times as many for {asked.seconds:g} s")
    seconds: Seconds = []
    told |= {"seconds": asked.seconds, "connections": _OPEN_LOOP, "seed": told["seed"] + 2}
    phases.append(load(receiver, told | {"rate": taken * asked.rate_factor}, seconds))
    run = {"requests_a_s": taken, "spans_a_s": taken * N_SPANS, "offered_requests_a_s": taken * asked.rate_factor}
    run |= {"ended": phases[-1], "behind_s": absorbed(receiver), "memory": memory(seconds), "cost": cost(seconds)}
    spans = Counter[str]()
    errors = Counter[str]()
    for phase in phases:
        for service, held in phase["acknowledged"].items():
            spans[service] += held["spans"]
            errors[service] += held["errors"]
    acknowledged = {service: {"spans": spans[service], "errors": errors[service]} for service in spans}
    return run | {"acknowledged": acknowledged, "seconds": seconds}


def counted(receiver: Receiver, n_spans: int) -> tuple[list[str], dict[str, dict[str, int]]]:
    """End the server; return what speaks against its metrics, and what stands in its windows."""
    deadline = time.monotonic() + _TICK_S
    sent = {"traces": n_spans}
    while "no tick passed" in (faults := faults_of(receiver.metrics(), sent, REFUSALS)) and time.monotonic() < deadline:
        time.sleep(0.5)
    receiver.stop()
    assert receiver.folder is not None
    _say("counting what stands in its windows")
    return faults, services_of(receiver.folder)


def table(seconds: Sequence[Mapping[str, Any]]) -> str:
    """Return a line for each tenth of the load."""
    lines = [
        f"{'second':>8} {'offered/s':>10} {'200/s':>8} {'429+503/s':>10} {'p50 ms':>8} {'p99 ms':>8} {'RSS MiB':>8} {'disk MiB':>9}"
    ]
    step = max(len(seconds) // 10, 1)
    for place in range(0, len(seconds), step):
        part = seconds[place : place + step]
        codes = sum((Counter(one["codes"]) for one in part), Counter[str]())
        n, last = len(part), part[-1]
        p50, p99 = (float(np.median([one.get(key, 0.0) for one in part])) for key in ("p50_ms", "p99_ms"))
        rates = f"{sum(one['offered'] for one in part) / n:>10.0f} {codes['200'] / n:>8.0f} {(codes['429'] + codes['503']) / n:>10.0f}"
        lines.append(f"{last['second']:>8.0f} {rates} {p50:>8.1f} {p99:>8.1f} {last['rss_mib']:>8.0f} {last['disk_mib']:>9.0f}")
    return "\n".join(lines)


def main() -> int:
    """Measure, compare, print."""
    parser = argparse.ArgumentParser(description="Foreshock under more load than it can take.")
    parser.add_argument("--seconds", type=float, default=600.0, help="of the load")
    parser.add_argument("--rate-factor", type=float, default=2.0, help="the load, as a multiple of what it can take")
    parser.add_argument("--capacity-seconds", type=float, default=15.0, help="for finding out what it can take")
    parser.add_argument("--data", type=Path, help="new folder for the server's data, kept; otherwise a temporary one")
    parser.add_argument("--out", type=Path, help="file for the JSON, otherwise standard output")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that the server ends with it
    with ExitStack() as until:
        folder = asked.data or Path(until.enter_context(tempfile.TemporaryDirectory())) / "overload"
        failed = until.push(lambda kind, *_: _keep(folder / "foreshock.log") if kind else None)
        receiver = foreshock("foreshock", folder, {})
        until.callback(receiver.stop)
        run = measure(receiver, asked)
        faults, found = counted(receiver, sum(held["spans"] for held in run["acknowledged"].values()))
        run |= {"faults": faults, "counted": found}
        against = list(verdict(run))
        if against:
            failed(RuntimeError)
    result = {"command": " ".join(sys.argv), "seed": asked.seed, "machine": machine(None), "against": against, **run}
    print(table(run["seconds"]), summary(run), *against, sep="\n", file=sys.stderr)
    text = json.dumps(result, indent=1)
    if asked.out:
        asked.out.write_text(text + "\n", encoding="utf-8")
    else:
        print(text)
    return int(bool(against))


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def _keep(log: Path) -> None:
    """Copy the server's log to where it outlives the data, and show its end."""
    if log.is_file():
        kept = Path(tempfile.mkdtemp(prefix="overload-")) / log.name
        shutil.copyfile(log, kept)
        _say(f"the server's log is {kept}; its end:\n" + log.read_text(errors="replace")[-2000:])


def summary(run: Mapping[str, Any]) -> str:
    """Return what it came to, in four lines."""
    ended, used, spent = run["ended"], run["memory"], run["cost"]
    codes = ", ".join(f"{n} x {code}" for code, n in sorted(ended["codes"].items()))
    spans = sum(held["spans"] for held in run["acknowledged"].values())
    return (
        f"can take {run['spans_a_s']:,.0f} spans/s, was offered {run['offered_requests_a_s'] * N_SPANS:,.0f}; answered {codes}\n"
        f"accepted requests: p50 {ended.get('p50_ms', 0):g} ms, p99 {ended.get('p99_ms', 0):g} ms; "
        f"{spans:,} spans acknowledged in all, absorbed {run['behind_s']:.1f} s after the end\n"
        f"memory {used['second_fifth_mib']:.0f} MiB in the second fifth, {used['last_fifth_mib']:.0f} in the last "
        f"({used['rise']:+.1%}), highest {used['highest_mib']:.0f}, fitted {used['slope_mib_a_minute']:+.2f} MiB a minute\n"
        f"a second took {spent['cpu_s_a_s']:.2f} s of CPU (sender: {ended['cpu_s'] / run['seconds'][-1]['second']:.2f} s) and "
        f"{spent['disk_mib_a_s']:.1f} MiB of disk; the worker was {spent['most_behind']:.0f} messages behind at most"
    )


if __name__ == "__main__":
    sys.exit(main())
