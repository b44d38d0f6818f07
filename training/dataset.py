"""Feature rows with what came after them, built by walking history through the live code.

`training.replay` gives the ticks, `features.extract` the vectors, the rule of `features.incident` the
outcomes; `training.fit` and `training.evaluate` take the `Rows`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pandas as pd

from features.arrays import BoolArray, Float32Array, FloatArray, IntArray
from features.clock import Clock
from features.errors import InvalidValue
from features.evidence import SOURCES, PastIncidents, evidence
from features.extract import SCHEMA, extract
from features.facts import CATEGORIES, leading_category
from features.incident import Incident, Standing
from features.memory import Memory, MemoryPlan
from features.series import SeriesKey
from models.feedback import Feedback
from training.events import horizons_of, prepare, rows_of
from training.labels import Overlay, next_starts, overlay
from training.replay import Recording, walk
from training.rows import Evidence, Rows

__all__ = ["RECOVERY_TICKS", "WARM_TICKS", "Dataset", "Gathering", "build", "from_events"]

WARM_TICKS = 15
"""Ticks of a series' life that are not learned from: its features are mostly empty."""

RECOVERY_TICKS = 5
"""Ticks after an incident that are left out with it: echoes, not forerunners. Guessed."""


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Rows, and the incidents that their labels come from.

    Parameters
    ----------
    rows : Rows
        Feature rows with labels.
    incidents : tuple of Incident
        All that the rule found, by detection.
    """

    rows: Rows
    incidents: tuple[Incident, ...]


def build(
    recording: Recording,
    plan: MemoryPlan,
    *,
    stride: int = 1,
    feedback: Sequence[Feedback] = (),
    progress: Callable[[float], None] | None = None,
) -> Dataset:
    """Walk a Recording and collect a row for every series and every `stride`-th tick.

    Parameters
    ----------
    recording : Recording
        History.
    plan : MemoryPlan
        The live plan: the same windows, the same rule.
    stride : int
        Ticks between two rows of a series. Neighbouring rows say nearly the same.
    feedback : sequence of Feedback
        What people said of incidents and times.
    progress : callable, optional
        Told the share done.

    Returns
    -------
    Dataset
        An incident has begun by the end of its first broken window; rows between that and the rule's
        verdict are marked undetected.
    """
    memory = Memory(plan)
    gathering = Gathering(memory, stride=stride)
    for number, (_, standing) in enumerate(walk(recording, memory)):
        gathering.add(standing)
        if progress is not None and number % 100 == 0:
            progress(number / len(recording.ticks))
    return gathering.dataset(feedback)


class Gathering:
    """Collects rows and incidents of a Memory, tick by tick.

    `build` gathers from history; who walks a Memory through telemetry of its own gathers as it goes.

    Parameters
    ----------
    memory : Memory
        Empty; the caller closes its windows.
    stride : int
        Ticks between two rows of a series.
    services : bool
        Whether rows are of whole services alone, without their operations.
    """

    def __init__(self, memory: Memory, *, stride: int = 1, services: bool = False) -> None:
        self.memory = memory
        self.stride = stride
        self.services = services
        self._parts: list[_Part] = []
        self._found: list[Incident] = []
        self._open: dict[int, int] = {}
        self._past = PastIncidents()
        self._gaps: defaultdict[str, list[range]] = defaultdict(list)
        self._last = 0

    def add(self, standing: Standing) -> None:
        """Take in a tick that the Memory has just closed, with the incidents as of it."""
        memory, found, plan = self.memory, self._found, self.memory.plan
        tick = self._last = memory.tick
        for tenant, windows in memory.unheard.items():
            if len(windows):
                self._gaps[tenant].append(windows)
        for row in np.flatnonzero(standing.ended).tolist():
            place = self._open.pop(row)
            end = max(Clock.at((tick - plan.rule.m) * plan.tick_s), found[place].start)
            found[place] = replace(found[place], end=end)
        for row in np.flatnonzero(standing.began).tolist():
            self._open[row] = len(found)
            start_s = int(standing.open_since[row]) * plan.tick_s
            category = _category(memory, row)
            found.append(Incident.at(memory.directory.keys[row], start_s, tick * plan.tick_s, None, category))
            self._past.add(int(memory.directory.whole[row]), category, tick * plan.tick_s)
        if tick % self.stride == 0:
            self._parts.append(_Part.of(memory, self._past, self.services))

    def dataset(self, feedback: Sequence[Feedback] = ()) -> Dataset:
        """Return what was gathered, with what people said laid over it."""
        tick_s = self.memory.plan.tick_s
        keys = tuple(self.memory.directory.keys)
        rows = _rows(self._parts, overlay(self._found, feedback), keys, tick_s, self._last * tick_s)
        return Dataset(replace(rows, observed_until_s=_observed_until(rows, self._gaps, tick_s)), tuple(self._found))


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """What was known at a tick: whose (n,), features (n, n_features), who is settled (n,), and what spoke for categories.

    Services number ``s``: `counts` is (s, sources, 14), and `service` (n,) the place of each row's service in it.
    """

    tick: int
    series: IntArray
    x: Float32Array
    settled: BoolArray
    counts: Float32Array
    service: IntArray

    @classmethod
    def of(cls, memory: Memory, past: PastIncidents, only_services: bool) -> _Part:
        services = np.flatnonzero(memory.directory.is_whole)
        series = services if only_services else np.arange(len(memory.directory))
        place = np.searchsorted(services, memory.directory.whole[series])
        counts = evidence(memory, past, services)
        return cls(memory.tick, series, extract(memory)[series], _settled(memory)[series], counts, place)


def _category(memory: Memory, row: int) -> str:
    """Return the category of most of the service's errors as the rule saw them."""
    return leading_category(memory.facts.categories(memory.plan.rule.m)[memory.directory.whole[row]])


