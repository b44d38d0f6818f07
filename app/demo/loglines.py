"""Sample the log records of one minute: what failures, handled exceptions, warnings and everyday life write.

`app.demo.simulate` calls it after the spans are drawn; `app.demo.messages` has the words.
"""

from __future__ import annotations

import numpy as np

from app.demo.effects import Effects
from app.demo.minute import LogLine
from app.demo.symptom import Symptom
from app.demo.topology import TOPOLOGY
from app.demo.traces import ENTRY, SpanTable
from features.arrays import FloatArray, IntArray

__all__ = ["ERROR", "INFO", "WARN", "sample_logs"]

INFO, WARN, ERROR = 9, 13, 17
"""OpenTelemetry severity numbers."""

# Guessed: log lines a minute and service that mean nothing, and the share of failures that is logged, too.
ODD_WARNINGS, INFO_LINES, LOGGED = 0.12, 0.5, 0.6


def sample_logs(rng: np.random.Generator, now: Effects, spans: SpanTable) -> tuple[LogLine, ...]:
    """Draw the log records of one minute, by instance and time.

    Parameters
    ----------
    rng : Generator
        Randomness of this minute.
    now : Effects
        Odds of this minute.
    spans : SpanTable
        Its spans; a share of the failed entries and all handled exceptions are logged with their ids.

    Returns
    -------
    tuple of LogLine
    """
    failed = np.flatnonzero((spans.role == ENTRY) & (spans.symptom != 0))
    failed = failed[rng.random(len(failed)) < LOGGED]
    handled = np.flatnonzero(spans.handled)
    lines = _of_spans(rng, spans, failed, ERROR, spans.symptom)
    lines += _of_spans(rng, spans, handled, WARN, spans.handled)
    n = len(TOPOLOGY.components)
    odd = np.full(n, int(Symptom.ODD_WARNING))
    lines += _loose(rng, now, WARN, now.warning_symptom, now.warning)
    lines += _loose(rng, now, WARN, odd, np.full(n, ODD_WARNINGS))
    lines += _loose(rng, now, INFO, np.zeros(n, np.int64), np.full(n, INFO_LINES))
    return tuple(sorted(lines, key=lambda line: (line.instance, line.time_ns)))


def _of_spans(rng: np.random.Generator, spans: SpanTable, rows: IntArray, severity: int, symptoms: IntArray) -> list[LogLine]:
    salts = rng.integers(1 << 62, size=len(rows)).tolist()
    times = np.maximum(spans.end_ns[rows] - 200_000, spans.start_ns[rows]).tolist()
    columns = (spans.instance[rows].tolist(), times, symptoms[rows].tolist(), rows.tolist(), salts)
    return [LogLine(i, t, severity, s, row, salt) for i, t, s, row, salt in zip(*columns, strict=True)]


def _loose(rng: np.random.Generator, now: Effects, severity: int, symptoms: IntArray, rates: FloatArray) -> list[LogLine]:
    services = np.repeat(np.arange(len(rates)), rng.poisson(rates * ~now.dead))
    first, count = TOPOLOGY.instances
    instances = first[services] + (rng.random(len(services)) * count[services]).astype(np.int64)
    times = (rng.random(len(services)) * 59.9e9).astype(np.int64).tolist()
    salts = rng.integers(1 << 62, size=len(services)).tolist()
    columns = (instances.tolist(), times, symptoms[services].tolist(), salts)
    return [LogLine(i, t, severity, s, -1, salt) for i, t, s, salt in zip(*columns, strict=True)]
