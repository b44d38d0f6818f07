"""The tables of history: names, columns, and which column is a row's time.

`app.worker` builds rows with `rows_schema`; `app.history.delta` stores them; notebooks read them.
Every row carries the partition and the log offset it came from, and the UTC day of its time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.batch import CHANNELS
from features.errors import InvalidValue
from features.event import ErrorEvent

__all__ = [
    "ADDED",
    "BOUNDS",
    "CHANCES",
    "DAY_S",
    "SCHEMAS",
    "TIMES",
    "conform",
    "day_of",
    "empty",
    "errors_table",
    "rows_schema",
]

TIMESTAMP = pa.timestamp("us", tz="UTC")

_KEY = [("tenant", pa.string()), ("service", pa.string())]
_SERIES = [*_KEY, ("operation", pa.string())]
_PLACE = [("partition", pa.int32()), ("offset", pa.int64()), ("day", pa.string())]

CHANCES = {"5min": "p5", "15min": "p15", "60min": "p60"}
"""Columns of predictions that hold probabilities, by horizon."""

BOUNDS = {"errors": ("errors_lower", "errors_upper"), "latency": ("latency_lower", "latency_upper")}
"""Columns of predictions that hold the bounds within which the last window was normal, by signal (`models.prediction.SIGNALS`)."""

SCHEMAS = {
    "windows": pa.schema(
        [
            *_SERIES,
            ("window", pa.int64()),
            ("received", pa.int64()),
            *((name, pa.float32()) for name in CHANNELS),
            ("histogram", pa.list_(pa.float32())),
            *_PLACE,
        ]
    ),
    "facts": pa.schema(
        [
            *_KEY,
            ("window", pa.int64()),
            ("received", pa.int64()),
            ("kind", pa.string()),
            ("name", pa.string()),
            ("value", pa.float64()),
            *_PLACE,
        ]
    ),
    "errors": pa.schema(
        [
            ("time", TIMESTAMP),
            ("received_at", TIMESTAMP),
            *_SERIES,
            ("category", pa.string()),
            ("kind", pa.string()),
            ("severity", pa.int32()),
            ("retryable", pa.bool_()),
            ("transient", pa.bool_()),
            ("fingerprint", pa.string()),
            ("trace_id", pa.string()),
            ("span_id", pa.string()),
            ("exception_type", pa.string()),
            ("message", pa.string()),
            ("stack", pa.string()),
            ("attributes", pa.string()),
            ("weight", pa.float64()),
            *_PLACE,
        ]
    ),
    "predictions": pa.schema(
        [
            *_SERIES,
            ("as_of", pa.int64()),
            *((name, pa.float32()) for name in CHANCES.values()),
            ("status", pa.string()),
            ("model_version", pa.string()),
            ("id", pa.string()),
            *((name, pa.float32()) for names in BOUNDS.values() for name in names),
            *_PLACE,
        ]
    ),
    "incidents": pa.schema(
        [
            *_SERIES,
            ("start", pa.int64()),
            ("detected_at", pa.int64()),
            ("ended", pa.int64()),
            ("id", pa.string()),
            ("source", pa.string()),
            ("category", pa.string()),
            *_PLACE,
        ]
    ),
}
"""Columns by table.

