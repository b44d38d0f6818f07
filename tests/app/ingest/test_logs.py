"""What is counted of log records."""

from __future__ import annotations

from typing import Any

import pytest

from app.ingest.limits import Limits
from app.ingest.logs import severity_of
from app.ingest.otlp import decode
from features.batch import Batch
from tests.app.ingest.requests import TRACE, a_log, as_json, attributes, count, logs, span_id

EXCEPTION: dict[str, object] = {"exception.type": "E", "exception.message": "m", "exception.stacktrace": "s"}


def read(*records: dict[str, Any], limits: Limits | None = None) -> Batch:
    return decode(as_json(logs(*records)), "logs", "json", limits=limits or Limits())


def test_records_count_by_severity_in_the_row_of_the_whole_service() -> None:
    batch = read(*[a_log(severity) for severity in (1, 9, 12, 13, 16, 17, 20, 21, 24)])
    assert batch.series == (("cart", "*"),)
    assert (batch.n_records, count(batch, "logs"), count(batch, "warnings"), count(batch, "errors")) == (9, 9, 2, 4)
    assert [error.severity for error in batch.errors] == [17, 20, 21, 24]
    assert count(batch, "total") == 0


@pytest.mark.parametrize(("word", "errors", "warnings"), [("Error", 1, 0), ("WARNING", 0, 1), ("fatal", 1, 0), ("note", 0, 0)])
def test_an_unspecified_severity_is_read_from_its_text(word: str, errors: int, warnings: int) -> None:
    batch = read(a_log(0, severityText=word))
    assert (count(batch, "errors"), count(batch, "warnings")) == (errors, warnings)


def test_an_error_record_is_described_by_its_exception() -> None:
    (error,) = read(a_log(traceId=TRACE.upper(), spanId=span_id(3), attributes={**EXCEPTION, "thread.name": "main"})).errors
    assert (error.source, error.operation, error.exception_type, error.message, error.stack) == ("log", "*", "E", "m", "s")
    assert (error.trace_id, error.span_id, error.attributes) == (TRACE, span_id(3), {"thread.name": "main"})


def test_without_an_exception_the_body_is_the_message() -> None:
    assert read(a_log()).errors[0].message == "it broke"


@pytest.mark.parametrize(
    ("fields", "message"),
    [({"level": "E", "msg": "no route"}, "no route"), ({"a": 1, "b": [True, 1.5]}, "{a: 1, b: [true, 1.5]}"), ({}, "{}")],
)
def test_of_a_structured_body_the_message_is_taken(fields: dict[str, object], message: str) -> None:
    body = {"kvlistValue": {"values": attributes(fields)}}
    assert read(a_log(body=body)).errors[0].message == message


def test_exceptions_below_error_are_handled_and_a_warning_counts_as_one_too() -> None:
    batch = read(a_log(13, attributes=EXCEPTION), a_log(5, attributes=EXCEPTION), a_log(17, attributes=EXCEPTION))
    assert (count(batch, "handled"), count(batch, "warnings"), count(batch, "errors")) == (2, 1, 1)


def test_a_record_without_a_time_has_the_time_it_was_observed() -> None:
    batch = read(a_log(timeUnixNano="0", observedTimeUnixNano=str(240 * 10**9)))
    assert (batch.errors[0].time_ns, batch.group_time_s.tolist()) == (240 * 10**9, [240])


def test_a_negative_time_is_counted_and_stands_apart() -> None:
    batch = read(a_log(timeUnixNano="-6795364578871345152"))
    assert (batch.errors[0].time_ns, batch.group_time_s.tolist(), batch.counters) == (-1, [-1], {"times_invalid": 1})


def test_errors_beyond_the_limit_are_counted_and_not_looked_into() -> None:
    batch = read(*[a_log()] * 4, limits=Limits(max_errors_per_request=0))
    assert (batch.errors, count(batch, "errors"), batch.counters) == ((), 4, {"errors_not_decoded": 4})


def test_records_beyond_the_rows_are_refused() -> None:
    other = a_log(timeUnixNano=str(600 * 10**9))
    batch = read(a_log(), other, other, limits=Limits(max_rows=1))
    assert (batch.n_records, batch.rejected) == (1, 2)
    assert "1 rows" in batch.reason


@pytest.mark.parametrize("word", ["\u017fevere", "\u2003error", "ERROR\xa0", "\uff45rror", "err\u00f6r"])
def test_a_text_beyond_ascii_says_no_severity(word: str) -> None:
    assert severity_of(0, word) == 0
    assert read(a_log(0, severityText=word)).errors == ()
