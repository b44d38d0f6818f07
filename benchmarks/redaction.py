"""What taking secrets out costs while errors are taken in, as a share of the CPU time of reading, cutting and packing a request.

    python -m benchmarks.redaction [--requests 20] [--rounds 41] [--seed 0] [--json] [--out FILE]

Bodies are those of `benchmarks.otlp_bodies`, decompressed: requests of 512 spans or log records of which none, 1 %, 10 % or all failed. Each
is read by the engine that is built, with and without redaction in turns (A B, B A, ...), cut and packed; the log is left out, so shares are
larger than those of a server, which answers as well. ``secret`` puts a password into the message of every error, so that none is known to be clean.
The median of the rounds' ratios counts.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from app.ingest.limits import Limits
from app.ingest.otlp import ENGINE, decode
from app.ingest.receive import messages_of
from app.ingest.signals import Signal
from app.redaction import Redact, Redaction
from app.redaction_settings import RedactionSettings
from benchmarks.answers import answers_as_json, deliver
from benchmarks.otlp_bodies import bodies, templates
from features.batch import Batch

__all__ = ["main"]

_LOADS: tuple[tuple[Signal, float], ...] = tuple(
    (signal, share) for signal in ("traces", "logs") for share in (0.0, 0.01, 0.1, 1.0)
)
_LIMITS = Limits()
_RECORDS = 512


def _with_secrets(batch: Batch) -> Batch:
    errors = tuple(
        replace(record, message=f"{record.message} password=hunter{n}", attributes=dict(record.attributes))
        for n, record in enumerate(batch.errors)
    )
    return replace(batch, errors=errors)


def _take_s(found: Sequence[bytes], signal: Signal, redact: Redact, changed: Redact) -> float:
    """Return the CPU seconds of taking requests."""
    begun = time.process_time()
    for body in found:
        messages_of(redact(changed(decode(body, signal, "protobuf", limits=_LIMITS))), "default", body, 0, 8)
    return time.process_time() - begun


def _ratio(found: list[list[bytes]], signal: Signal, changed: Redact) -> tuple[float, float]:
    """Return the median over rounds of the time with redaction by that without, and the milliseconds a request without."""
    redaction = Redaction(RedactionSettings(), _LIMITS.max_attribute_chars).batch
    ratios: list[float] = []
    plain_s: list[float] = []
    for number, each in enumerate(found):
        _take_s(each, signal, redaction, changed)  # whoever comes first would have to fetch the bodies for both
        ways: list[tuple[str, Redact]] = [("with", redaction), ("without", lambda batch: batch)]
        took = {name: _take_s(each, signal, way, changed) for name, way in (ways if number % 2 else ways[::-1])}
        ratios.append(took["with"] / took["without"])
        plain_s.append(took["without"] / len(each))
    return statistics.median(ratios), 1e3 * statistics.median(plain_s)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; see the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=20, help="requests a round")
    parser.add_argument("--rounds", type=int, default=41)
    answers_as_json(parser)
    options = parser.parse_args(arguments)
    rng = np.random.default_rng(options.seed)
    loads: dict[str, dict[str, float]] = {}
    for signal, share in _LOADS:
        forms = templates(signal, _RECORDS, share, random.Random(options.seed))
        found = [
            [zlib.decompress(body.data, wbits=31) for body in bodies(forms, options.requests, rng, time.time_ns())]
            for _ in range(options.rounds)
        ]
        kinds: dict[str, Callable[[Batch], Batch]] = {"": lambda batch: batch} | (
            {"secret": _with_secrets} if share == 0.1 else {}
        )
        for kind, changed in kinds.items():
            ratio, plain_ms = _ratio(found, signal, changed)
            name = f"{signal}, {share:.0%} failed{', a secret in each' if kind else ''}"
            loads[name] = {"ratio": round(ratio, 3), "ms a request without": round(plain_ms, 3)}
            print(f"{name:45s} {ratio:6.3f} times {plain_ms:7.3f} ms", file=sys.stderr)
    deliver(options, engine=ENGINE, requests=options.requests, rounds=options.rounds, loads=loads)
    return 0


if __name__ == "__main__":
    sys.exit(main())
