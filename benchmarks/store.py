"""How long a durable append takes, by concurrent callers, and what a large checkpoint costs them.

Run `python -m benchmarks.store`. Data: one random message of 20,000 bytes, appended again and again. Every
append ends with an fsync, so the disk decides. 2 cores, virtual disk, Python 3.11, 2026-11-23; cores mostly free, and
the same with both cores busy with other work:

    1 caller     0.4 ms p50, 2,200 appends/s       1.9 ms p50,   300 appends/s
    4 callers    0.7 ms p50, 4,100 appends/s       3.9 ms p50,   680 appends/s
    12 callers   1.4 ms p50, 5,300 appends/s       7.6 ms p50, 1,400 appends/s
    48 callers   4.9 ms p50, 6,500 appends/s      12.1 ms p50, 2,200 appends/s

A commit of 40 MB of state: 0.19 s (0.34 to 0.67 s busy); appends that fall behind one wait for it, 0.39 s (0.67 s) at the longest.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from app.settings import StoreSettings
from app.store.sqlite import SqliteStore, open_store

__all__: list[str] = []

MESSAGE = os.urandom(20_000)


def append(store: SqliteStore, caller: int, n: int, seconds: list[float]) -> None:
    for _ in range(n):
        started = time.perf_counter()
        store.log.append(caller % store.log.n_partitions, "", MESSAGE)
        seconds.append(time.perf_counter() - started)


def tell(what: str, seconds: list[float], elapsed: float) -> None:
    ordered = sorted(seconds)
    p50, p99 = (ordered[int(len(ordered) * share)] * 1e3 for share in (0.5, 0.99))
    print(f"{what}: p50 {p50:.1f} ms, p99 {p99:.1f} ms, max {ordered[-1] * 1e3:.0f} ms, {len(ordered) / elapsed:.0f} appends/s")


def callers(store: SqliteStore, n_callers: int, n: int, meanwhile: int = 0) -> None:
    seconds: list[float] = []
    threads = [threading.Thread(target=append, args=(store, caller, n, seconds)) for caller in range(n_callers)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    state = {f"bucket-{k}": os.urandom(400_000) for k in range(100)}
    for partition in range(meanwhile):
        token = store.checkpoints.acquire(partition, "benchmark").token
        begun = time.perf_counter()
        store.checkpoints.commit(partition, token, 0, state)
        print(f"commit of 40 MB: {time.perf_counter() - begun:.2f} s")
    for thread in threads:
        thread.join()
    tell(f"{n_callers} callers", seconds, time.perf_counter() - started)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=".") as folder:
        settings = StoreSettings.model_validate({})
        with open_store(Path(folder), settings=settings, max_in_flight_bytes=2**28, now=lambda: datetime.now(UTC)) as opened:
            for n_callers, n in ((1, 300), (4, 200), (12, 100), (48, 50)):
                callers(opened, n_callers, n)
            callers(opened, 4, 1500, meanwhile=4)
