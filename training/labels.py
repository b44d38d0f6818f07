"""When the next incident of each row begins, with what people said laid over what the rule found.

`training.dataset` gives incidents and feedback from history and puts the result into `training.rows.Rows`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from features.arrays import BoolArray, FloatArray, IntArray
from features.incident import Incident
from features.series import SeriesKey
from models.feedback import Feedback, Stretch

__all__ = ["Overlay", "Upcoming", "next_starts", "overlay"]

_UNTEACHABLE = frozenset({"prevented", "unknown"})
"""Verdicts whose time teaches nothing: what would have happened was not seen."""


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
class Overlay:
    """Incidents after feedback, and the times that teach nothing.

    Parameters
    ----------
    incidents : tuple of Incident
        By start.
    unteachable : tuple of Stretch
        Rows in these are not eligible.
    """

    incidents: tuple[Incident, ...]
    unteachable: tuple[Stretch, ...]

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
        usable = np.ones(len(as_of_s), dtype=np.bool_)
        number = {key: i for i, key in enumerate(keys)}
        for stretch in self.unteachable:
            if stretch.series in number:
                begin, end = stretch.start.timestamp(), stretch.end.timestamp()
                meets = (as_of_s + horizon_s >= begin) & (as_of_s < end)
                usable &= ~((series == number[stretch.series]) & meets)
        return usable


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
    incidents: Iterable[Incident],
    feedback: Iterable[Feedback],
    predicted: Callable[[str], Stretch | None] | Mapping[str, Stretch] | None = None,
) -> Overlay:
    """Lay what people said over what the rule found; nothing that was given is changed.

    ``missed`` adds an incident. ``false_alarm`` and ``expected`` about an incident take it away.
    ``prevented`` and ``unknown`` make their time unteachable, whatever was seen in it. The last verdict
    about an incident counts. ``confirmed`` and a false alarm about a prediction leave the labels as they
    are: the outcome already says so.

    Parameters
    ----------
    incidents : iterable of Incident
        What the rule or a webhook found.
    feedback : iterable of Feedback
        In the order in which it was said.
    predicted : callable or mapping, optional
        The stretch that a prediction spoke of, by its id, where feedback names only the prediction.
    """
    kept = {incident.id: incident for incident in incidents}
    everything = dict(kept)
    verdicts: dict[str, Feedback] = {}
    unteachable: list[Stretch] = []
    for said in sorted(feedback, key=lambda f: f.at):
        if said.incident is not None:
            verdicts[said.incident] = said
        elif said.verdict in _UNTEACHABLE:
            stretch = said.stretch or _stretch_of(said.prediction, predicted)
            if stretch is not None:
                unteachable.append(stretch)
        if said.verdict == "missed" and said.stretch is not None:
            s = said.stretch
            kept[f"feedback-{said.id}"] = Incident(f"feedback-{said.id}", s.series, s.start, s.start, s.end, "feedback")
    for name, said in verdicts.items():
        incident = everything.get(name)
        if incident is None or said.verdict not in {"false_alarm", "expected", *_UNTEACHABLE}:
            continue
        del kept[name]
        if said.verdict in _UNTEACHABLE:
            unteachable.append(said.stretch or Stretch(incident.series, incident.start, _end(incident)))
    return Overlay(tuple(sorted(kept.values(), key=lambda i: (i.start, i.series, i.id))), tuple(unteachable))


def _end(incident: Incident) -> datetime:
    """Return an end after the start, for an incident that lasts or that had one window."""
    latest = max(incident.end or incident.detected_at, incident.detected_at)
    return (
        latest
        if latest > incident.start
        else incident.start.fromtimestamp(incident.start.timestamp() + 60, incident.start.tzinfo)
    )


def _stretch_of(
    prediction: str | None, predicted: Callable[[str], Stretch | None] | Mapping[str, Stretch] | None
) -> Stretch | None:
    if prediction is None or predicted is None:
        return None
    return predicted.get(prediction) if isinstance(predicted, Mapping) else predicted(prediction)
