"""Stopwatches of `benchmarks.bench`: what one measurement says, how calls and requests over sockets are timed."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import uvloop

__all__ = ["SCRATCH", "Measure", "asked", "called", "measure", "resident_mib", "together"]

SCRATCH = Path("build")
"""Where data of a run is, on the disk of the repository."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One line of the report.

    Parameters
    ----------
    section, name : str
        Of the original list, and what was done.
    ops_s : float
        How often a second; `unit` says what.
    mean_ms, p05_ms, p50_ms, p95_ms, p99_ms : float
        Of one call or request. The fastest twentieth says least of who else uses the machine.
    memory_mib : float
        Resident memory of the process that did it, afterwards.
    unit : str
        What an operation is.
    n : int
        Calls or requests that were timed.
    """

    section: str
    name: str
    ops_s: float
    mean_ms: float
    p05_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    memory_mib: float
    unit: str
    n: int


def measure(
    title: tuple[str, str],
    seconds: Sequence[float],
    *,
    elapsed: float = 0.0,
    each: tuple[float, str] = (1.0, "calls"),
    mib: float = 0.0,
) -> Measure:
    """Sum up timed calls.

    Parameters
    ----------
    title : tuple of str
        Section and name.
    seconds : sequence of float
        Of each call.
    elapsed : float
        Of all of them, where they ran beside each other; otherwise their sum.
    each : tuple of float and str
        How many operations a call is, and what they are.
    mib : float
        Resident memory; of this process without.

    Returns
    -------
    Measure

    Examples
    --------
    >>> one = measure(("section", "name"), [0.1, 0.3], each=(10, "rows"), mib=1.0)
    >>> round(one.ops_s), round(one.mean_ms), one.n
    (50, 200, 2)
    """
    took = np.array(seconds)
    p05, p50, p95, p99 = (round(float(value) * 1e3, 4) for value in np.quantile(took, (0.05, 0.5, 0.95, 0.99)))
    rate = len(took) * each[0] / (elapsed or float(took.sum()))
    return Measure(
        *title,
        round(rate, 1),
        round(float(took.mean()) * 1e3, 4),
        p05,
        p50,
        p95,
        p99,
        mib or resident_mib(),
        each[1],
        len(took),
    )


def resident_mib() -> float:
    """Return the resident memory of this process."""
    return round(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)


def called(call: Callable[[], object], seconds: float = 2.0, warm: int = 3) -> list[float]:
    """Call again and again for a time and return the seconds of each call."""
    for _ in range(warm):
        call()
    took: list[float] = []
    ends = time.perf_counter() + seconds
    while (begun := time.perf_counter()) < ends or len(took) < 5:
        call()
        took.append(time.perf_counter() - begun)
    return took


def together(call: Callable[[int], object], callers: int, n: int) -> tuple[list[float], float]:
    """Let threads call `n` times each; return the seconds of each call, and of all."""
    took: list[list[float]] = [[] for _ in range(callers)]

    def run(caller: int) -> None:
        for _ in range(n):
            begun = time.perf_counter()
            call(caller)
            took[caller].append(time.perf_counter() - begun)

    threads = [threading.Thread(target=run, args=(caller,)) for caller in range(callers)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [one for part in took for one in part], time.perf_counter() - begun


def asked(port: int, requests: Iterator[bytes], connections: int, seconds: float) -> tuple[list[float], float]:
    """Ask over connections that are kept, each the next request when the last was answered; every answer must be 200.

    Parameters
    ----------
    port : int
        On loopback.
    requests : iterator of bytes
        Whole HTTP/1.1 requests; all connections draw from it.
    connections : int
        How many.
    seconds : float
        How long, or until no request is left.

    Returns
    -------
    tuple of (list of float, float)
        Seconds of each answer, and of all.

    Raises
    ------
    RuntimeError
        When an answer is not 200.
    """
    took: list[float] = []

    async def connection(ends: float) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for request in requests:
            begun = time.perf_counter()
            if begun > ends:
                break
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"wanted 200, got {head[:200]!r}")
            fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:] if b":" in line)
            await reader.readexactly(int(fields[b"content-length"]))
            took.append(time.perf_counter() - begun)
        writer.close()

    async def run() -> float:
        begun = time.perf_counter()
        await asyncio.gather(*(connection(begun + seconds) for _ in range(connections)))
        return time.perf_counter() - begun

    return took, uvloop.run(run())
