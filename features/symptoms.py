"""What each service shows at a tick: how far its errors, durations, requests, log records and levels are from its own past.

Reads a `features.memory.Memory` when a tick ends; the worker publishes what `symptoms_of` returns, and `features.causes` ranks by it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from features.arrays import BoolArray, FloatArray, IntArray
from features.batch import BUCKETS, N_BUCKETS, N_CHANNELS, channel
from features.deviation import RECENT, Deviation, of_counts, of_means, of_values
from features.memory import Memory
from features.series import WHOLE
from features.symptom import Symptom, Symptoms
from features.windows import FINE, SPAN

__all__ = ["LEAST_BITS", "symptoms_of"]

LEAST_BITS = 7.0
"""Bits below which nothing is a symptom. Guessed: one in a hundred by chance, of which a service has eight chances a tick."""

_WELL = 0.25  # guessed: services are well in at least a quarter of their windows
_A_WINDOW = 10.0  # guessed: requests that the time of a window stands for, where a service has none
_LEAST_ABOVE = 3.0  # guessed: two failures are no symptom, however rare failures are
_VERSION_BITS = (
    10.0  # guessed: of a hundred changes of a version within the hour before trouble hardly one is to blame by chance
)
_VERSION_TICKS = 10  # guessed: a bad version shows at once
_FIRST_S = BUCKETS[0] * 0.5**0.5  # the middle of the first step of a histogram
_TOTAL, _FAILED, _ERRORS, _WARNINGS = channel("total"), channel("failed"), channel("errors"), channel("warnings")
_INNER, _LOGS = channel("inner"), channel("logs")
_SHOWS_IN = {"errors": _ERRORS, "failed": _FAILED, "latency": channel("duration_sum_s")}
_SATURATES = re.compile(
    "cpu|mem|heap|disk|queue|pool|thread|connection|lag|pending|utili[sz]ation|usage|load|backlog|throttl|descriptor|saturation|inflight"
)
"""Words in the names of levels that say how full or busy something is (OpenTelemetry semantic conventions, and common exporters)."""
_STEPS = np.arange(N_BUCKETS, dtype=float)


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """What is off: rows of services, how far, and the signal and detail it is told under."""

    rows: IntArray
    deviation: Deviation
    signal: str
    detail: str = ""

    def only(self, chosen: BoolArray) -> _Found:
        part, d = np.flatnonzero(chosen), self.deviation
        some = Deviation(d.bits[part], d.sign[part], d.length[part], d.value[part], d.expected[part])
        return replace(self, rows=self.rows[part], deviation=some)

    def over(self, least: float = 0.0) -> BoolArray:
        """Return what is above what is expected, by at least so many in all."""
        d = self.deviation
        return (d.sign > 0) & (d.bits >= LEAST_BITS) & ((d.value - d.expected) * d.length >= least)

    def above(self, least: float = 0.0) -> _Found:
        return self.only(self.over(least))

    def apart(self) -> _Found:
        """Keep what is above or below what is expected."""
        return self.only(self.deviation.bits >= LEAST_BITS)


def symptoms_of(memory: Memory, of: IntArray | None = None) -> list[Symptoms]:
    """Return what services show as of the end of the last closed tick.

    Parameters
    ----------
    memory : Memory
        With windows closed.
    of : IntArray, optional
        Rows of the whole services that are looked at, rising; all by default. What one shows does not depend on it.

    Returns
    -------
    list of Symptoms
        Of the services that show any, in the order of the directory.

    Examples
    --------
    >>> symptoms_of(Memory())
    []
    """
    rows = np.flatnonzero(memory.directory.is_whole) if of is None else of
    if not len(rows):
        return []
    coarse, fine = memory.windows.coarse(rows), memory.windows.recent(FINE, rows=rows)
    values = np.maximum(np.concatenate([coarse, fine], axis=1).astype(float), 0.0)
    found: dict[int, list[Symptom]] = {}
    for one in (*_counted(memory, rows, values), _slow(rows, values)):
        for row, symptom in _told(memory, one):
            found.setdefault(row, []).append(symptom)
    for row, symptom in (*_grown(memory, rows, values), *_levels(memory, rows), *_new(memory, rows)):
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


def _counted(memory: Memory, rows: IntArray, values: FloatArray) -> Iterator[_Found]:
    """Find counts that are off, given what they follow from."""
    total, errors, inner = values[:, :, _TOTAL], values[:, :, _ERRORS], values[:, :, _INNER]
    per_request = _exposure(values)[:, :, None]
    yield _Found(rows, of_counts(errors, per_request, quantile=_WELL), "errors").above(_LEAST_ABOVE)
    failed = of_counts(values[:, :, _FAILED], total[:, :, None], quantile=_WELL)
    kept = _Found(rows, failed, "failed").above(_LEAST_ABOVE)
    yield replace(kept, deviation=_shares(kept.deviation, total[np.searchsorted(rows, kept.rows)]))
    yield _Found(rows, of_counts(values[:, :, _WARNINGS], per_request), "logs", "WARN").above(_LEAST_ABOVE)
    # Logs and spans leave a process apart: what came of the newest window need not belong together yet.
    settled = np.stack([total, inner, errors], axis=2)[:, :-1]
    logs = of_counts(values[:, :-1, _LOGS], settled, None)
    yield _Found(rows, replace(logs, length=logs.length + 1), "logs").apart()
    yield _Found(rows, of_counts(inner, total[:, :, None], None), "traffic", "inner").apart()
    yield _Found(rows, of_counts(total, _of_others(memory, rows, total)[:, :, None], None), "traffic").apart()


def _exposure(values: FloatArray) -> FloatArray:
    """Return what errors follow from, shape (n, 120): requests, or the time since a service was first heard where it has none.

    Of the newest window there are at least as many as in the median of those before, because errors may come first.
    """
    total = values[:, :, _TOTAL]
    exposure = total.copy()
    exposure[:, -1] = np.maximum(total[:, -1], np.median(total[:, -1 - RECENT : -1], axis=1))
    minutes = np.where(np.arange(values.shape[1]) < values.shape[1] - FINE, SPAN, 1)
    heard = np.maximum.accumulate(values.any(2), axis=1)
    return np.where(total.any(1, keepdims=True), exposure, _A_WINDOW * minutes * heard)


def _of_others(memory: Memory, rows: IntArray, total: FloatArray) -> FloatArray:
    """Return the requests of the other services of each one's tenant."""
    tenant, whole = memory.pools().tenant, np.flatnonzero(memory.directory.is_whole)
    of_all = total
    if len(whole) > len(rows):
        column = slice(_TOTAL, _TOTAL + 1)
        parts = memory.windows.coarse(whole, column), memory.windows.recent(FINE, column, whole)
        of_all = np.maximum(np.concatenate(parts, axis=1)[:, :, 0].astype(float), 0.0)
    sums = np.zeros((len(memory.tenants), total.shape[1]))
    np.add.at(sums, tenant[whole], of_all)
    return sums[tenant[rows]] - total


