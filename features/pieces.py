"""One request cut by partition, so that everything of a service is read in one place.

`app.ingest.receive` cuts what a decoder made of a body; each piece becomes a message of the log.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TypeVar

import numpy as np

from features.arrays import FloatArray, IntArray, UInt64Array
from features.batch import Batch
from features.series import partition_of

__all__ = ["split"]

T = TypeVar("T")

# Guessed: some ten megabytes at the most, and every service of an ordinary installation.
_MAX_TENANTS = 64
_MAX_NAMES = 1024
_MAX_NAME_CHARS = 128

_PARTITIONS_A_JOIN = 8  # with one a partition, half of the messages of a request of 512 spans carried nothing but ends


def split(batch: Batch, tenant: str, n_partitions: int) -> dict[int, Batch]:
    """Cut a Batch by partition.

    What belongs to a service goes to the service's partition; span ends go to the partition of
    their trace, where both ends meet. Of eight partitions one takes ends: a request brings those of many
    traces, and a message for each of the partitions would cost more than all that the ends say.

    Parameters
    ----------
    batch : Batch
        A whole request.
    tenant : str
        The tenant, part of every partition key.
    n_partitions : int
        How many partitions there are.

    Returns
    -------
    dict of int to Batch
        Only partitions that receive something, in order; `n_records`, `counters` and `rejected` stay with the
        whole. What is cut brings only the rows of its table that it uses: the others belong to other partitions.

    Examples
    --------
    >>> from features.batch import Level
    >>> one = Batch("metrics", 1, levels=(Level("payment", "heap", 0, 1.0),))
    >>> [piece.levels[0].name for piece in split(one, "default", 8).values()]
    ['heap']
    """
    homes = _homes(tenant, n_partitions)
    groups = _groups(batch, homes)
    ends = _ends(batch, n_partitions)
    errors = _by_home(batch.errors, [record.service for record in batch.errors], homes)
    levels = _by_home(batch.levels, [level.service for level in batch.levels], homes)
    calls = _by_home(batch.calls, [call.caller for call in batch.calls], homes)
    presences = _by_home(batch.presences, [presence.service for presence in batch.presences], homes)
    durations = _by_home(batch.durations, [point.service for point in batch.durations], homes)
    used = {*groups, *ends, *errors, *levels, *calls, *presences, *durations}
    return {
        home: Batch(
            batch.signal,
            0,
            *groups.get(home, _NO_GROUPS),
            tuple(errors.get(home, ())),
            tuple(levels.get(home, ())),
            tuple(calls.get(home, ())),
            *ends.get(home, _NO_ENDS),
            tuple(presences.get(home, ())),
            tuple(durations.get(home, ())),
        )
        for home in sorted(used)
    }


class _Homes(dict[str, int]):
    """Partitions of a tenant's services, each computed once."""

    def __init__(self, tenant: str, n_partitions: int) -> None:
        super().__init__()
        self._tenant = tenant
        self._n_partitions = n_partitions

    def __missing__(self, name: str) -> int:
        home = partition_of(self._tenant, name, self._n_partitions)
        if len(name) <= _MAX_NAME_CHARS:
            if len(self) >= _MAX_NAMES:
                self.clear()
            self[name] = home
        return home


_homes = lru_cache(_MAX_TENANTS)(_Homes)

_Series = tuple[str, str]
_Groups = tuple[tuple[_Series, ...], IntArray, IntArray, FloatArray, FloatArray]
"""`series`, `group_series`, `group_time_s`, `counts`, `histogram` of a piece."""

_Ends = tuple[UInt64Array, UInt64Array, IntArray, IntArray, tuple[str, ...]]
"""`end_trace`, `end_span`, `end_service`, `end_role`, `services` of a piece."""

_EMPTY = Batch("")
_NO_GROUPS: _Groups = (), _EMPTY.group_series, _EMPTY.group_time_s, _EMPTY.counts, _EMPTY.histogram
_NO_ENDS: _Ends = _EMPTY.end_trace, _EMPTY.end_span, _EMPTY.end_service, _EMPTY.end_role, ()


def _by_home(items: Sequence[T], services: Iterable[str], homes: Mapping[str, int]) -> dict[int, list[T]]:
    found: dict[int, list[T]] = {}
    for item, service in zip(items, services, strict=True):
        found.setdefault(homes[service], []).append(item)
    return found


def _groups(batch: Batch, homes: Mapping[str, int]) -> dict[int, _Groups]:
    """Cut the traffic groups; all of a series go to one partition, and so does its row of the table."""
    if not len(batch.group_series):
        return {}
    row_homes = [homes[service] for service, _ in batch.series]
    tables: dict[int, list[_Series]] = {}
    places: list[int] = []
    for row, home in zip(batch.series, row_homes, strict=True):
        table = tables.setdefault(home, [])
        places.append(len(table))
        table.append(row)
    if len(tables) == 1:
        whole = batch.series, batch.group_series, batch.group_time_s, batch.counts, batch.histogram
        return {row_homes[0]: whole}
    group_homes = np.array(row_homes, np.int64)[batch.group_series]
    order = group_homes.argsort(kind="stable")
    series: IntArray = np.array(places, np.int64)[batch.group_series].take(order)
    time_s = batch.group_time_s.take(order)
    counts, histogram = batch.counts.take(order, 0), batch.histogram.take(order, 0)
    used = sorted(tables)
    bounds = [*group_homes.take(order).searchsorted(used).tolist(), len(order)]
    return {
        home: (tuple(tables[home]), series[low:high], time_s[low:high], counts[low:high], histogram[low:high])
        for home, low, high in zip(used, bounds, bounds[1:], strict=False)
        if low < high
    }


def _ends(batch: Batch, n_partitions: int) -> dict[int, _Ends]:
    """Cut the span ends by trace."""
    n_ends, n_services = len(batch.end_trace), len(batch.services)
    if not n_ends:
        return {}
    n_joining = max(n_partitions // _PARTITIONS_A_JOIN, 1)
    if n_joining == 1:  # of up to fifteen partitions: all stay together, and so does their table
        return {0: (batch.end_trace, batch.end_span, batch.end_service, batch.end_role, batch.services)}
    # The hash itself is the key here: both ends carry the same one, whatever request they came in.
    homes = (batch.end_trace % np.uint64(n_joining)).view(np.int64) * (n_partitions // n_joining)
    keys = homes * n_services + batch.end_service
    order = keys.argsort(kind="stable")
    keys = keys.take(order)
    # Each run of a key is one row of its partition's table.
    runs = np.concatenate([_FIRST, keys[1:] != keys[:-1]])
    starts = np.flatnonzero(runs)
    places: list[int] = []
    tables: dict[int, list[str]] = {}
    lows: list[int] = []
    for key, start in zip(keys.take(starts).tolist(), starts.tolist(), strict=True):
        home, service = divmod(key, n_services)
        if home not in tables:
            tables[home] = []
            lows.append(start)
        places.append(len(tables[home]))
        tables[home].append(batch.services[service])
    services: IntArray = np.array(places, np.int64).take(runs.cumsum() - 1)
    trace, span, role = batch.end_trace.take(order), batch.end_span.take(order), batch.end_role.take(order)
    return {
        home: (trace[low:high], span[low:high], services[low:high], role[low:high], tuple(table))
        for (home, table), low, high in zip(tables.items(), lows, [*lows[1:], n_ends], strict=True)
    }


_FIRST = np.array([True])
