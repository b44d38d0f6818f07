"""When the next incident of each row begins, with what people said laid over what the rule found.

`training.dataset` gives incidents and feedback from history; `training.labelled` puts what comes of it into
`training.rows.Rows`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from features.arrays import BoolArray, FloatArray, IntArray
from features.errors import InvalidValue
from features.incident import Incident
from features.series import SeriesKey
from models.feedback import Feedback, Stretch, in_force
from models.prediction import HORIZONS
from training.expected import Planned, occurrences, recognised
from training.series_rows import SeriesRows

__all__ = ["Alarm", "FeedbackPlan", "Overlay", "Said", "Scene", "Upcoming", "next_starts", "overlay"]


@dataclass(frozen=True, slots=True)
class Upcoming:
    """The next incident of every row.

    Parameters
    ----------
    start_s : FloatArray
        Shape (n,), unix seconds of the next start after ``as_of``, inf when there is none.
    index : IntArray
        Shape (n,), index into the incidents that were given, -1 when there is none.
    """

    start_s: FloatArray
    index: IntArray


@dataclass(frozen=True, slots=True)
class FeedbackPlan:
    """How what people say weighs.

    Parameters
    ----------
    zone : str
        IANA name of the time zone that the calendar keeps.
    false_alarm : float
        What a fresh false alarm adds to the weight 1 of a row that it speaks of. 3 is guessed.
    cap : float
        Most that a row weighs, however many false alarms speak of it. 5 is guessed: one row in place of five that nobody
        spoke of moves a fit, and a wrong verdict does not turn it.
    half_life_s : float
        Seconds after which a false alarm adds half as much, by the age of the verdict at the end of the observation. 30 days
        are guessed: systems change.

    Raises
    ------
    InvalidValue
        When the zone is unknown, or a number is out of its bounds.
    """

    zone: str = "UTC"
    false_alarm: float = 3.0
    cap: float = 5.0
    half_life_s: float = 30 * 86_400.0

    def __post_init__(self) -> None:
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as exc:  # a folder's name, or one that leaves it
            raise InvalidValue(f"zone must be an IANA time zone such as Europe/Berlin, got {self.zone!r}") from exc
        if self.false_alarm < 0 or self.cap < 1 or self.half_life_s <= 0:
            raise InvalidValue(
                f"false_alarm >= 0, cap >= 1 and half_life_s > 0 must hold, got {self.false_alarm}, {self.cap}, {self.half_life_s}"
            )


@dataclass(frozen=True, slots=True)
class Said:
    """What people and their alerting said of a history.

    Parameters
    ----------
    feedback : tuple of Feedback
        All verdicts, also those that were taken back.
    reported : tuple of Incident
        Incidents that came from outside, beside those of the rule.
    plan : FeedbackPlan
        How the verdicts weigh.
    """

    feedback: tuple[Feedback, ...] = ()
    reported: tuple[Incident, ...] = ()
    plan: FeedbackPlan = field(default_factory=FeedbackPlan)


@dataclass(frozen=True, slots=True)
class Scene:
    """What verdicts are laid over.

    Parameters
    ----------
    keys : sequence of SeriesKey
        All series; a selector means those among them.
    begin, end : datetime
        The first ``as_of`` and the end of the observation, aware.
    """

    keys: Sequence[SeriesKey]
    begin: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Alarm:
    """Rows of a time that somebody called a false alarm.

    Parameters
    ----------
    stretch : Stretch
        Whose rows, and when.
    at : datetime
        When it was said.
    """

    stretch: Stretch
    at: datetime


@dataclass(frozen=True, slots=True)
class Overlay:
    """Incidents after feedback, and what became of the times between them.

    Parameters
    ----------
    incidents : tuple of Incident
        By start.
    unteachable : tuple of Stretch
        Rows whose horizon meets these teach nothing: what would have happened was not seen.
    expected : tuple of Stretch
        Rows within these teach nothing, and rows before them are not watched any further.
    alarms : tuple of Alarm
        Rows of these weigh more, where no incident followed them.
    """

    incidents: tuple[Incident, ...]
    unteachable: tuple[Stretch, ...] = ()
    expected: tuple[Stretch, ...] = ()
    alarms: tuple[Alarm, ...] = ()

    def teachable(self, keys: Sequence[SeriesKey], series: IntArray, as_of_s: IntArray, horizon_s: int = 3600) -> BoolArray:
        """Return which rows may be learned from.

        Parameters
        ----------
        keys : sequence of SeriesKey
            All series.
        series, as_of_s : IntArray
            Shape (n,): index into `keys`, and unix seconds.
        horizon_s : int
            A row is left out when its horizon ``(as_of, as_of + horizon_s]`` meets an unteachable stretch.
        """
        usable, rows = np.ones(len(as_of_s), dtype=np.bool_), SeriesRows(keys, series, as_of_s)
        for stretch, reach_s in [*((s, horizon_s) for s in self.unteachable), *((s, 0) for s in self.expected)]:
            usable[rows.of(stretch.series, stretch.start.timestamp() - reach_s, stretch.end.timestamp())] = False
        return usable

    def watched_until(self, keys: Sequence[SeriesKey], series: IntArray, as_of_s: IntArray) -> FloatArray:
        """Return until when, shape (n,) in unix seconds, what followed each row was not something expected; inf for ever.

        An incident within an expected time is not counted, so its absence from there on must not be either.
        """
        until, rows = np.full(len(as_of_s), np.inf), SeriesRows(keys, series, as_of_s)
        for stretch in self.expected:
            begin_s = stretch.start.timestamp()
            before = rows.of(stretch.series, -np.inf, begin_s)
            until[before] = np.minimum(until[before], begin_s)
        return until

    def weights(
        self, keys: Sequence[SeriesKey], series: IntArray, as_of_s: IntArray, end_s: float, plan: FeedbackPlan
    ) -> FloatArray:
        """Return the weight of each row, shape (n,): 1, and more up to the cap where somebody called a false alarm.

        Parameters
        ----------
        keys, series, as_of_s
            As in `teachable`.
        end_s : float
            Unix seconds, from which a verdict's age is counted: the same history and verdicts give the same weights.
        plan : FeedbackPlan
            How much.
        """
        extra, rows = np.zeros(len(as_of_s)), SeriesRows(keys, series, as_of_s)
        for alarm in self.alarms:
            age_s = max(end_s - alarm.at.timestamp(), 0.0)
            meant = rows.of(alarm.stretch.series, alarm.stretch.start.timestamp(), alarm.stretch.end.timestamp())
            extra[meant] += plan.false_alarm * 0.5 ** (age_s / plan.half_life_s)
        return np.minimum(1.0 + extra, plan.cap)


def next_starts(incidents: Sequence[Incident], keys: Sequence[SeriesKey], series: IntArray, as_of_s: IntArray) -> Upcoming:
    """Find each row's next incident start.

    Parameters
    ----------
    incidents : sequence of Incident
        In any order, of any series.
    keys : sequence of SeriesKey
        All series.
    series, as_of_s : IntArray
        Shape (n,): index into `keys`, and unix seconds.

    Returns
    -------
    Upcoming
        A start at ``as_of`` itself is over: horizons are ``(as_of, as_of + horizon]``.

    Examples
    --------
    >>> from datetime import UTC
    >>> key = SeriesKey("default", "cart", "*")
    >>> at = datetime.fromtimestamp(600, UTC)
    >>> upcoming = next_starts([Incident("i", key, at, at)], [key], np.array([0, 0]), np.array([540, 600]))
    >>> upcoming.start_s.tolist(), upcoming.index.tolist()
    ([600.0, inf], [0, -1])
    """
    by_series: dict[SeriesKey, list[tuple[float, int]]] = defaultdict(list)
    for i, incident in enumerate(incidents):
        by_series[incident.series].append((incident.start.timestamp(), i))
    start_s = np.full(len(as_of_s), np.inf)
    index = np.full(len(as_of_s), -1, dtype=np.int64)
    order = np.argsort(series, kind="stable")
    edges = np.searchsorted(series[order], np.arange(len(keys) + 1))
    for number, key in enumerate(keys):
        known = sorted(by_series.get(key, ()))
        rows = order[edges[number] : edges[number + 1]]
        if not known or not len(rows):
            continue
        starts = np.array([s for s, _ in known])
        numbers = np.array([i for _, i in known], dtype=np.int64)
        following = np.searchsorted(starts, as_of_s[rows], side="right")
        found = following < len(starts)
        start_s[rows[found]] = starts[following[found]]
        index[rows[found]] = numbers[following[found]]
    return Upcoming(start_s, index)


def overlay(
    incidents: Iterable[Incident], feedback: Iterable[Feedback] = (), scene: Scene | None = None, zone: str = "UTC"
) -> Overlay:
    """Lay what people said over what the rule found; nothing that was given is changed.

    Only verdicts that stand count, see `models.feedback.in_force`. ``missed`` adds an incident. A false alarm about an
    incident takes it away, and its rows weigh; so do those of a prediction or a stretch, whose outcome stays what was seen.
    ``expected`` takes away what began in its time and leaves that time out, also when it comes again (`training.expected`).
    ``prevented`` and ``unknown`` make their time unteachable, whatever was seen in it. ``confirmed`` leaves the labels
    as they are: the outcome already says so.

    Parameters
    ----------
    incidents : iterable of Incident
        What the rule or a webhook found.
    feedback : iterable of Feedback
        All that was said. A verdict on a prediction without its stretch changes nothing.
    scene : Scene, optional
        What to look for series that a selector means in, and for times that come again; none of these without it.
    zone : str
        IANA name of the time zone that the calendar keeps.
    """
    kept = {incident.id: incident for incident in incidents}
    laid = _Laid(dict(kept), scene)
    for said in in_force(feedback):
        laid.take(said)
    expected = laid.calendar(ZoneInfo(zone))
    left = [
        incident
        for name, incident in {**kept, **laid.added}.items()
        if name not in laid.removed and not any(_within(incident, stretch) for stretch in expected)
    ]
    by_start = tuple(sorted(left, key=lambda i: (i.start, i.series, i.id)))
    return Overlay(by_start, tuple(laid.unteachable), expected, tuple(laid.alarms))


class _Laid:
    """What standing verdicts come to, one after the other."""

    def __init__(self, incidents: Mapping[str, Incident], scene: Scene | None) -> None:
        self.incidents = incidents
        self.scene = scene
        self.added: dict[str, Incident] = {}
        self.removed: set[str] = set()
        self.unteachable: list[Stretch] = []
        self.planned: list[Planned] = []
        self.alarms: list[Alarm] = []

    def take(self, said: Feedback) -> None:
        incident = self.incidents.get(said.incident or "")
        stretch = said.stretch or (None if incident is None else Stretch(incident.series, incident.start, _end(incident)))
        if said.verdict == "confirmed" or stretch is None:
            return
        if said.verdict == "missed":
            self.added |= dict(self._missed(said, stretch))
            return
        if incident is not None:
            self.removed.add(incident.id)
        if said.verdict == "false_alarm":
            begin = stretch.start if said.incident is None else stretch.start - timedelta(seconds=max(HORIZONS.values()))
            self.alarms.append(Alarm(replace(stretch, start=begin), said.at))
        elif said.verdict == "expected":
            self.planned.append(Planned(stretch, said.repeats, said.until))
        else:
            self.unteachable.append(stretch)

    def calendar(self, zone: tzinfo) -> tuple[Stretch, ...]:
        if self.scene is None:
            return tuple(plan.stretch for plan in self.planned)
        begin, end = self.scene.begin, self.scene.end + timedelta(seconds=max(HORIZONS.values()))
        return occurrences([*self.planned, *recognised(self.planned, zone)], zone, begin, end)

    def _missed(self, said: Feedback, stretch: Stretch) -> Iterable[tuple[str, Incident]]:
        if isinstance(stretch.series, SeriesKey):
            named, keys = False, [stretch.series]
        else:
            named, keys = True, [key for key in (self.scene.keys if self.scene else ()) if stretch.covers(key)]
        for number, key in enumerate(keys):
            name = f"feedback-{said.id}" + (f"-{number}" if named else "")
            yield name, Incident(name, key, stretch.start, stretch.start, stretch.end, "feedback")


def _within(incident: Incident, stretch: Stretch) -> bool:
    return stretch.start <= incident.start < stretch.end and stretch.covers(incident.series)


def _end(incident: Incident) -> datetime:
    """Return an end after the start, for an incident that lasts or that had one window."""
    latest = max(incident.end or incident.detected_at, incident.detected_at)
    return latest if latest > incident.start else incident.start + timedelta(seconds=60)
