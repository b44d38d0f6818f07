"""What was predicted, read back from history for thresholds and for the question why nothing fired.

`app.parts` gives it the history; `app.alerts.fitting` and `app.api.explain` ask.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.alerts.budget import DAY_S, Said
from app.alerts.evaluation import HELD
from app.alerts.explain import Point
from app.alerts.routes import Route
from app.history.contract import History
from app.history.tables import CHANCES
from features.arrays import FloatArray, IntArray

__all__ = ["Past", "points_of", "said_of"]

_COLUMNS = ("service", "operation", "as_of", "status", *CHANCES.values())


@dataclass(frozen=True, slots=True)
class Past:
    """Reads predictions of history.

    Parameters
    ----------
    history : History
        Where they lie.
    """

    history: History

    def days(self, tenant: str, since_s: int, until_s: int) -> Iterator[pa.Table]:
        """Yield the predictions of a tenant in ``[since_s, until_s)``, day by day, so that no more than a day is in memory."""
        start = since_s
        while start < until_s:
            end = min((start // DAY_S + 1) * DAY_S, until_s)
            yield self.history.read("predictions", since=start, until=end, tenant=tenant, columns=_COLUMNS)
            start = end

    def points(self, tenant: str, service: str, operation: str, since: datetime, until: datetime) -> dict[str, list[Point]]:
        """Return what was said of a series from one time to another, both included, by horizon."""
        since_s, until_s = int(since.timestamp()), int(until.timestamp()) + 1
        table = self.history.read("predictions", since=since_s, until=until_s, tenant=tenant, service=service, columns=_COLUMNS)
        return points_of(table.filter(pc.field("operation") == operation))


def points_of(table: pa.Table) -> dict[str, list[Point]]:
    """Return the rows of one series in order of time, by horizon."""
    table = table.sort_by("as_of")
    at, status = table["as_of"].to_pylist(), table["status"].to_pylist()
    return {
        horizon: [Point(float(a), p, s) for a, p, s in zip(at, table[column].to_pylist(), status, strict=True)]
        for horizon, column in CHANCES.items()
    }


def said_of(days: Iterable[pa.Table], tenant: str, route: Route, floor: float = 0.0) -> tuple[Said, int, int]:
    """Return what was said of the series of a route, in order, how many these are, and how often something was said.

    Parameters
    ----------
    days : iterable of pyarrow.Table
        As `Past.days` yields them.
    tenant : str
        Whose.
    route : Route
        Which series and which horizon.
    floor : float
        What is below says only that nothing is to be said, and is left out where the row before is too, see `Said.thinned`: a day of
        10,000 series is 14 million rows, and nearly all of them are calm.
    """
    chosen, parts, n_rows = _Chosen(tenant, route), list[Said](), 0
    for table in days:
        p, series, as_of_s = chosen.rows(table)
        n_rows += len(p)
        parts.append(Said.ordered(p, series, np.array(chosen.page_of, np.int64)[series], as_of_s).thinned(floor))
    p = np.concatenate([np.zeros(0), *(part.p for part in parts)])
    none = np.zeros(0, np.int64)
    series = np.concatenate([none, *(part.series for part in parts)])
    page = np.concatenate([none, *(part.page for part in parts)])
    as_of_s = np.concatenate([none, *(part.as_of_s for part in parts)])
    return Said.ordered(p, series, page, as_of_s), len(chosen.page_of), n_rows


class _Chosen:
    """Numbers the series of a route and what their pages are of."""

    def __init__(self, tenant: str, route: Route) -> None:
        self.tenant = tenant
        self.route = route
        self.page_of: list[int] = []
        self._numbers: dict[tuple[str, str], int] = {}
        self._pages: dict[str, int] = {}

    def rows(self, table: pa.Table) -> tuple[FloatArray, IntArray, IntArray]:
        """Return probability, number and time of the rows of a table that the route takes."""
        services, service = _codes(table, "service")
        operations, operation = _codes(table, "operation")
        names, of_row = np.unique(service * max(len(operations), 1) + operation, return_inverse=True)
        pairs = [divmod(int(name), len(operations)) for name in names]
        numbers = np.array([self._number(services[s], operations[o]) for s, o in pairs] or [-1], np.int64)
        series = numbers[of_row] if len(names) else np.zeros(0, np.int64)
        statuses, status = _codes(table, "status")
        held = np.array([name in HELD for name in statuses] or [False])[status]
        p = np.where(held, np.nan, table[CHANCES[self.route.horizon]].to_numpy().astype(np.float64))
        taken = series >= 0
        return p[taken], series[taken], table["as_of"].to_numpy().astype(np.int64)[taken]

    def _number(self, service: str, operation: str) -> int:
        if not self.route.selects(self.tenant, service, operation):
            return -1
        if (service, operation) not in self._numbers:
            self._numbers[service, operation] = len(self._numbers)
            self.page_of.append(self._pages.setdefault(self.route.page_key(service), len(self._pages)))
        return self._numbers[service, operation]


def _codes(table: pa.Table, column: str) -> tuple[list[str], IntArray]:
    """Return the names in a column and the number of each row's, since millions of rows have few names."""
    encoded = table[column].combine_chunks().dictionary_encode()
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy().astype(np.int64)