def _shares(found: Deviation, total: FloatArray) -> Deviation:
    """Turn failures into shares of the requests of the same windows."""
    runs = np.cumsum(total[:, : -RECENT - 1 : -1], axis=1)
    requests = np.maximum(runs[np.arange(len(total)), found.length - 1] / found.length, 1e-9)
    return replace(found, value=found.value / requests, expected=found.expected / requests)


def _slow(rows: IntArray, values: FloatArray) -> _Found:
    """Find services whose requests take longer: by the logarithm of the duration, as far as histograms tell it."""
    histogram = values[:, :, N_CHANNELS:]
    n = histogram.sum(2)
    some = np.maximum(n, 1.0)
    found = of_means(histogram @ _STEPS / some, histogram @ _STEPS**2 / some, n)
    kept = _Found(rows, found, "latency").above()
    d = kept.deviation
    return replace(kept, deviation=replace(d, value=_FIRST_S * 2**d.value, expected=_FIRST_S * 2**d.expected))


def _told(memory: Memory, found: _Found) -> Iterator[tuple[int, Symptom]]:
    d = found.deviation
    for place, row in enumerate(found.rows.tolist()):
        length = int(d.length[place])
        since_s = (memory.tick - length) * memory.plan.tick_s
        where = _operation(memory, row, found.signal, length)
        bits, value, expected = (float(part[place]) for part in (d.bits, d.value, d.expected))
        yield row, Symptom(found.signal, since_s, bits, value, expected, where, found.detail)


