"""The senders of `benchmarks.soak`, a process of its own: numbered requests at a rate, each sent again until it is acknowledged.

    python -m benchmarks.soak_load PORT SECONDS RATE CONNECTIONS SEED

Each connection is an exporter: one request under way, the same bytes again after a pause that doubles when the answer is not 200 or
none comes, as exporters do. With rate 0 each sends its next when the last was answered. Otherwise a request is due at its time; while the
receiver is away, what is due waits, and is sent when it is back. Clocks of some senders are off (`SKEWS_S`): a request of theirs has times
that are ahead or behind, or impossible. At the end nothing is given up: it waits until all is acknowledged. One line of JSON
every five seconds goes to standard output, and a last one with what was acknowledged, service by service.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import uvloop

from benchmarks.overload_load import N_SPANS, Bodies

__all__ = ["SKEWS_S", "main"]

SKEWS_S = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 90.0, -120.0, 10_800.0)
"""Seconds by which the clocks of every ten senders are ahead. The last is impossible, so that the time of receipt stands."""

_PAUSES_S = (0.1, 2.0)  # as exporters: doubled from the first to the second
_TIMEOUT_S = 10.0  # of one try, as exporters have
_RENEWED_S = 30.0
_SETS = 64
_TOLD_S = 5.0


@dataclass(slots=True)
class _Ledger:
    due: int = 0
    acknowledged: int = 0
    tries: Counter[str] = field(default_factory=Counter[str])
    answers_s: list[float] = field(default_factory=list[float])
    forms: dict[float, Counter[tuple[int, int]]] = field(default_factory=dict[float, "Counter[tuple[int, int]]"])


class _Exporter:
    def __init__(self, port: int, skew_s: float, bodies: Bodies, ledger: _Ledger) -> None:
        self._port, self._skew_s, self._bodies, self._ledger = port, skew_s, bodies, ledger
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self) -> None:
        """Send one request until it is acknowledged."""
        body, forms = self._bodies.body()
        pause, begun = _PAUSES_S[0], time.perf_counter()
        while True:
            try:
                code = await asyncio.wait_for(self._try(body), _TIMEOUT_S)
            except (OSError, asyncio.IncompleteReadError, TimeoutError, ValueError) as exc:
                code = type(exc).__name__
                self.hang_up()
            self._ledger.tries[code] += 1
            if code == "200":
                break
            await asyncio.sleep(pause)
            pause = min(2 * pause, _PAUSES_S[1])
        self._ledger.answers_s.append(time.perf_counter() - begun)
        self._ledger.acknowledged += 1
        self._ledger.forms.setdefault(self._skew_s, Counter())[forms] += 1

    async def _try(self, body: bytes) -> str:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        head = (
            "POST /v1/traces HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/x-protobuf\r\n"
            f"content-encoding: gzip\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        writer.writelines((head.encode(), body))
        lines = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
        fields = dict(line.lower().split(b":", 1) for line in lines[1:] if b":" in line)
        await reader.readexactly(int(fields.get(b"content-length", b"0")))
        if fields.get(b"connection", b"").strip() == b"close":
            self.hang_up()
        return lines[0].split(b" ", 2)[1].decode()

    def hang_up(self) -> None:
        """Close the connection, if there is one."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None


async def _run(port: int, seconds: float, rate: float, connections: int, seed: int) -> dict[str, object]:
    bodies = {skew: Bodies(seed + n, skew) for n, skew in enumerate(sorted(set(SKEWS_S)))}
    ledger, begun = _Ledger(), time.perf_counter()
    exporters = [
        _Exporter(port, skew, bodies[skew], ledger) for skew in (SKEWS_S[k % len(SKEWS_S)] for k in range(connections))
    ]
    due: asyncio.Queue[None] = asyncio.Queue()

    async def work(exporter: _Exporter) -> None:
        while rate == 0.0 or await due.get() is None:
            if rate == 0.0:
                if time.perf_counter() > begun + seconds:
                    return
                ledger.due += 1
            await exporter.send()
            due.task_done() if rate else None

    tasks = [asyncio.create_task(work(exporter)) for exporter in exporters]
    renewed = told = 0
    while (now := time.perf_counter() - begun) < seconds:
        while rate and ledger.due < now * rate:
            ledger.due += 1
            due.put_nowait(None)
        if now > renewed * _RENEWED_S / _SETS:
            for one in bodies.values():
                await asyncio.to_thread(one.renew, renewed)
            renewed += 1
        if now > (told + 1) * _TOLD_S:
            told += 1
            _tell(ledger, now)
        await asyncio.sleep(0.005)
    if rate:
        await due.join()
    else:
        await asyncio.gather(*tasks)
    for task in tasks:
        task.cancel()
    for exporter in exporters:
        exporter.hang_up()
    took = time.perf_counter() - begun
    _tell(ledger, took)
    services: dict[str, Counter[str]] = {}
    for skew, forms in ledger.forms.items():
        for service, held in bodies[skew].held(forms).items():
            services.setdefault(service, Counter()).update(held)
    return {
        "requests": ledger.due,
        "acknowledged": ledger.acknowledged,
        "spans": ledger.acknowledged * N_SPANS,
        "tries": ledger.tries,
        "services": services,
        "seconds": round(took, 1),
    }


def _tell(ledger: _Ledger, second: float) -> None:
    answers, ledger.answers_s = ledger.answers_s, []
    line = {"second": round(second, 1), "due": ledger.due, "acknowledged": ledger.acknowledged}
    if answers:
        line["p50_ms"], line["p99_ms"] = (round(float(q) * 1e3, 2) for q in np.quantile(answers, (0.5, 0.99)))
    print(json.dumps(line), flush=True)


def main() -> None:
    """Send, and tell what came of it."""
    port, seconds, rate, connections, seed = (float(word) for word in sys.argv[1:])
    ended = uvloop.run(_run(int(port), seconds, rate, int(connections), int(seed)))
    print(json.dumps({"ended": ended}), flush=True)


if __name__ == "__main__":
    main()
