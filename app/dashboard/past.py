"""What history says of a service, and of all of them: read when a page is opened, never by the tick.

`app.dashboard.profile` draws it, `app.dashboard.board` makes sparklines of it. History is appended to every few minutes
(`store.checkpoint_s`), so the newest minutes may be missing here; pages say how old the last point is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.dashboard.ongoing import IN_INCIDENT
from app.history.contract import History
from app.history.tables import BOUNDS, CHANCES
from features.batch import BUCKETS
from features.series import WHOLE

__all__ = ["Array", "Bounds", "Forecasts", "Past", "ServicePast", "Windows"]

Array: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"
"""One number a point."""

_POINTS = 360  # of a chart at most; guessed: more than a screen shows apart
_SPARK_S = 3600.0
_P95 = 0.95
_SUMMED = ("total", "failed", "errors", "duration_sum_s")


@dataclass(frozen=True, slots=True)
class Windows:
    """What a service did, in bins of equal width.

    Parameters
    ----------
    width_s : float
        Of a bin.
    start_s : array
        Unix seconds, rising.
    requests, errors : array
        A minute; 0 in a bin that was closed without any. One of which nothing is known, since no node closed it, is not among them.
    failed : array
        Share of the requests; NaN without any.
    mean_s, p95_s : array
        Mean duration of a request, and the one that one in twenty exceeds; NaN where there was or was timed none.
    """

    width_s: float
    start_s: Array
    requests: Array
    errors: Array
    failed: Array
    mean_s: Array
    p95_s: Array


@dataclass(frozen=True, slots=True)
class Forecasts:
    """What was forecast of a service, in bins of equal width.

    Parameters
    ----------
    width_s : float
        Of a bin.
    as_of_s : array
        Unix seconds, rising, of the last forecast of each bin.
    horizons : dict of str to array
        Probability by horizon; NaN where an incident went on, whose beginning was no question any more.
    """

    width_s: float

    as_of_s: Array
    horizons: dict[str, Array]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Within what a service was normal, in bins as wide as those of `Windows`.

    Parameters
    ----------
    start_s, end_s : array
        Unix seconds at which the first window of a bin begins and the last one ends, rising.
    sides : dict of str to (array, array)
        Lower and upper bound by signal, the mean over a bin's windows: errors a minute, and seconds of the mean duration. NaN where
        none of them was judged.
    """

    start_s: Array
    end_s: Array
    sides: dict[str, tuple[Array, Array]]


@dataclass(frozen=True, slots=True)
class ServicePast:
    """All that a service's page draws of history; versions by name with the unix second at which each spoke first."""

    windows: Windows
    forecasts: Forecasts
    bounds: Bounds
    versions: dict[str, float]


