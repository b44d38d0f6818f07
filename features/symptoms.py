"""What each service shows at a tick: how far its errors, durations, requests, log records and levels are from its own past.

Reads a `features.memory.Memory` when a tick ends; the worker publishes what `symptoms_of` returns, and `features.causes` ranks by it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from features.arrays import FloatArray, IntArray
from features.batch import BUCKETS, N_BUCKETS, N_CHANNELS, channel
from features.deviation import RECENT, Deviation, of_counts, of_means, of_values
from features.memory import Memory
from features.series import WHOLE
from features.symptom import Symptom, Symptoms
from features.windows import FINE

__all__ = ["LEAST_BITS", "symptoms_of"]

LEAST_BITS = 7.0
"""Bits below which nothing is a symptom."""

_WELL = 0.25  # guessed: services are well in at least a quarter of their windows
_LEAST_ABOVE = 3.0  # guessed: two failures are no symptom, however rare failures are
_LEAST_VERSION_BITS = 10.0
_VERSION_TICKS = 10
_TOTAL, _FAILED, _ERRORS, _WARNINGS = channel("total"), channel("failed"), channel("errors"), channel("warnings")
_INNER, _LOGS, _DURATION = channel("inner"), channel("logs"), channel("duration_sum_s")
_SATURATES = re.compile(
    "cpu|mem|heap|disk|queue|pool|thread|connection|lag|pending|utili[sz]ation|usage|load|backlog|throttl|descriptor|saturation|inflight"
)
"""Words in the names of levels that say how full or busy something is (OpenTelemetry semantic conventions, and common exporters)."""
_STEPS = np.arange(N_BUCKETS, dtype=float)


@dataclass(frozen=True, slots=True, eq=False)
class _Counts:
    """Windows of some series: coarse ones, then fine ones, oldest first.

    Parameters
    ----------
    rows : IntArray, shape (n,)
        Of the directory.
    values : FloatArray, shape (n, w, WIDTH)
        Counts and histograms.
    others : FloatArray, shape (n, w)
        Requests of the tenant's other services.
    """

    rows: IntArray
    values: FloatArray
    others: FloatArray

    def of(self, column: int) -> FloatArray:
        return self.values[:, :, column]


def symptoms_of(memory: Memory) -> list[Symptoms]:
    """Return what services show as of the end of the last closed tick.

    Parameters
    ----------
    memory : Memory
        With windows closed.

    Returns
    -------
    list of Symptoms
        Of the services that show any, in the order of the directory.

    Examples
    --------
    >>> symptoms_of(Memory())
    []
    """
    counts = _counts(memory)
    if not len(counts.rows):
        return []
    found: dict[int, list[Symptom]] = {}
    for row, symptom in (
        *_counted(memory, counts),
        *_slow(memory, counts),
        *_grown(memory, counts),
        *_levels(memory),
        *_new(memory),
    ):
        found.setdefault(row, []).append(symptom)
    keys, as_of_s = memory.directory.keys, memory.tick * memory.plan.tick_s
    return [
        Symptoms(
            keys[row].tenant,
            keys[row].service,
            as_of_s,
            tuple(sorted(found[row], key=lambda one: -one.strength)),
            tuple(memory.shares.traces(row, memory.tick)),
        )
        for row in sorted(found)
    ]


def _counts(memory: Memory) -> _Counts:
    """Read the windows of whole services."""
    rows = np.flatnonzero(memory.directory.is_whole)
    windows = memory.windows
    values = np.concatenate([windows.coarse()[rows], windows.recent(FINE)[rows]], axis=1).astype(float)
    np.maximum(values, 0.0, out=values)
    tenant = memory.pools().tenant[rows]
    totals = np.zeros((len(memory.tenants), values.shape[1]))
    np.add.at(totals, tenant, values[:, :, _TOTAL])
    return _Counts(rows, values, totals[tenant] - values[:, :, _TOTAL])


def _counted(memory: Memory, counts: _Counts) -> Iterator[tuple[int, Symptom]]:
    """Find counts that are off, given what they follow from."""
    total, inner = counts.of(_TOTAL), counts.of(_INNER)
    # A service that only logs has no requests that its errors could follow: then it is the time.
    busy = total.any(1, keepdims=True)
    per_request = np.where(busy, _arrived(total), 1.0)[:, :, None]
    errors = of_counts(counts.of(_ERRORS), per_request, quantile=_WELL)
    yield from _above(memory, counts, "errors", errors)
    failed = of_counts(counts.of(_FAILED), total[:, :, None], quantile=_WELL)
    yield from _above(memory, counts, "failed", _shares(failed, total))
    warnings = of_counts(counts.of(_WARNINGS), per_request)
    yield from _above(memory, counts, "logs", warnings, "WARN")
    # Logs and spans leave a process apart: what came of the newest window need not belong together yet.
    settled = np.stack([total, inner, counts.of(_ERRORS)], axis=2)[:, :-1]
    yield from _both(memory, counts, "logs", of_counts(counts.of(_LOGS)[:, :-1], settled, 1.0), ago=1)
    yield from _both(memory, counts, "traffic", of_counts(inner, total[:, :, None], 1.0), "inner")
    yield from _both(memory, counts, "traffic", of_counts(total, counts.others[:, :, None]))


def _above(memory: Memory, counts: _Counts, signal: str, found: Deviation, detail: str = "") -> Iterator[tuple[int, Symptom]]:
    more = (found.value - found.expected) * found.length
    least = _LEAST_ABOVE if signal != "failed" else 0.0
    chosen = (found.sign > 0) & (found.bits >= LEAST_BITS) & (more >= least)
    yield from _made(memory, counts, signal, found, np.flatnonzero(chosen), detail)


def _both(
    memory: Memory, counts: _Counts, signal: str, found: Deviation, detail: str = "", ago: int = 0
) -> Iterator[tuple[int, Symptom]]:
    found = replace(found, length=found.length + ago)
    yield from _made(memory, counts, signal, found, np.flatnonzero(found.bits >= LEAST_BITS), detail)


def _arrived(total: FloatArray) -> FloatArray:
    """Return requests by window, of the newest at least as many as in the median of those before: errors may come first."""
    before = total[:, -1 - RECENT : -1]
    total = total.copy()
    total[:, -1] = np.maximum(total[:, -1], np.median(before, axis=1))
    return total


def _made(
    memory: Memory, counts: _Counts, signal: str, found: Deviation, chosen: IntArray, detail: str
) -> Iterator[tuple[int, Symptom]]:
    for place in chosen.tolist():
        since_s = (memory.tick - int(found.length[place])) * memory.plan.tick_s
        bits, value, expected = (float(part[place]) for part in (found.bits, found.value, found.expected))
        yield int(counts.rows[place]), Symptom(signal, since_s, bits, value, expected, WHOLE, detail)


def _shares(found: Deviation, total: FloatArray) -> Deviation:
    """Turn failures into shares of the requests of the same windows."""
    runs = np.cumsum(total[:, : -RECENT - 1 : -1], axis=1)
    requests = np.maximum(runs[np.arange(len(total)), found.length - 1] / found.length, 1e-9)
    return Deviation(found.bits, found.sign, found.length, found.value / requests, found.expected / requests)


def _slow(memory: Memory, counts: _Counts) -> Iterator[tuple[int, Symptom]]:
    """Find services whose requests take longer."""
    histogram = counts.values[:, :, N_CHANNELS:]
    n = histogram.sum(2)
    some = np.maximum(n, 1.0)
    found = of_means(histogram @ _STEPS / some, histogram @ _STEPS**2 / some, n)
    seconds = BUCKETS[0] * np.sqrt(0.5)
    shown = Deviation(found.bits, found.sign, found.length, seconds * 2**found.value, seconds * 2**found.expected)
    yield from _above_at_all(memory, counts, shown)


def _above_at_all(memory: Memory, counts: _Counts, found: Deviation) -> Iterator[tuple[int, Symptom]]:
    yield from _made(memory, counts, "latency", found, np.flatnonzero((found.sign > 0) & (found.bits >= LEAST_BITS)), "")


def _grown(memory: Memory, counts: _Counts) -> Iterator[tuple[int, Symptom]]:
    """Find the group of like errors of each service that grew most."""
    place_of = {row: place for place, row in enumerate(counts.rows.tolist())}
    owners: list[int] = []
    names: list[str] = []
    y: list[FloatArray] = []
    x: list[FloatArray] = []
    for row in memory.shares.rows():
        if row not in place_of:
            continue
        values = counts.values[place_of[row]]
        total = values[:, _TOTAL] if values[:, _TOTAL].any() else np.ones(len(values))
        for share in memory.shares.of(row, memory.tick):
            if share.dimension == "fingerprint" and share.counts[-RECENT:].any():
                owners.append(row)
                names.append(share.name)
                y.append(np.concatenate([[share.before], share.counts]))
                x.append(np.concatenate([[total[:-FINE].sum()], total[-FINE:]]))
    if not owners:
        return
    found = of_counts(np.array(y), np.array(x)[:, :, None], quantile=_WELL)
    best: dict[int, int] = {}
    for place, row in enumerate(owners):
        enough = found.sign[place] > 0 and (found.value[place] - found.expected[place]) * found.length[place] >= _LEAST_ABOVE
        if enough and found.bits[place] >= LEAST_BITS and found.bits[place] > (found.bits[best[row]] if row in best else 0.0):
            best[row] = place
    for row, place in best.items():
        since_s = (memory.tick - int(found.length[place])) * memory.plan.tick_s
        numbers = float(found.bits[place]), float(found.value[place]), float(found.expected[place])
        yield row, Symptom("logs", since_s, *numbers, WHOLE, names[place])


def _levels(memory: Memory) -> Iterator[tuple[int, Symptom]]:
    """Find the level of each service that rose most."""
    levels = memory.facts.levels_of
    rows = levels.rows()
    rows = rows[memory.directory.is_whole[rows]]
    if not len(rows):
        return
    values = memory.facts.levels(rows).astype(float)
    known = ~np.isnan(values).all(2)
    owner, place = np.nonzero(known)
    found = of_values(values[owner, place])
    names = [{at: name for name, at in levels.names[row].items()} for row in rows.tolist()]
    named = [names[n][at] for n, at in zip(owner.tolist(), place.tolist(), strict=True)]
    judged = np.array([_SATURATES.search(name.lower()) is not None for name in named])
    bits = np.where(judged & (found.sign > 0), found.bits / _alike(named, values[owner, place]), 0.0)
    for n, row in enumerate(rows.tolist()):
        of_row = np.flatnonzero(owner == n)
        best = of_row[bits[of_row].argmax()]
        if bits[best] < LEAST_BITS:
            continue
        name = named[best]
        since_s = (memory.tick - int(found.length[best])) * memory.plan.tick_s
        yield (
            row,
            Symptom(
                "saturation", since_s, float(bits[best]), float(found.value[best]), float(found.expected[best]), WHOLE, name
            ),
        )


def _alike(names: Sequence[str], values: FloatArray) -> FloatArray:
    """Return how many services report the same newest values under the same name: those are their machine's."""
    newest = [(name, *part.tolist()) for name, part in zip(names, np.nan_to_num(values[:, -RECENT:], nan=-1.0), strict=True)]
    counts = Counter(newest)
    return np.array([counts[key] for key in newest], float)


def _new(memory: Memory) -> Iterator[tuple[int, Symptom]]:
    """Find services that changed their version a moment ago."""
    since = memory.facts.since_change()
    for row in np.flatnonzero((since >= 0) & (since <= _VERSION_TICKS)).tolist():
        newest = next(reversed(memory.facts.versions[row]), "")
        since_s = (memory.tick - int(since[row])) * memory.plan.tick_s
        yield row, Symptom("version", since_s, _LEAST_VERSION_BITS, 1.0, 0.0, WHOLE, newest)