def _settled(memory: Memory) -> BoolArray:
    """Return which series are neither in an incident, nor just out of one, nor too young."""
    onsets = memory.onsets
    recovering = onsets.recovering(memory.tick - 1, RECOVERY_TICKS)
    return ~onsets.in_incident() & ~recovering & (memory.rhythm.windows_seen() >= WARM_TICKS)


def _rows(parts: list[_Part], laid: Overlay, keys: tuple[SeriesKey, ...], tick_s: int, end_s: int) -> Rows:
    x = np.concatenate([p.x for p in parts]) if parts else np.zeros((0, len(SCHEMA.features)), np.float32)
    eligible = np.concatenate([p.settled for p in parts]) if parts else np.zeros(0, bool)
    series = np.concatenate([p.series for p in parts]) if parts else np.zeros(0, np.int64)
    as_of_s = np.repeat(np.array([p.tick * tick_s for p in parts], np.int64), [len(p.x) for p in parts])
    # The rule dates an incident to the start of its first broken window; it has begun by that window's end.
    begun = [
        replace(i, start=i.start + timedelta(seconds=tick_s), detected_at=i.detected_at + timedelta(seconds=tick_s), end=None)
        if i.source == "rule"
        else i
        for i in laid.incidents
    ]
    upcoming = next_starts(begun, keys, series, as_of_s)
    # What a person reported has no category that anybody saw.
    codes = np.array([*(CATEGORIES.index(i.category) if i.source == "rule" else -1 for i in begun), -1], np.int64)
    undetected, within = _meanwhile(laid.incidents, keys, series, as_of_s)
    eligible &= ~within & laid.teachable(keys, series, as_of_s)
    rows = Rows(x, SCHEMA, series, keys, as_of_s, upcoming.start_s, end_s, eligible, undetected, codes[upcoming.index])
    return replace(rows, evidence=_evidence(parts, rows))


def _evidence(parts: Sequence[_Part], rows: Rows) -> Evidence:
    """Keep what spoke for categories of the rows before incidents alone."""
    wanted = (rows.category >= 0) & (rows.next_start_s - rows.as_of_s <= max(rows.horizons.values()))
    place = np.where(wanted, np.cumsum(wanted) - 1, -1)
    edges = np.cumsum([0, *(len(p.x) for p in parts)]).tolist()
    kept = [p.counts[p.service[wanted[begin:end]]] for p, (begin, end) in zip(parts, pairwise(edges), strict=True)]
    none = np.zeros((0, len(SOURCES), len(CATEGORIES)), np.float32)
    return Evidence(place, np.concatenate([none, *kept]))


