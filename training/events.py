"""Rows from a data frame of events: outages, failures, alerts, checks, whatever somebody recorded.

`training.dataset.from_events` calls `prepare` and `rows_of`. Features come from `features.intensity`, of what was received by
a row's time; labels from the incidents that begin after it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd

from features.arrays import BoolArray, Float32Array, FloatArray, IntArray
from features.errors import InvalidValue
from features.intensity import ERROR, HEARD, INCIDENT, SIGN, Intensity
from features.series import WHOLE, SeriesKey
from models.hazard import intervals_of
from training.rows import Rows

__all__ = ["Onsets", "Stream", "horizons_of", "prepare", "rows_of"]

_ERROR_SEVERITY, _SIGN_SEVERITY = 17, 13
_UNWATCHED = 7  # guessed: a service of which nothing is recorded for so many longest horizons is not watched


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """Events in columns, in order of receipt.

    Parameters
    ----------
    keys : tuple of SeriesKey
        All series.
    service : IntArray
        Shape (len(keys),), number of each one's service.
    received_s, time_s : FloatArray
        Shape (m,), unix seconds: when it was known, ascending, and when it happened, never later.
    row, kind : IntArray
        Shape (m,): index into `keys`, and what it was as `features.intensity` has it.
    is_watched : bool
        Whether events come without failures too, so that silence means that nobody looked.
    """

    keys: tuple[SeriesKey, ...]
    service: IntArray
    received_s: FloatArray
    time_s: FloatArray
    row: IntArray
    kind: IntArray
    is_watched: bool


@dataclass(frozen=True, slots=True, eq=False)
class Onsets:
    """Incidents in columns, by series and start.

    Parameters
    ----------
    row : IntArray
        Shape (k,), index into the stream's keys.
    start_s, end_s : FloatArray
        Shape (k,), unix seconds; one that has no length ends where it starts.
    """

    row: IntArray
    start_s: FloatArray
    end_s: FloatArray


def horizons_of(names: Sequence[str]) -> dict[str, int]:
    """Return the seconds of horizons by their names.

    Raises
    ------
    InvalidValue
        When one is no time span, or they do not ascend.

    Examples
    --------
    >>> horizons_of(["5min", "1h"])
    {'5min': 300, '1h': 3600}
    """
    horizons = {name: int(_span_s("horizon", name)) for name in names}
    intervals_of(horizons)
    return horizons


def prepare(events: pd.DataFrame, incidents: pd.DataFrame | None, tenant: str = "default") -> tuple[Stream, Onsets]:
    """Check frames and put them into columns.

    Parameters
    ----------
    events : DataFrame
        As `training.dataset.from_events` takes it.
    incidents : DataFrame or None
        As `training.dataset.from_events` takes it; None makes every error an incident of no length.
    tenant : str
        Of all series.

    Raises
    ------
    InvalidValue
        When a column is missing or holds what it must not; the message names both.
    """
    frame = _checked(events, "events", ("time", "service"))
    named = [frame[["service", "operation"]]]
    if incidents is not None:
        incidents = _checked(incidents, "incidents", ("start", "service"))
        named.append(incidents[["service", "operation"]])
    names = cast("pd.DataFrame", pd.concat(named, ignore_index=True)).astype(str)
    codes = pd.MultiIndex.from_frame(names).factorize(sort=True)
    keys = tuple(SeriesKey(tenant, service, operation) for service, operation in codes[1])
    service = np.asarray(pd.factorize(np.array([key.service for key in keys], dtype=object))[0], np.int64)
    row = np.asarray(codes[0], np.int64)
    of_events = row[: len(frame)]
    time_s = _seconds(frame, "time", "events")
    received_s = np.maximum(_seconds(frame, "received_at", "events"), time_s) if "received_at" in frame else time_s
    severity = np.asarray(frame["severity"] if "severity" in frame else np.full(len(frame), _ERROR_SEVERITY), np.float64)
    kind = np.select([severity >= _ERROR_SEVERITY, severity >= _SIGN_SEVERITY], [ERROR, SIGN], HEARD).astype(np.int64)
    if incidents is None:
        chosen = kind == ERROR
        onsets = _sorted(of_events[chosen], time_s[chosen], time_s[chosen])
        kind[chosen] = INCIDENT
    else:
        start_s, of_incidents = _seconds(incidents, "start", "incidents"), row[len(frame) :]
        end_s = np.maximum(_seconds(incidents, "end", "incidents"), start_s) if "end" in incidents else start_s
        onsets = _sorted(of_incidents, start_s, end_s)
        found_s = _seconds(incidents, "detected_at", "incidents") if "detected_at" in incidents else start_s
        received_s, time_s = np.append(received_s, np.maximum(found_s, start_s)), np.append(time_s, start_s)
        of_events, kind = np.append(of_events, of_incidents), np.append(kind, np.full(len(start_s), INCIDENT))
    order = np.lexsort((time_s, received_s))
    is_watched = bool((severity < _ERROR_SEVERITY).any())
    return Stream(keys, service, received_s[order], time_s[order], of_events[order], kind[order], is_watched), onsets


def rows_of(stream: Stream, onsets: Onsets, tick_s: int, horizons: Mapping[str, int], max_rows: int) -> Rows:
    """Return a row for every series that was heard of, at every so many ticks.

    Parameters
    ----------
    stream, onsets
        From `prepare`.
    tick_s : int
        Seconds; rows stand at multiples of it.
    horizons : mapping of str to int
        Seconds by name.
    max_rows : int
        Rows are farther apart where there would be more: an odd number of ticks, so that they meet all hours.

    Notes
    -----
    What was received by a row's time is all that its features read. A series has rows from the first event of it that was
    received on.
    """
    spans = tuple(horizons.values())
    begin, end = float(stream.received_s[0]), float(max(stream.time_s.max(), stream.received_s[-1]))
    first = _first_received(stream)
    n_ticks = float(np.sum((end - first[np.isfinite(first)]) / tick_s))
    step = max(int(np.ceil(n_ticks / max_rows)), 1)
    step_s = (step if step % 2 else step + 1) * tick_s
    times = np.arange(np.ceil(begin / step_s) * step_s, end + 1, step_s)
    intensity = Intensity(stream.service, spans)
    until = np.searchsorted(stream.received_s, times, side="right").tolist()
    parts: list[Float32Array] = []
    who: list[IntArray] = []
    done = 0
    for time_s, upto in zip(times.tolist(), until, strict=True):
        part = slice(done, upto)
        intensity.add(stream.row[part], np.minimum(stream.time_s[part], time_s), stream.kind[part])
        done = upto
        known = np.flatnonzero(intensity.heard)
        parts.append(intensity.features(time_s)[known])
        who.append(known)
    series = np.concatenate(who)
    as_of_s = np.repeat(times, [len(rows) for rows in who])
    next_s, within = _next(onsets, series, as_of_s)
    observed_s, is_observed = _observed(stream, series, as_of_s, end, spans[-1])
    unknown = np.full(len(series), -1, np.int64)
    return Rows(
        np.concatenate(parts),
        intensity.schema,
        series,
        stream.keys,
        as_of_s.astype(np.int64),
        next_s,
        int(end),
        ~within & is_observed,
        np.zeros(len(series), dtype=np.bool_),
        unknown,
        observed_s,
        dict(horizons),
    )


def _checked(frame: pd.DataFrame, name: str, wanted: tuple[str, ...]) -> pd.DataFrame:
    """Return a frame with a fresh index and an `operation`, all of whose names are there."""
    if any(column not in frame for column in wanted):
        raise InvalidValue(f"{name} must have the columns {', '.join(wanted)}, got {', '.join(map(str, frame.columns))}")
    if not len(frame):
        raise InvalidValue(f"{name} must hold at least one row, got none")
    frame = frame.reset_index(drop=True)
    if "operation" not in frame:
        frame = frame.assign(operation=WHOLE)
    for column in ("service", "operation"):
        empty = np.array(frame[column].isna(), np.bool_) | (np.array(frame[column].astype(str), dtype=object) == "")
        if empty.any():
            raise InvalidValue(f"{column} of {name} must not be empty, got {int(empty.sum())} rows without")
    return frame


def _seconds(frame: pd.DataFrame, column: str, name: str) -> FloatArray:
    times = pd.Series(frame[column])
    if not isinstance(times.dtype, pd.DatetimeTZDtype):
        raise InvalidValue(f"{column} of {name} must be times with a time zone, got {times.dtype}")
    empty = np.array(times.isna(), np.bool_)
    if empty.any():
        raise InvalidValue(f"{column} of {name} must not be empty, got {int(empty.sum())} rows without")
    return np.array(times.dt.tz_convert("UTC").astype("datetime64[ns, UTC]").astype(np.int64), np.float64) / 1e9


def _span_s(what: str, text: str) -> float:
    try:
        seconds = pd.Timedelta(text).total_seconds()
    except ValueError as exc:
        raise InvalidValue(f"{what} must be a time span such as 15min, got {text!r}") from exc
    if seconds < 1:
        raise InvalidValue(f"{what} must be at least 1 s, got {text}")
    return seconds


def _sorted(row: IntArray, start_s: FloatArray, end_s: FloatArray) -> Onsets:
    order = np.lexsort((start_s, row))
    return Onsets(row[order], start_s[order], end_s[order])


def _first_received(stream: Stream) -> FloatArray:
    first = np.full(len(stream.keys), np.inf)
    np.minimum.at(first, stream.row, stream.received_s)
    return first


def _next(onsets: Onsets, series: IntArray, as_of_s: FloatArray) -> tuple[FloatArray, BoolArray]:
    """Return each row's next start after its time, inf without, and whether it stands within an incident."""
    next_s, within = np.full(len(series), np.inf), np.zeros(len(series), dtype=np.bool_)
    order = np.argsort(series, kind="stable")
    for row in np.unique(onsets.row).tolist():
        mine = order[slice(*np.searchsorted(series[order], (row, row + 1)))]
        part = slice(*np.searchsorted(onsets.row, (row, row + 1)))
        starts, ends = onsets.start_s[part], np.maximum.accumulate(onsets.end_s[part])
        following = np.searchsorted(starts, as_of_s[mine], side="right")
        found = following < len(starts)
        next_s[mine[found]] = starts[following[found]]
        before = following > 0
        within[mine[before]] = ends[following[before] - 1] > as_of_s[mine[before]]
    return next_s, within


