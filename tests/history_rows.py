"""Rows of history by their places in the log, and what a test expects of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import pyarrow as pa

from app.history.tables import rows_schema

__all__ = ["facts", "once", "places", "predictions", "span"]


def facts(places: Sequence[tuple[int, int]], window: Callable[[int], int] = lambda offset: 60 * offset) -> pa.Table:
    """Return one fact for each (partition, offset)."""
    row = {"tenant": "default", "service": "payment", "received": 0, "kind": "level", "name": "heap", "value": 1.0}
    places = list(places)
    rows = [row | {"window": window(offset), "partition": partition, "offset": offset} for partition, offset in places]
    return pa.Table.from_pylist(rows, rows_schema("facts"))


def predictions(partition: int, offset: int) -> pa.Table:
    """Return one prediction at a place."""
    row = dict.fromkeys(rows_schema("predictions").names) | {"as_of": 60 * offset, "partition": partition, "offset": offset}
    return pa.Table.from_pylist([row], rows_schema("predictions"))


def places(rows: pa.Table) -> Counter[tuple[int, int]]:
    """Return how often each (partition, offset) is there."""
    return Counter(zip(rows["partition"].to_pylist(), rows["offset"].to_pylist(), strict=True))


def span(partition: int, first: int, last: int) -> list[tuple[int, int]]:
    """Return the places of a partition from one offset to another."""
    return [(partition, offset) for offset in range(first, last + 1)]


def once(expected: Sequence[tuple[int, int]]) -> Counter[tuple[int, int]]:
    """Return each place once."""
    return Counter(dict.fromkeys(expected, 1))
