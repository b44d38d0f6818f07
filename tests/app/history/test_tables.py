"""Rows of history: what does not fit a table is refused, and every row knows its day."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from types import MappingProxyType

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.history.tables import SCHEMAS, conform, day_of, empty, errors_table, rows_schema
from features.errors import InvalidValue
from features.event import ErrorEvent


def fact(**changed: object) -> pa.Table:
    row = dict.fromkeys(rows_schema("facts").names) | {"window": 0, "partition": 0, "offset": 1}
    return pa.Table.from_pylist([row | changed], rows_schema("facts"))


def an_event(time: datetime) -> ErrorEvent:
    return ErrorEvent(
        time=time,
        received_at=time + timedelta(seconds=1),
        tenant="default",
        service="payment",
        operation="*",
        category="network",
        kind="timeout",
        severity=17,
        retryable=True,
        transient=True,
        fingerprint="f",
        attributes={"error.type": "Zeitüberschreitung", "a": "1"},
    )


@given(st.integers(0, 4_000_000_000))
def test_a_row_carries_the_day_of_its_time(time_s: int) -> None:
    assert conform("facts", fact(window=time_s))["day"].to_pylist() == [day_of(time_s)]


def test_an_error_event_becomes_a_row_in_utc_with_its_attributes_as_json() -> None:
    event = an_event(datetime(2026, 1, 1, 1, 30, 0, 5, tzinfo=timezone(timedelta(hours=2))))
    table = errors_table([event])
    for name, value in (("partition", 3), ("offset", 7)):
        table = table.append_column(name, pa.array([value]))
    rows = conform("errors", table)
    assert rows.schema == SCHEMAS["errors"]
    row = rows.to_pylist()[0]
    assert (row["time"], row["day"]) == (datetime(2025, 12, 31, 23, 30, 0, 5, tzinfo=UTC), "2025-12-31")
    assert json.loads(row["attributes"]) == event.attributes
    assert (row["partition"], row["offset"], row["kind"]) == (3, 7, "timeout")


def test_no_events_are_a_table_without_rows() -> None:
    table = errors_table([])
    for name in ("partition", "offset"):
        table = table.append_column(name, pa.array([], pa.int64()))
    assert conform("errors", table) == empty("errors")


def test_columns_may_come_in_any_order_and_type_that_fits() -> None:
    rows = fact(service="payment").select(rows_schema("facts").names[::-1]).append_column("extra", pa.array([1]))
    place = rows.column_names.index("service")
    rows = rows.set_column(place, "service", rows["service"].dictionary_encode())
    assert conform("facts", rows).schema == SCHEMAS["facts"]


def test_a_missing_column_is_named() -> None:
    with pytest.raises(InvalidValue, match=r"\['value'\]"):
        conform("facts", fact().drop_columns(["value"]))


@pytest.mark.parametrize("column", ["window", "partition", "offset"])
def test_a_row_without_time_or_place_is_refused(column: str) -> None:
    with pytest.raises(InvalidValue, match=f"{column} of facts must not be null"):
        conform("facts", fact(**{column: None}))


def test_a_column_of_another_type_is_refused() -> None:
    rows = fact()
    rows = rows.set_column(rows.column_names.index("value"), "value", pa.array(["many"]))
    with pytest.raises(InvalidValue, match="do not fit"):
        conform("facts", rows)


@given(
    st.lists(
        st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"])))
    )
)
def test_attributes_of_any_text_are_told_apart(attributes: list[dict[str, str]]) -> None:
    event = an_event(datetime(2026, 1, 1, tzinfo=UTC))
    table = errors_table([replace(event, attributes=MappingProxyType(each)) for each in attributes])
    table.validate(full=True)
    assert [json.loads(text) for text in table["attributes"].to_pylist()] == attributes
