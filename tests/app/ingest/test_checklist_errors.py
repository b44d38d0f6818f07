"""The checklist of OTLP 1.11, what an error is: items 20 to 24 of docs/otlp.md, over every way in."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from features.event import ErrorRecord
from tests.app.ingest.requests import SECOND, TRACE, a_log, a_span, logs, span_id, traces
from tests.app.ingest.servers import stored_log
from tests.app.ingest.wire import WAYS, Wire, open_wire
from tests.lines import open_line

THROWN = {"exception.type": "ValueError", "exception.message": "bad", "exception.stacktrace": "at cart.py:7"}


@pytest.fixture(params=WAYS)
def wire(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Wire, None, None]:
    with stored_log(tmp_path) as log, open_wire(log, request.param) as found:
        yield found


def errors(wire: Wire) -> list[ErrorRecord]:
    return [error for message in wire.ingest.messages() for error in message.batch.errors]


def totals(wire: Wire, *names: str) -> tuple[float, ...]:
    return tuple(wire.ingest.total(name) for name in names)


def an_exception() -> dict[str, Any]:
    values = [{"key": key, "value": {"stringValue": value}} for key, value in THROWN.items()]
    return {"name": "exception", "timeUnixNano": str(120 * SECOND), "attributes": values}


@pytest.mark.parametrize(("code", "n_errors"), [(0, 0), (1, 0), (2, 1)])
def test_item_20_a_span_fails_by_its_status(wire: Wire, code: int, n_errors: int) -> None:
    wire.send("traces", traces(a_span(status={"code": code, "message": "why"})))
    assert (totals(wire, "errors", "failed"), len(errors(wire))) == ((n_errors, n_errors), n_errors)


def test_item_20_an_exception_alone_is_handled_and_no_failure(wire: Wire) -> None:
    wire.send("traces", traces(a_span(events=[an_exception()])))
    assert totals(wire, "errors", "failed", "handled") == (0, 0, 1)


def test_item_20_an_exception_describes_the_failure_of_its_span(wire: Wire) -> None:
    wire.send("traces", traces(a_span(status={"code": 2}, events=[an_exception()])))
    (error,) = errors(wire)
    assert (error.exception_type, error.message, error.stack) == ("ValueError", "bad", "at cart.py:7")


@pytest.mark.parametrize("key", ["http.response.status_code", "http.status_code"])
@pytest.mark.parametrize(("status", "kind", "n_errors"), [(503, 2, 1), (404, 2, 0), (503, 3, 0)])
def test_item_21_a_server_that_answers_5xx_failed(wire: Wire, key: str, status: int, kind: int, n_errors: int) -> None:
    wire.send("traces", traces(a_span(kind, attributes={key: status})))
    assert totals(wire, "server_errors", "errors") == (n_errors, n_errors)


@pytest.mark.parametrize(
    "key",
    [
        "error.type",
        "rpc.response.status_code",
        "rpc.status_code",
        "rpc.grpc.status_code",
        "db.response.status_code",
        "db.system.name",
        "db.system",
        "messaging.system",
    ],
)
def test_item_21_what_says_the_kind_of_a_failure_is_kept(wire: Wire, key: str) -> None:
    others = {f"custom.{n}": n for n in range(100)}
    wire.send("traces", traces(a_span(status={"code": 2}, attributes=others | {key: "14"})))
    (error,) = errors(wire)
    assert error.attributes[key] == "14"


@pytest.mark.parametrize(
    ("severity", "word", "n_errors", "n_warnings"),
    [
        (17, "", 1, 0),
        (20, "", 1, 0),
        (21, "", 1, 0),
        (24, "", 1, 0),
        (16, "", 0, 1),
        (9, "ERROR", 0, 0),
        (0, "error", 1, 0),
        (0, "FATAL", 1, 0),
        (0, "Warn", 0, 1),
        (0, "", 0, 0),
    ],
)
def test_item_22_the_severity_of_a_log_record_says_what_it_is(
    wire: Wire, severity: int, word: str, n_errors: int, n_warnings: int
) -> None:
    wire.send("logs", logs(a_log(severity, severityText=word)))
    assert totals(wire, "logs", "errors", "warnings") == (1, n_errors, n_warnings)


def test_item_22_a_record_without_a_time_has_the_time_it_was_observed(wire: Wire) -> None:
    wire.send("logs", logs(a_log(timeUnixNano="0", observedTimeUnixNano=str(180 * SECOND))))
    assert [error.time_ns for error in errors(wire)] == [180 * SECOND]


@pytest.mark.parametrize("trace", ["", "00" * 16, "ab" * 5])
def test_item_22_a_trace_id_of_zeros_or_another_length_is_none(wire: Wire, trace: str) -> None:
    wire.send("logs", logs(a_log(traceId=trace, spanId=span_id(1))))
    (error,) = errors(wire)
    assert error.trace_id == ""


@pytest.mark.parametrize(
    ("severity", "n_errors", "n_warnings", "n_handled"), [(21, 1, 0, 0), (17, 1, 0, 0), (13, 0, 1, 1), (5, 0, 0, 1)]
)
def test_item_23_exceptions_in_logs_count_by_severity(
    wire: Wire, severity: int, n_errors: int, n_warnings: int, n_handled: int
) -> None:
    wire.send("logs", logs(a_log(severity, eventName="checkout.exception", attributes=THROWN)))
    assert totals(wire, "errors", "warnings", "handled") == (n_errors, n_warnings, n_handled)


@pytest.mark.parametrize("way", WAYS)
def test_item_24_one_failure_reported_three_times_is_one_error(tmp_path: Path, way: str) -> None:
    where: dict[str, Any] = {"traceId": TRACE, "spanId": span_id(7)}
    span = a_span(status={"code": 2}, events=[an_exception()], **where)
    log = a_log(attributes=THROWN, eventName="exception", **where)
    with open_line(tmp_path) as line, open_wire(line.store.log, way) as wire:
        wire.send("logs", logs(log))
        wire.send("traces", traces(span))
        wire.send("logs", logs(log | {"observedTimeUnixNano": str(121 * SECOND)}))
        line.end_tick()
        line.end_tick()
        assert sum(line.telemetry.values("errors").values()) == 1
        assert line.telemetry.value("repeated_errors") == 2