``windows`` are increments: what a series' window (unix second of its start) gained at the tick ``received``;
what was known at a time is the sum of the increments received by then. ``facts`` are numbers of a
service's window in long form (category counts, new fingerprints, levels, versions, edges).
``incidents`` are events: a row at detection with ``ended`` null, another one at the end. The bounds of ``predictions`` are
errors of a window and seconds of its mean duration, null of operations and where nothing was judged.
"""

TIMES = {"windows": "window", "facts": "window", "errors": "time", "predictions": "as_of", "incidents": "start"}
"""The column of each table that `History.read` filters and ``day`` is made of."""

ADDED = {"served": 0.0, "weight": 1.0}
"""Columns that earlier releases did not write, and what stands for them in the rows of these; others of them, as `BOUNDS`, are null there."""

DAY_S = 86_400


def day_of(time_s: int) -> str:
    """Return the UTC day of a unix second.

    Examples
    --------
    >>> day_of(86_400)
    '1970-01-02'
    """
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d")


def rows_schema(name: str) -> pa.Schema:
    """Return the columns that a caller of `History.append` fills: all but ``day``.

    Raises
    ------
    InvalidValue
        When there is no such table.

    Examples
    --------
    >>> rows_schema("incidents").names[-4:]
    ['source', 'category', 'partition', 'offset']
    """
    return pa.schema([field for field in _schema(name) if field.name != "day"])


def empty(name: str) -> pa.Table:
    """Return a table without rows.

    Examples
    --------
    >>> empty("facts").num_rows
    0
    """
    return _schema(name).empty_table()


def conform(name: str, rows: pa.Table) -> pa.Table:
    """Return rows with exactly the table's columns and types, ``day`` added.

    Parameters
    ----------
    name : str
        The table.
    rows : pyarrow.Table
        Columns of `rows_schema` in any order; further ones are left out.

    Raises
    ------
    InvalidValue
        When a column is missing, cannot take its type, or a time, partition or offset is null.

    Examples
    --------
    >>> row = dict.fromkeys(rows_schema("facts").names) | {"window": 0, "partition": 1, "offset": 7}
    >>> conform("facts", pa.Table.from_pylist([row], rows_schema("facts")))["day"].to_pylist()
    ['1970-01-01']
    """
    schema = rows_schema(name)
    missing = [column for column in schema.names if column not in rows.column_names]
    if missing:
        raise InvalidValue(f"rows of {name} must have the columns {missing}, got {rows.column_names}")
    try:
        rows = rows.select(schema.names).cast(schema)
        # Without a zone: UTC already, and a zone would need the time zone database of the system.
        times = rows[TIMES[name]].cast(pa.timestamp("us" if name == "errors" else "s"))
        day = pc.call_function("strftime", [times], pc.StrftimeOptions("%Y-%m-%d"))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as exc:
        raise InvalidValue(f"rows of {name} do not fit its columns: {exc}") from exc
    for column in (TIMES[name], "partition", "offset"):
        if rows[column].null_count:
            raise InvalidValue(f"{column} of {name} must not be null, got {rows[column].null_count} nulls")
    return rows.append_column("day", day)


def errors_table(events: Sequence[ErrorEvent]) -> pa.Table:
    """Return ErrorEvents as rows of ``errors``, but for the place in the log that they came from.

    Parameters
    ----------
    events : sequence of ErrorEvent
        In any order.

    Returns
    -------
    pyarrow.Table
        Each stack trace once, in a dictionary: errors that come together mostly share it.
    """
    schema = rows_schema("errors")
    columns = zip(*map(_ERROR_FIELDS, events), strict=True) if events else [()] * len(_COLUMN_OF)
    arrays = {name: _column(name, values, schema) for name, values in zip(_COLUMN_OF, columns, strict=True)}
    return pa.table(arrays)


_COLUMN_OF = [field.name for field in SCHEMAS["errors"] if field.name not in dict(_PLACE)]
_ERROR_FIELDS = attrgetter(*_COLUMN_OF)
_attributes = msgspec.json.Encoder(order="sorted").encode_lines


def _column(name: str, values: Sequence[Any], schema: pa.Schema) -> pa.Array:
    if name == "stack":
        return pa.DictionaryArray.from_arrays(*_distinct(values, schema.field(name).type))
    if name == "received_at":  # one for all errors of a request
        places, distinct = _distinct(values, schema.field(name).type)
        return distinct.take(places)
    if name == "attributes":
        return _json(values)
    return pa.array(values, schema.field(name).type)


def _distinct(values: Sequence[Any], kind: pa.DataType) -> tuple[pa.Array, pa.Array]:
    """Return the place of each value among the distinct ones, and these."""
    distinct: dict[Any, int] = {}
    places = [distinct.setdefault(value, len(distinct)) for value in values]
    return pa.array(places, pa.int32()), pa.array(list(distinct), kind)


def _json(values: Sequence[Mapping[str, str]]) -> pa.Array:
    """Return mappings as texts of JSON, all encoded at once into the bytes that the column consists of."""
    lines = _attributes([each if isinstance(each, dict) else dict(each) for each in values])
    # Within JSON a line's end is escaped, so those that are found stand behind each text; without them the texts touch.
    ends = np.flatnonzero(np.frombuffer(lines, np.uint8) == ord("\n"))
    offsets = np.concatenate([[0], ends - np.arange(len(ends))]).astype(np.int32)
    return pa.StringArray.from_buffers(len(values), pa.py_buffer(offsets), pa.py_buffer(lines.replace(b"\n", b"")))


def _schema(name: str) -> pa.Schema:
    if name not in SCHEMAS:
        raise InvalidValue(f"table must be one of {sorted(SCHEMAS)}, got {name!r}")
    return SCHEMAS[name]