class Past:
    """Reads history for pages. Blocks: to be called in a thread.

    Parameters
    ----------
    history : History
        Where it lies.
    now : callable
        Aware UTC.
    tick_s : int
        Seconds of a window.
    """

    def __init__(self, history: History, now: Callable[[], datetime], tick_s: int) -> None:
        self.tick_s = tick_s
        self._history = history
        self._now = now

    def sparks(self, tenant: str) -> dict[str, list[tuple[float, float | None]]]:
        """Return the last hour's 60-minute probability of every service, oldest first, each behind the unix second it is as of.

        None stands where an incident went on, whose beginning was no question any more.
        """
        since = int(self._now().timestamp() - _SPARK_S)
        names = ("service", "as_of", "p60", "status")
        rows = self._read("predictions", since, tenant, None, ("operation", *names)).sort_by("as_of")
        found: dict[str, list[tuple[float, float | None]]] = {}
        for service, at, value, status in zip(*(rows[name].to_pylist() for name in names), strict=True):
            found.setdefault(service, []).append((float(at), None if status == IN_INCIDENT else value))
        return found

    def service(self, tenant: str, service: str, range_s: float) -> ServicePast:
        """Return the past of a service, in at most some hundred points."""
        since = int(self._now().timestamp() - range_s)
        width = self.tick_s * max(1, int(np.ceil(range_s / self.tick_s / _POINTS)))
        columns = ("operation", "as_of", "status", *CHANCES.values(), *(name for names in BOUNDS.values() for name in names))
        said = self._read("predictions", since, tenant, service, columns).sort_by("as_of")
        return ServicePast(
            self._windows(tenant, service, since, width, _numbers(said, "as_of") - self.tick_s),
            _forecasts(said, width),
            self._bounds(said, width),
            self._versions(tenant, service, since),
        )

    def _windows(self, tenant: str, service: str, since: int, width: int, closed: Array) -> Windows:
        """Return the windows that have rows, and among those that were closed the ones without: of what did not happen there is no row."""
        rows = self._read("windows", since, tenant, service, ("operation", "window", *_SUMMED, "histogram"))
        at = np.concatenate([_numbers(rows, "window"), closed[closed >= since]])
        starts, places = np.unique(at // width * width, return_inverse=True)
        places, minutes = places[: rows.num_rows], width / 60.0

        def summed(values: Array) -> Array:
            return np.bincount(places, values, minlength=len(starts)).astype(np.float64)

        sums = {name: summed(_numbers(rows, name)) for name in _SUMMED}
        histogram = _histogram(rows)
        counts = np.column_stack([summed(histogram[:, k]) for k in range(histogram.shape[1])])
        failed, mean_s = (
            np.divide(sums[name], sums["total"], out=np.full(len(starts), np.nan), where=sums["total"] > 0)
            for name in ("failed", "duration_sum_s")
        )
        return Windows(float(width), starts, sums["total"] / minutes, sums["errors"] / minutes, failed, mean_s, _p95(counts))

    def _bounds(self, said: pa.Table, width: int) -> Bounds:
        """Return the bounds that predictions, oldest first, were made with: each is as of the end of the window that it judged."""
        end = _numbers(said, "as_of")
        _, first, places = np.unique((end - self.tick_s) // width, return_index=True, return_inverse=True)
        last = np.append(first[1:], len(end))[: len(first)] - 1

        def mean(name: str) -> Array:
            values = _numbers(said, name) * (60.0 / self.tick_s if name in BOUNDS["errors"] else 1.0)
            known = np.isfinite(values)
            number = np.bincount(places[known], minlength=len(first))
            total = np.bincount(places[known], values[known], minlength=len(first))
            return np.divide(total, number, out=np.full(len(first), np.nan), where=number > 0)

        sides = {signal: (mean(lower), mean(upper)) for signal, (lower, upper) in BOUNDS.items()}
        return Bounds(end[first] - self.tick_s, end[last], sides)

    def _versions(self, tenant: str, service: str, since: int) -> dict[str, float]:
        rows = self._history.read(
            "facts", since=since, tenant=tenant, service=service, columns=("kind", "name", "window")
        ).filter(pc.field("kind") == "version")
        first = rows.group_by("name").aggregate([("window", "min")])
        return dict(zip(first["name"].to_pylist(), map(float, first["window_min"].to_pylist()), strict=True))

    def _read(self, table: str, since: int, tenant: str, service: str | None, columns: tuple[str, ...]) -> pa.Table:
        rows = self._history.read(table, since=since, tenant=tenant, service=service, columns=columns)
        return rows.filter(pc.field("operation") == WHOLE)


def _forecasts(said: pa.Table, width: int) -> Forecasts:
    as_of = _numbers(said, "as_of")
    last = np.flatnonzero(np.diff(as_of // width, append=np.inf))  # of every bin
    begun = np.array(said["status"].to_pylist(), object)[last] == IN_INCIDENT
    chances = {name: np.where(begun, np.nan, _numbers(said, column)[last]) for name, column in CHANCES.items()}
    return Forecasts(float(width), as_of[last], chances)


def _numbers(rows: pa.Table, name: str) -> Array:
    return rows[name].to_numpy().astype(np.float64)


def _histogram(rows: pa.Table) -> Array:
    """Return the duration histograms as a matrix, zeros where a row has none."""
    found = np.zeros((rows.num_rows, len(BUCKETS) + 1))
    for number, values in enumerate(rows["histogram"].to_pylist()):
        if values:
            found[number, : len(values)] = values
    return found


def _p95(counts: Array) -> Array:
    """Return by row of counts the 95th percentile, as if durations lay evenly on the bucket's scale of powers of 2.

    Examples
    --------
    >>> counts = np.zeros((2, len(BUCKETS) + 1))
    >>> counts[0, 3] = 20.0
    >>> _p95(counts).round(6).tolist()
    [0.003956, nan]
    """
    total = counts.sum(axis=1)
    bounds = np.array([*BUCKETS, 2 * BUCKETS[-1]])
    reached = np.cumsum(counts, axis=1)
    place = (reached >= _P95 * total[:, None]).argmax(axis=1)
    within, rows = counts[np.arange(len(counts)), place], np.arange(len(counts))
    missing = np.divide(reached[rows, place] - _P95 * total, within, out=np.zeros(len(counts)), where=within > 0)
    return np.where(total > 0, bounds[place] * 2.0**-missing, np.nan)