def _operation(memory: Memory, row: int, signal: str, length: int) -> str:
    """Return the operation in which most of it shows, the whole service where none has more than half."""
    column = _SHOWS_IN.get(signal)
    operations = np.flatnonzero((memory.directory.whole == row) & ~memory.directory.is_whole)
    if column is None or not len(operations):
        return WHOLE
    values = memory.windows.recent(FINE, slice(column, column + 1), operations)[:, :, 0].astype(float)
    usual = values[:, :-RECENT].sum(1) / max(FINE - RECENT, 1)
    more = np.maximum(values[:, -length:].sum(1) - length * usual, 0.0)
    best = int(more.argmax())
    return memory.directory.keys[operations[best]].operation if more[best] > more.sum() / 2 else WHOLE


def _grown(memory: Memory, rows: IntArray, values: FloatArray) -> Iterator[tuple[int, Symptom]]:
    """Find the group of like errors of each service that grew most."""
    place_of = {row: place for place, row in enumerate(rows.tolist())}
    exposure = _exposure(values)
    grown = [
        (row, share, exposure[place_of[row]])
        for row in memory.shares.rows()
        if row in place_of
        for share in memory.shares.of(row, memory.tick)
        if share.dimension == "fingerprint" and share.counts[-RECENT:].any()
    ]
    if not grown:
        return
    y = np.array([[share.before, *share.counts] for _, share, _ in grown])
    x = np.array([[of_row[:-FINE].sum(), *of_row[-FINE:]] for *_, of_row in grown])
    owners = np.array([row for row, *_ in grown])
    found = _Found(owners, of_counts(y, x[:, :, None], quantile=_WELL), "logs")
    best: dict[int, Symptom] = {}
    over = np.flatnonzero(found.over(_LEAST_ABOVE))
    for place, (row, symptom) in zip(over.tolist(), _told(memory, found.above(_LEAST_ABOVE)), strict=True):
        if row not in best or symptom.strength > best[row].strength:
            best[row] = replace(symptom, detail=grown[place][1].name)
    yield from best.items()


def _levels(memory: Memory, looked_at: IntArray) -> Iterator[tuple[int, Symptom]]:
    """Find the level of each service that rose most, of those that say how full or busy something is."""
    levels = memory.facts.levels_of
    rows = levels.rows()
    rows = rows[memory.directory.is_whole[rows]]
    named = [
        (row, at, name) for row in rows.tolist() for name, at in levels.names[row].items() if _SATURATES.search(name.lower())
    ]
    if not named:
        return
    place_of = {row: place for place, row in enumerate(rows.tolist())}
    values = memory.facts.levels(rows)[[place_of[row] for row, *_ in named], [at for _, at, _ in named]].astype(float)
    chosen = np.flatnonzero(np.isin([row for row, *_ in named], looked_at))
    alike, found = _alike([name for *_, name in named], values)[chosen], of_values(values[chosen])
    found, named = replace(found, bits=found.bits / alike), [named[place] for place in chosen.tolist()]
    best: dict[int, Symptom] = {}
    for place in np.flatnonzero((found.sign > 0) & (found.bits >= LEAST_BITS)).tolist():
        row, _, name = named[place]
        since_s = (memory.tick - int(found.length[place])) * memory.plan.tick_s
        bits, value, expected = (float(part[place]) for part in (found.bits, found.value, found.expected))
        if row not in best or bits > best[row].strength:
            best[row] = Symptom("saturation", since_s, bits, value, expected, WHOLE, name)
    yield from best.items()


def _alike(names: Sequence[str], values: FloatArray) -> FloatArray:
    """Return how many services report the same newest values under the same name: those are their machine's."""
    newest = [(name, *part) for name, part in zip(names, np.nan_to_num(values[:, -RECENT:], nan=-1.0).tolist(), strict=True)]
    counts = Counter(newest)
    return np.array([counts[key] for key in newest], float)


def _new(memory: Memory, rows: IntArray) -> Iterator[tuple[int, Symptom]]:
    """Find services that changed their version a moment ago."""
    since = memory.facts.since_change()
    for row in rows[(since[rows] >= 0) & (since[rows] <= _VERSION_TICKS)].tolist():
        newest = next(reversed(memory.facts.versions[row]), "")
        since_s = (memory.tick - int(since[row])) * memory.plan.tick_s
        yield row, Symptom("version", since_s, _VERSION_BITS, 1.0, 0.0, WHOLE, newest)
