"""Foreshock for hours at half of what it can take, with faults: whether anything grows, and whether everything is counted.

    python -m benchmarks.soak [--hours 1] [--seed 1] [--out build/soak]

or ``make soak HOURS=1``. A real `foreshock serve` over a new folder is measured first: 32 senders that wait for each answer, until all is
absorbed. Then `benchmarks.soak_load` offers half of that, numbered requests of 512 spans, each sent again until it is
acknowledged. Clocks of three in ten senders are off. Meanwhile, at moments that follow from the length of the run,

- the node is killed (SIGKILL) and started again, three times an hour and three times at least, all in the first half;
- the disk is kept busy by a program that writes and flushes beside it;
- one service fails in bursts, so that alerts fire, and the receiver of notices is away for a while.

Every five seconds memory, open files and threads of the process tree, the size of the log and of history, and the lag are noted. It
fails (exit code 1) when

- of memory, files, threads or the log's size the slope over the part after the last kill is above its bound beyond doubt
  (`benchmarks.soak_report.FLAT`);
- a service's spans or errors in history are not those that were acknowledged, or a request was never acknowledged;
- an alert fired and no notice of it came, once the receiver was back.

History grows by design until its retention; it is told and not judged. The log is kept for two minutes and checkpoints are made each
minute, so that an hour shows what a day would. `soak.json` and `soak.png` go to the folder.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx

from app.demo.ports import free_ports
from app.history.delta import DeltaHistory
from benchmarks.machine import machine
from benchmarks.soak_node import Inbox, Soaked, plan, say
from benchmarks.soak_report import FLAT, drift, growing, picture, slopes
from features.series import WHOLE

__all__ = ["main"]

_SAMPLE_S = 5.0
_CALIBRATED_S = 20.0
_CONNECTIONS = 32
_TICK_S = 60.0
_BURST = "burst"  # the service that fails now and then
_BURST_SPANS = 40

CONFIG = """
[store]
checkpoint_s = 60.0
log_retention_s = 120.0
[channels.soak]
kind = "webhook"
url = "http://127.0.0.1:{inbox}/alerts"
secrets = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]
[[alerts.routes]]
name = "soak"
on = "incident"
shadow = false
channels = ["soak"]
"""


def send_burst(run: Soaked, seed: int) -> None:
    """Send the service that fails now and then a few spans every sample, each again until it is acknowledged."""
    rng, url = random.Random(seed), f"http://127.0.0.1:{run.ports[0]}/v1/traces"
    with httpx.Client(timeout=10.0) as client:
        while not run.ended.wait(_SAMPLE_S):
            n_failed = _BURST_SPANS // 2 if run.failing else 0
            body = _burst(rng, n_failed)
            while True:
                try:
                    if client.post(url, json=body).status_code == 200:
                        break
                except httpx.HTTPError:
                    pass
                time.sleep(0.5)
            run.burst["spans"] += _BURST_SPANS
            run.burst["errors"] += n_failed


def _burst(rng: random.Random, n_failed: int) -> dict[str, Any]:
    now = time.time_ns()
    spans = [
        {
            "traceId": rng.randbytes(16).hex(),
            "spanId": rng.randbytes(8).hex(),
            "name": "POST /",
            "kind": 2,
            "startTimeUnixNano": str(now - 10**7),
            "endTimeUnixNano": str(now),
            "status": {"code": 2, "message": "no answer from the bank"} if k < n_failed else {},
        }
        for k in range(_BURST_SPANS)
    ]
    named = [{"key": "service.name", "value": {"stringValue": _BURST}}]
    return {"resourceSpans": [{"resource": {"attributes": named}, "scopeSpans": [{"spans": spans}]}]}


def load(run: Soaked, seconds: float, rate: float, seed: int, each: Callable[[Mapping[str, Any]], None]) -> dict[str, Any]:
    """Run the senders and return what they say at their end."""
    words = [str(run.ports[0]), f"{seconds:g}", f"{rate:g}", str(_CONNECTIONS), str(seed)]
    with subprocess.Popen([sys.executable, "-m", "benchmarks.soak_load", *words], stdout=subprocess.PIPE, text=True) as sender:
        assert sender.stdout is not None
        for line in sender.stdout:
            told = json.loads(line)
            if "ended" in told:
                return told["ended"]
            each(told)
    raise RuntimeError(f"the senders ended with {sender.returncode}")


def counted(folder: Path) -> dict[str, dict[str, int]]:
    """Return the spans and errors that stand in history, service by service."""
    table = DeltaHistory(folder / "data" / "history").read(
        "windows", columns=["service", "operation", "total", "inner", "errors"]
    )
    frame = table.to_pandas()
    whole = frame[frame["operation"] == WHOLE].drop(columns="operation")
    sums = whole.astype(dict.fromkeys(("total", "inner", "errors"), "float64")).groupby("service").sum()
    return {
        str(service): {"spans": round(row["total"] + row["inner"]), "errors": round(row["errors"])}
        for service, row in sums.iterrows()
    }


def soak(run: Soaked, seconds: float, seed: int) -> dict[str, Any]:
    """Find out what the node can take, offer half of it with faults, and gather what it counted."""
    run.start()
    run.begun = time.monotonic()
    warm = load(run, _CALIBRATED_S / 2, 0.0, seed, lambda _: None)
    run.absorbed()
    begun = time.monotonic()
    first = load(run, _CALIBRATED_S, 0.0, seed + 100, lambda _: None)
    run.absorbed()
    capacity = first["acknowledged"] / (time.monotonic() - begun)
    say(f"it can take {capacity:.0f} requests/s; half of that for {seconds:.0f} s")
    latency: list[Mapping[str, Any]] = []
    run.begun, todo, first_load = time.monotonic(), plan(seconds), os.getloadavg()
    threads = [threading.Thread(target=send_burst, args=(run, seed), daemon=True)]
    threads += [threading.Thread(target=_suffer, args=(run, one), daemon=True) for one in todo]
    threads.append(threading.Thread(target=_watch, args=(run,), daemon=True))
    for thread in threads:
        thread.start()
    ended = load(run, seconds, capacity / 2, seed + 200, latency.append)
    run.ended.set()
    for thread in threads:
        thread.join(120)
    run.absorbed()
    time.sleep(2 * _TICK_S + _SAMPLE_S)  # what came last is in windows that have ended, and their rows on their way
    fired = httpx.get(f"http://127.0.0.1:{run.ports[2]}/api/v1/alerts", params={"rule": "soak"}).json()["items"]
    run.node.stop()
    sent: dict[str, dict[str, int]] = {_BURST: run.burst}
    for phase in (warm, first, ended):
        for service, held in phase["services"].items():
            kept = sent.setdefault(service, {"spans": 0, "errors": 0})
            for what in kept:
                kept[what] += held[what]
    kills = [fault["at_s"] + fault["seconds"] for fault in run.faults if fault["kind"] == "kill"]
    steady = max(kills, default=0.0) + min(300.0, 0.1 * seconds)
    return {
        "load_average": [first_load, os.getloadavg()],
        "capacity_requests_a_s": round(capacity, 1), "offered_requests_a_s": round(capacity / 2, 1), "seconds": seconds,
        "load": {key: value for key, value in ended.items() if key != "services"}, "latency": latency, "sent": sent,
        "counted": counted(run.folder), "fired": len(fired), "notices": len(run.inbox.taken), "faults": run.faults,
        "steady_from_s": round(steady, 1), "samples": [one for one in run.samples if one["second"] <= seconds],
    }  # fmt: skip


def _suffer(run: Soaked, fault: tuple[float, Callable[[Soaked, float], None], float]) -> None:
    at, what, seconds = fault
    if not run.ended.wait(max(0.0, at - run.now())):
        what(run, seconds)


def _watch(run: Soaked) -> None:
    while not run.ended.wait(_SAMPLE_S):
        try:
            run.sample()
        except (OSError, httpx.HTTPError):
            continue  # it is being killed


def _steady(found: Mapping[str, Any]) -> list[Mapping[str, float]]:
    return [one for one in found["samples"] if one["second"] >= found["steady_from_s"]]


def verdict(found: Mapping[str, Any]) -> list[str]:
    """Return what speaks against the run."""
    against = list(growing(slopes(_steady(found))))
    against += drift(found["sent"], found["counted"])
    if found["load"]["requests"] != found["load"]["acknowledged"]:
        against.append(f"{found['load']['requests']} requests were due, {found['load']['acknowledged']} acknowledged")
    if found["fired"] and not found["notices"]:
        against.append(f"{found['fired']} alerts fired, and no notice came")
    return against


def main() -> int:
    """Soak, judge, draw."""
    parser = argparse.ArgumentParser(description="Foreshock for hours at half of what it can take, with faults.")
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("build/soak"), help="folder for soak.json and soak.png")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as until:
        folder = Path(until.enter_context(tempfile.TemporaryDirectory()))
        http, grpc, api, inbox = free_ports(4)
        (folder / "soak.toml").write_text(CONFIG.format(inbox=inbox))
        run = Soaked(folder, Inbox(inbox), (http, grpc, api))
        run.inbox.open()
        until.callback(run.inbox.close)
        until.callback(lambda: run.receiver and run.receiver.stop())
        try:
            found = soak(run, asked.hours * 3600, asked.seed)
        finally:
            shutil.copyfile(folder / "foreshock.log", asked.out / "foreshock.log")
    against = verdict(found)
    found |= {
        "command": " ".join(["python -m benchmarks.soak", *sys.argv[1:]]),
        "seed": asked.seed,
        "machine": machine(),
        "against": against,
    }
    found["slopes"] = [asdict(one) for one in slopes(_steady(found), (*FLAT, "history_mib"))]
    (asked.out / "soak.json").write_text(json.dumps(found, indent=1) + "\n")
    picture(found, asked.out / "soak.png")
    for one in found["slopes"]:
        say(
            f"{one['name']}: median {one['median']:g}, {one['an_hour']:+.1%} an hour ({one['lower']:+.1%} to {one['upper']:+.1%})"
        )
    say(
        f"{found['load']['spans']:,} spans acknowledged, {found['fired']} alerts, {found['notices']} notices; tries {found['load']['tries']}"
    )
    say("\n".join(against) or "nothing speaks against it")
    return int(bool(against))


if __name__ == "__main__":
    sys.exit(main())
