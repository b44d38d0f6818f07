"""Feature rows with what came after them, built by walking history through the live code.

`training.replay` gives the ticks, `features.extract` the vectors, the rule of `features.incident` the
outcomes, and `training.labelled` joins them; `training.fit` and `training.evaluate` take the `Rows`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from features.arrays import BoolArray
from features.clock import Clock
from features.errors import InvalidValue
from features.evidence import PastIncidents, evidence
from features.extract import extract
from features.facts import leading_category
from features.incident import Incident, Standing
from features.memory import Memory, MemoryPlan
from training.events import horizons_of, prepare, rows_of
from training.labelled import Part, Seen
from training.labels import Said, overlay
from training.overlaid import LabelChanges, changes_between
from training.replay import Recording, walk
from training.rows import Rows

__all__ = ["RECOVERY_TICKS", "WARM_TICKS", "Dataset", "Gathering", "build", "count_incidents", "from_events", "settled"]

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
        All that the rule found, by detection, then those that were reported.
    plain : Rows or None
        The same rows as if nobody had given feedback; None where nobody did.
    changes : LabelChanges or None
        What tells `rows` from `plain`.
    """

    rows: Rows
    incidents: tuple[Incident, ...]
    plain: Rows | None = None
    changes: LabelChanges | None = None


def build(
    recording: Recording,
    plan: MemoryPlan,
    *,
    stride: int = 1,
    said: Said | None = None,
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
    said : Said, optional
        What people said of incidents and times, and incidents that their alerting reported.
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
    return gathering.dataset(said)


def count_incidents(
    recording: Recording, plan: MemoryPlan, enough: int, *, progress: Callable[[float], None] | None = None
) -> int:
    """Count the incidents that `build` would find in a Recording, until there are enough: it makes no rows.

    Parameters
    ----------
    recording, plan
        As for `build`.
    enough : int
        Beyond which nobody asks; what lies behind the tick at which there are as many is not looked at.
    progress : callable, optional
        Told the share done.

    Returns
    -------
    int
        How many there are, or how many there were when there were enough.
    """
    found = 0
    for number, (_, standing) in enumerate(walk(recording, Memory(plan)) if enough > 0 else ()):
        found += int(np.count_nonzero(standing.began))
        if found >= enough:
            break
        if progress is not None and number % 100 == 0:
            progress(number / len(recording.ticks))
    return found


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
        self._parts: list[Part] = []
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
            self._parts.append(_part(memory, self._past, self.services))

    def dataset(self, said: Said | None = None) -> Dataset:
        """Return what was gathered, with what people said laid over it."""
        said = said or Said()
        tick_s = self.memory.plan.tick_s
        seen = Seen.of(self._parts, tuple(self.memory.directory.keys), self._gaps, tick_s, self._last * tick_s)
        incidents = (*self._found, *said.reported)
        plain = seen.rows(overlay(incidents), said.plan)
        if not said.feedback:
            return Dataset(plain, incidents)
        laid = overlay(incidents, said.feedback, seen.scene, said.plan.zone)
        rows = seen.rows(laid, said.plan)
        return Dataset(rows, incidents, plain, changes_between(plain, rows, incidents, laid.incidents, said.feedback))


def _part(memory: Memory, past: PastIncidents, only_services: bool) -> Part:
    services = np.flatnonzero(memory.directory.is_whole)
    series = services if only_services else np.arange(len(memory.directory))
    place = np.searchsorted(services, memory.directory.whole[series])
    counts = evidence(memory, past, services)
    return Part(memory.tick, series, extract(memory)[series], settled(memory)[series], counts, place)


def _category(memory: Memory, row: int) -> str:
    """Return the category of most of the service's errors as the rule saw them."""
    return leading_category(memory.facts.categories(memory.plan.rule.m)[memory.directory.whole[row]])


def settled(memory: Memory) -> BoolArray:
    """Return which series, shape (n,), are neither in an incident, nor just out of one, nor too young to be learned from."""
    onsets = memory.onsets
    recovering = onsets.recovering(memory.tick - 1, RECOVERY_TICKS)
    return ~onsets.in_incident() & ~recovering & (memory.rhythm.windows_seen() >= WARM_TICKS)


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
