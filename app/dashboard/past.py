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

from app.history.contract import History
from app.history.tables import CHANCES
from features.batch import BUCKETS
from features.series import WHOLE

__all__ = ["Array", "Forecasts", "Past", "ServicePast", "Windows"]

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
        A minute.
    failed : array
        Share of the requests; NaN without any.
    p95_s : array
        Duration that one request in twenty exceeds; NaN where none was timed.
    """

    width_s: float
    start_s: Array
    requests: Array
    errors: Array
    failed: Array
    p95_s: Array


@dataclass(frozen=True, slots=True)
class Forecasts:
    """What was forecast of a service: unix seconds, rising, and the probability by horizon."""

    as_of_s: Array
    horizons: dict[str, Array]


@dataclass(frozen=True, slots=True)
class ServicePast:
    """All that a service's page draws of history; versions by name with the unix second at which each spoke first."""

    windows: Windows
    forecasts: Forecasts
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
        self._history = history
        self._now = now
        self._tick_s = tick_s

    def sparks(self, tenant: str) -> dict[str, list[tuple[float, float]]]:
        """Return the last hour's 60-minute probability of every service, oldest first, each behind the unix second it is as of."""
        since = int(self._now().timestamp() - _SPARK_S)
        rows = self._read("predictions", since, tenant, None, ("service", "operation", "as_of", "p60"))
        rows = rows.sort_by("as_of")
        found: dict[str, list[tuple[float, float]]] = {}
        for service, at, value in zip(*(rows[name].to_pylist() for name in ("service", "as_of", "p60")), strict=True):
            found.setdefault(service, []).append((float(at), value))
        return found

    def service(self, tenant: str, service: str, range_s: float) -> ServicePast:
        """Return the past of a service, in at most some hundred points."""
        since = int(self._now().timestamp() - range_s)
        width = self._tick_s * max(1, int(np.ceil(range_s / self._tick_s / _POINTS)))
        return ServicePast(
            self._windows(tenant, service, since, width),
            self._forecasts(tenant, service, since, width),
            self._versions(tenant, service, since),
        )

    def _windows(self, tenant: str, service: str, since: int, width: int) -> Windows:
        rows = self._read("windows", since, tenant, service, ("operation", "window", *_SUMMED, "histogram"))
        starts, places = np.unique(_numbers(rows, "window") // width * width, return_inverse=True)
        minutes = width / 60.0

        def summed(values: Array) -> Array:
            return np.bincount(places, values, minlength=len(starts)).astype(np.float64)

        sums = {name: summed(_numbers(rows, name)) for name in _SUMMED}
        histogram = _histogram(rows)
        counts = np.column_stack([summed(histogram[:, k]) for k in range(histogram.shape[1])])
        failed = np.divide(sums["failed"], sums["total"], out=np.full(len(starts), np.nan), where=sums["total"] > 0)
        return Windows(float(width), starts, sums["total"] / minutes, sums["errors"] / minutes, failed, _p95(counts))

    def _forecasts(self, tenant: str, service: str, since: int, width: int) -> Forecasts:
        rows = self._read("predictions", since, tenant, service, ("operation", "as_of", *CHANCES.values())).sort_by("as_of")
        as_of = _numbers(rows, "as_of")
        last = np.flatnonzero(np.diff(as_of // width, append=np.inf))  # of every bin
        return Forecasts(as_of[last], {name: _numbers(rows, column)[last] for name, column in CHANCES.items()})

    def _versions(self, tenant: str, service: str, since: int) -> dict[str, float]:
        rows = self._history.read(
            "facts", since=since, tenant=tenant, service=service, columns=("kind", "name", "window")
        ).filter(pc.field("kind") == "version")
        first = rows.group_by("name").aggregate([("window", "min")])
        return dict(zip(first["name"].to_pylist(), map(float, first["window_min"].to_pylist()), strict=True))

    def _read(self, table: str, since: int, tenant: str, service: str | None, columns: tuple[str, ...]) -> pa.Table:
        rows = self._history.read(table, since=since, tenant=tenant, service=service, columns=columns)
        return rows.filter(pc.field("operation") == WHOLE)


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