def _observed_until(rows: Rows, gaps: Mapping[str, Sequence[range]], tick_s: int) -> FloatArray:
    """Return until when what followed each row was seen: its tenant's next window of which nothing is known, or the end."""
    until = np.full(len(rows), float(rows.end_s))
    code = {tenant: number for number, tenant in enumerate(gaps)}
    tenants = np.array([code.get(key.tenant, -1) for key in rows.keys], np.int64)[rows.series]
    for tenant, windows in gaps.items():
        mine = np.flatnonzero(tenants == code[tenant])
        as_of_s = rows.as_of_s[mine]
        starts = np.array([gap.start for gap in windows], np.int64) * tick_s
        ends = np.array([gap.stop for gap in windows], np.int64) * tick_s
        following = np.searchsorted(ends, as_of_s, side="right")
        known = following < len(ends)
        until[mine[known]] = np.maximum(starts[following[known]], as_of_s[known])
    return until


def _meanwhile(
    incidents: Sequence[Incident], keys: tuple[SeriesKey, ...], series: IntArray, as_of_s: IntArray
) -> tuple[BoolArray, BoolArray]:
    """Return which rows lie between a start and its detection, and which within an incident that a person reported."""
    undetected, within = np.zeros(len(series), bool), np.zeros(len(series), bool)
    number = {key: i for i, key in enumerate(keys)}
    for incident in incidents:
        mine = series == number.get(incident.series, -1)
        after = mine & (as_of_s > incident.start.timestamp())
        undetected |= after & (as_of_s < incident.detected_at.timestamp())
        if incident.source != "rule" and incident.end is not None:
            within |= after & (as_of_s < incident.end.timestamp())
    return undetected, within


def from_events(
    events: pd.DataFrame,
    *,
    incidents: pd.DataFrame | None = None,
    tick: str = "60s",
    horizons: Sequence[str] = ("5min", "15min", "60min"),
    max_rows: int = 1_500_000,
) -> Dataset:
    """Make rows of a data frame of events of any kind.

    Parameters
    ----------
    events : DataFrame
        One row an error or a check. Columns `time` (with a time zone) and `service`; optionally `operation` (a part of the
        service, whose others are its neighbours), `severity` (OpenTelemetry's number: 17 and above are errors, 13 to 16 signs, below
        nothing but a word that it was looked at; errors where the column is absent) and `received_at` (when it became known).
    incidents : DataFrame, optional
        What is to be forecast: `service`, `start`, optionally `operation`, `end` and `detected_at` (when it was known to be one).
        Without it every error is.
    tick : str
        Span between two rows of a series.
    horizons : sequence of str
        Ascending spans.
    max_rows : int
        Rows are farther apart where there would be more.

    Returns
    -------
    Dataset
        Rows with the features of `features.intensity`.

    Raises
    ------
    InvalidValue
        When a frame or a span holds what it must not.

    Examples
    --------
    >>> at = pd.to_datetime(["2026-01-01T00:00Z", "2026-01-01T03:00Z"])
    >>> dataset = from_events(pd.DataFrame({"time": at, "service": "cart"}), tick="1h", horizons=["1h"])
    >>> dataset.rows.as_of_s.size, len(dataset.incidents)
    (4, 2)
    """
    stream, onsets = prepare(events, incidents)
    spans = horizons_of(horizons)
    tick_s = horizons_of([tick])[tick]
    if tick_s > min(spans.values()):
        raise InvalidValue(f"tick must be at most the shortest horizon, {min(spans, key=spans.__getitem__)}, got {tick}")
    found = tuple(
        Incident.at(stream.keys[row], int(start_s), int(start_s), int(end_s))
        for row, start_s, end_s in zip(onsets.row.tolist(), onsets.start_s.tolist(), onsets.end_s.tolist(), strict=True)
    )
    return Dataset(rows_of(stream, onsets, tick_s, spans, max_rows), found)