def _observed(
    stream: Stream, series: IntArray, as_of_s: FloatArray, end_s: float, longest_s: int
) -> tuple[FloatArray, BoolArray]:
    """Return until when what followed each row was watched, and whether it was at the row's time.

    Where checks are recorded too, a service of which nothing was recorded for long was not watched meanwhile.
    """
    until, watched = np.full(len(series), end_s), np.ones(len(series), dtype=np.bool_)
    if not stream.is_watched:
        return until, watched
    of_event, of_row = stream.service[stream.row], stream.service[series]
    for service in np.unique(of_event).tolist():
        times = np.unique(stream.received_s[of_event == service])
        gaps, most = np.diff(times), float(_UNWATCHED * longest_s)
        # Known at the time, not afterwards: whoever looked is taken to look on for so long.
        ends = np.append(times[:-1][gaps > most], times[-1]) + most
        again = np.append(times[1:][gaps > most], np.inf)
        mine = np.flatnonzero(of_row == service)
        place = np.searchsorted(ends, as_of_s[mine], side="left")
        beyond = place == len(ends)
        until[mine] = np.minimum(np.where(beyond, as_of_s[mine], ends[np.minimum(place, len(ends) - 1)]), end_s)
        paused = (place > 0) & (as_of_s[mine] < again[np.maximum(place - 1, 0)])
        watched[mine] = ~beyond & ~paused
    return until, watched
