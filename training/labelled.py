"""Rows out of what was gathered tick by tick and of the incidents after feedback.

`training.dataset` gathers, `training.labels` lays what people said over the incidents; the same gathered ticks
give the rows with feedback and without it, which share their features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np

from features.arrays import BoolArray, Float32Array, FloatArray, IntArray
from features.evidence import SOURCES
from features.extract import SCHEMA
from features.facts import CATEGORIES
from features.incident import Incident
from features.series import SeriesKey
from training.labels import FeedbackPlan, Overlay, Scene, next_starts
from training.rows import Evidence, Rows
from training.series_rows import SeriesRows

__all__ = ["Part", "Seen"]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What was known at a tick: whose (n,), features (n, n_features), who is settled (n,), and what spoke for categories.

    Services number ``s``: `counts` is (s, sources, 14), and `service` (n,) the place of each row's service in it.
    """

    tick: int
    series: IntArray
    x: Float32Array
    settled: BoolArray
    counts: Float32Array
    service: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """All ticks together, before anything is said of what followed.

    Parameters
    ----------
    parts : sequence of Part
        The ticks.
    keys : tuple of SeriesKey
        All series.
    x, series, as_of_s, settled : arrays
        Shape (n, n_features) and (n,).
    until_s : FloatArray
        Shape (n,), unix seconds until which what followed was seen.
    tick_s, end_s : int
        Seconds of a tick, and unix seconds at which the observation ends.
    """

    parts: Sequence[Part]
    keys: tuple[SeriesKey, ...]
    x: Float32Array
    series: IntArray
    as_of_s: IntArray
    settled: BoolArray
    until_s: FloatArray
    tick_s: int
    end_s: int

    @classmethod
    def of(
        cls, parts: Sequence[Part], keys: tuple[SeriesKey, ...], gaps: Mapping[str, Sequence[range]], tick_s: int, end_s: int
    ) -> Seen:
        """Put ticks together; `gaps` are the windows, by tenant, of which nothing is known."""
        x = np.concatenate([p.x for p in parts]) if parts else np.zeros((0, len(SCHEMA.features)), np.float32)
        settled = np.concatenate([p.settled for p in parts]) if parts else np.zeros(0, bool)
        series = np.concatenate([p.series for p in parts]) if parts else np.zeros(0, np.int64)
        as_of_s = np.repeat(np.array([p.tick * tick_s for p in parts], np.int64), [len(p.x) for p in parts])
        until_s = _observed_until(keys, series, as_of_s, end_s, {t: _in_seconds(w, tick_s) for t, w in gaps.items()})
        return cls(parts, keys, x, series, as_of_s, settled, until_s, tick_s, end_s)

    @property
    def scene(self) -> Scene:
        """What verdicts are laid over."""
        begin_s = int(self.as_of_s.min(initial=self.end_s))
        return Scene(self.keys, datetime.fromtimestamp(begin_s, UTC), datetime.fromtimestamp(self.end_s, UTC))

    def rows(self, laid: Overlay, plan: FeedbackPlan) -> Rows:
        """Return the rows with their labels; without false alarms none has a weight."""
        whose = (self.keys, self.series, self.as_of_s)
        begun = [_begun(incident, self.tick_s) for incident in laid.incidents]
        upcoming = next_starts(begun, *whose)
        # What a person reported has no category that anybody saw.
        codes = np.array([*(CATEGORIES.index(i.category) if i.source == "rule" else -1 for i in begun), -1], np.int64)
        undetected, within = _meanwhile(laid.incidents, *whose)
        rows = Rows(
            self.x,
            SCHEMA,
            self.series,
            self.keys,
            self.as_of_s,
            upcoming.start_s,
            self.end_s,
            self.settled & ~within & laid.teachable(*whose),
            undetected,
            codes[upcoming.index],
            np.minimum(self.until_s, laid.watched_until(*whose)),
        )
        return replace(rows, evidence=_evidence(self.parts, rows), weight=self._weight(laid, plan, upcoming.start_s, rows))

    def _weight(self, laid: Overlay, plan: FeedbackPlan, start_s: FloatArray, rows: Rows) -> FloatArray | None:
        """Return the weights of rows; one that an incident followed was no false alarm, whatever anybody says."""
        if not laid.alarms:
            return None
        weight = laid.weights(self.keys, self.series, self.as_of_s, self.end_s, plan)
        return np.where(start_s - self.as_of_s <= max(rows.horizons.values()), 1.0, weight)


def _begun(incident: Incident, tick_s: int) -> Incident:
    """Return an incident with its start where it has begun: the rule dates it to the start of its first broken window."""
    if incident.source != "rule":
        return incident
    span = timedelta(seconds=tick_s)
    return replace(incident, start=incident.start + span, detected_at=incident.detected_at + span, end=None)


def _evidence(parts: Sequence[Part], rows: Rows) -> Evidence:
    """Keep what spoke for categories of the rows before incidents alone."""
    wanted = (rows.category >= 0) & (rows.next_start_s - rows.as_of_s <= max(rows.horizons.values()))
    place = np.where(wanted, np.cumsum(wanted) - 1, -1)
    edges = np.cumsum([0, *(len(p.x) for p in parts)]).tolist()
    kept = [p.counts[p.service[wanted[begin:end]]] for p, (begin, end) in zip(parts, pairwise(edges), strict=True)]
    none = np.zeros((0, len(SOURCES), len(CATEGORIES)), np.float32)
    return Evidence(place, np.concatenate([none, *kept]))


def _in_seconds(windows: Sequence[range], tick_s: int) -> tuple[IntArray, IntArray]:
    """Return the starts and ends of windows in unix seconds."""
    starts = np.array([gap.start for gap in windows], np.int64) * tick_s
    return starts, np.array([gap.stop for gap in windows], np.int64) * tick_s


def _observed_until(
    keys: Sequence[SeriesKey],
    series: IntArray,
    as_of_s: IntArray,
    end_s: int,
    gaps: Mapping[str, tuple[IntArray, IntArray]],
) -> FloatArray:
    """Return until when what followed each row was seen: its tenant's next window of which nothing is known, or the end."""
    until = np.full(len(as_of_s), float(end_s))
    code = {tenant: number for number, tenant in enumerate(gaps)}
    tenants = np.array([code.get(key.tenant, -1) for key in keys], np.int64)[series]
    for tenant, (starts, ends) in gaps.items():
        mine = np.flatnonzero(tenants == code[tenant])
        following = np.searchsorted(ends, as_of_s[mine], side="right")
        known = following < len(ends)
        until[mine[known]] = np.maximum(starts[following[known]], as_of_s[mine][known])
    return until


def _meanwhile(
    incidents: Sequence[Incident], keys: tuple[SeriesKey, ...], series: IntArray, as_of_s: IntArray
) -> tuple[BoolArray, BoolArray]:
    """Return which rows lie between a start and its detection, and which within an incident that a person reported."""
    undetected, within = np.zeros(len(series), bool), np.zeros(len(series), bool)
    rows = SeriesRows(keys, series, as_of_s)
    for incident in incidents:
        after_s = np.nextafter(incident.start.timestamp(), np.inf)
        undetected[rows.of(incident.series, after_s, incident.detected_at.timestamp())] = True
        if incident.source != "rule" and incident.end is not None:
            within[rows.of(incident.series, after_s, incident.end.timestamp())] = True
    return undetected, within
