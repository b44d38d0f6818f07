"""The checklist of OTLP 1.11, JSON: items 15 to 18 of docs/otlp.md, over HTTP to a real server."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from app.ingest.limits import Limits
from app.ingest.otlp import decode
from app.ingest.signals import SIGNALS, Signal
from tests.app.ingest.requests import (
    SECOND,
    TRACE,
    a_log,
    a_point,
    a_span,
    as_json,
    as_protobuf,
    attributes,
    logs,
    metrics,
    traces,
)
from tests.app.ingest.servers import Ingest, serve_http, stored_log
from tests.app.ingest.wire import JSON, post, status_of


@pytest.fixture
def ingest(tmp_path: Path) -> Generator[Ingest, None, None]:
    with stored_log(tmp_path) as log, serve_http(log, Limits(span_end_sample=1)) as found:
        yield found


def take(ingest: Ingest, path: str, request: Any) -> None:
    """Send a request that is to be taken."""
    body = request if isinstance(request, bytes) else as_json(request)
    response = post(ingest, f"/v1/{path}", body, JSON)
    assert (response.status_code, response.content) == (200, b"{}"), response.content


def test_item_15_names_in_snake_case_are_unknown(ingest: Ingest) -> None:
    take(ingest, "traces", {"resource_spans": [{"scope_spans": [{"spans": [a_span()]}]}]})
    assert ingest.messages() == []
    take(ingest, "traces", traces(a_span() | {"end_time_unix_nano": "7", "trace_id": "x", "parent_span_id": 5}))
    assert ingest.total("total") == 1


STRANGE: dict[str, Any] = {"entityRefs": [{"a": [1, {"b": None}]}], "metadata": {"x": "y"}, "": 0, "time_unix_nano": "x"}
NESTED = {"n": [1, {"m": 2.5}], "http.route": "/cart"}
EVENT = {"name": "exception", "timeUnixNano": "7", "attributes": attributes({"exception.type": "E"} | NESTED)}
BUCKETS = {"offset": 1, "bucketCounts": ["2"]}
HISTOGRAM = {"timeUnixNano": str(120 * SECOND), "count": "2", "sum": 0.3, "attributes": attributes(NESTED)}
RICH: dict[Signal, dict[str, Any]] = {
    "traces": traces(a_span(status={"code": 2}, events=[EVENT], links=[{"traceId": TRACE}], attributes=NESTED)),
    "logs": logs(a_log(attributes=NESTED, body={"kvlistValue": {"values": attributes(NESTED)}})),
    "metrics": metrics(
        {"name": "g", "gauge": {"dataPoints": [a_point(3.0, attributes=NESTED, exemplars=[{"asDouble": 1}])]}},
        {"name": "s", "sum": {"dataPoints": [a_point(4.0)]}},
        {
            "name": "http.server.duration",
            "histogram": {
                "aggregationTemporality": 1,
                "dataPoints": [HISTOGRAM | {"bucketCounts": [1, 1], "explicitBounds": [1]}],
            },
        },
        {
            "name": "rpc.server.duration",
            "exponentialHistogram": {
                "aggregationTemporality": 1,
                "dataPoints": [HISTOGRAM | {"scale": 1, "positive": BUCKETS}],
            },
        },
    ),
}


def strewn(value: Any) -> Any:
    """Return a request with unknown names in every object that it has."""
    if isinstance(value, list):
        return [strewn(item) for item in value]
    if isinstance(value, dict):
        return {name: strewn(item) for name, item in value.items()} | STRANGE
    return value


@pytest.mark.parametrize("signal", SIGNALS)
def test_item_15_unknown_names_are_ignored_at_every_place(tmp_path: Path, signal: Signal) -> None:
    found: list[Any] = []
    for place, request in enumerate((RICH[signal], strewn(RICH[signal]))):
        with stored_log(tmp_path / str(place)) as log, serve_http(log, Limits(span_end_sample=1)) as ingest:
            take(ingest, signal, request)
            batches = [message.batch for message in ingest.messages()]
            told = [(b.series, b.counts.tolist(), b.errors, b.levels, b.durations) for b in batches]
            found.append((told, ingest.sample("foreshock_records_total", signal=signal)))
    assert found[0][0]
    assert found[0] == found[1]


@pytest.mark.parametrize("letters", [str.lower, str.upper])
def test_item_16_ids_are_hexadecimal_in_any_case(ingest: Ingest, letters: Any) -> None:
    span = a_span(status={"code": 2}, traceId=letters(TRACE), spanId=letters("00f067aa0ba902b7"))
    take(ingest, "traces", traces(span))
    (error,) = [error for message in ingest.messages() for error in message.batch.errors]
    assert (error.trace_id, error.span_id) == (TRACE, "00f067aa0ba902b7")


def test_item_16_ids_with_anything_between_are_none(ingest: Ingest) -> None:
    span = a_span(status={"code": 2}, traceId=f"{TRACE[:16]} {TRACE[16:]}", spanId="00f0 67aa 0ba9 02b7")
    take(ingest, "traces", traces(span, span | {"traceId": TRACE, "spanId": "00f067aa0ba902b7"}))
    errors = [error for message in ingest.messages() for error in message.batch.errors]
    assert sorted((error.trace_id, error.span_id) for error in errors) == [("", ""), (TRACE, "00f067aa0ba902b7")]


def test_item_16_bytes_of_attributes_are_base64(ingest: Ingest) -> None:
    value = {"key": "http.route", "value": {"bytesValue": b64encode(b"\x00\xff").decode()}}
    take(ingest, "traces", traces(a_span(status={"code": 2}, attributes=[value])))
    (error,) = [error for message in ingest.messages() for error in message.batch.errors]
    assert error.attributes["http.route"] == b64encode(b"\x00\xff").decode()


@pytest.mark.parametrize("time", [120 * SECOND, str(120 * SECOND)])
def test_item_17_64_bit_numbers_come_as_numbers_or_text(ingest: Ingest, time: object) -> None:
    take(ingest, "traces", traces(a_span(startTimeUnixNano=time, endTimeUnixNano=time)))
    take(ingest, "logs", logs(a_log(timeUnixNano=time, attributes=[{"key": "n", "value": {"intValue": str(2**63 - 1)}}])))
    points = [a_point(timeUnixNano=time), {"timeUnixNano": time, "asInt": 7}, {"timeUnixNano": time, "asInt": "8"}]
    histogram = {"timeUnixNano": time, "count": "2", "sum": 0.3, "bucketCounts": ["1", 1], "explicitBounds": [1.0]}
    kinds = {"name": "h", "histogram": {"dataPoints": [histogram], "aggregationTemporality": 2}}
    take(ingest, "metrics", metrics({"name": "m", "gauge": {"dataPoints": points}}, kinds))
    assert (ingest.total("total"), ingest.total("errors")) == (1, 1)
    levels = {level.name: level.value for message in ingest.messages() for level in message.batch.levels}
    assert levels == {"m": 8.0}


@pytest.mark.parametrize("number", ["1_0", "\u0663", " 5 ", "+5", "", "0x5", "5.5", 5.5, True, [5]])
def test_item_17_what_is_no_whole_number_is_refused(ingest: Ingest, number: object) -> None:
    gauge = {"name": "m", "gauge": {"dataPoints": [a_point(flags=number)]}}
    ints = {"name": "m", "gauge": {"dataPoints": [{"timeUnixNano": "0", "asInt": number}]}}
    requests = [("traces", traces(a_span(endTimeUnixNano=number))), ("logs", logs(a_log(timeUnixNano=number)))]
    for path, request in [*requests, ("metrics", metrics(gauge)), ("metrics", metrics(ints))]:
        response = post(ingest, f"/v1/{path}", as_json(request), JSON)
        assert (response.status_code, status_of(response).code) == (400, 3), path


@pytest.mark.parametrize("written", [int, str, float])
def test_item_17_32_bit_numbers_come_as_numbers_or_text(ingest: Ingest, written: Any) -> None:
    point = {"timeUnixNano": str(120 * SECOND), "count": 2, "sum": 0.3, "scale": written(3), "flags": written(0)}
    point["positive"] = {"offset": written(-9), "bucketCounts": [2]}
    histogram = {"dataPoints": [point, point | {"flags": written(1)}], "aggregationTemporality": 1}
    gauge = {"dataPoints": [a_point(5.0, flags=written(0)), a_point(6.0, flags=written(1))]}
    request = metrics({"name": "rpc.server.duration", "exponentialHistogram": histogram}, {"name": "m", "gauge": gauge})
    take(ingest, "metrics", request)
    (batch,) = [message.batch for message in ingest.messages()]
    assert [level.value for level in batch.levels] == [5.0], "flag 1 says that there is no value"
    assert len(batch.durations) == 1
    expected = decode(as_protobuf(request, "metrics"), "metrics", "protobuf")
    assert batch.durations[0].histogram == expected.durations[0].histogram


@pytest.mark.parametrize(
    ("value", "level"),
    [(1, 1.0), (1.5, 1.5), (-0.0, 0.0), ("1.5", 1.5), ("-1e3", -1e3), ("NaN", None), ("Infinity", None), ("-Infinity", None)],
)
def test_item_17_doubles_are_numbers_or_their_three_names(ingest: Ingest, value: object, level: float | None) -> None:
    take(ingest, "metrics", metrics({"name": "m", "gauge": {"dataPoints": [a_point(asDouble=value)]}}))
    levels = [level.value for message in ingest.messages() for level in message.batch.levels]
    assert levels == ([] if level is None else [level])
    assert ingest.sample("foreshock_limited_total", reason="levels_not_finite") == (1 if level is None else None)


@pytest.mark.parametrize("value", ["nan", "inf", "infinity", "+Infinity", "1_0", " 1", "", "0x1", "\u0663", True])
def test_item_17_other_names_of_doubles_are_refused(ingest: Ingest, value: object) -> None:
    body = as_json(metrics({"name": "m", "gauge": {"dataPoints": [a_point(asDouble=value)]}}))
    response = post(ingest, "/v1/metrics", body, JSON)
    assert (response.status_code, status_of(response).code) == (400, 3)


def test_item_17_enums_may_be_written_as_whole_doubles(ingest: Ingest) -> None:
    take(ingest, "traces", traces(a_span(status={"code": 2.0}) | {"kind": 2.0}))
    take(ingest, "logs", logs(a_log(severityNumber=17.0)))
    errors = [error for message in ingest.messages() for error in message.batch.errors]
    assert (ingest.total("total"), ingest.total("errors"), len(errors)) == (1, 2, 2)
    assert all(isinstance(error.severity, int) for error in errors)


@pytest.mark.parametrize("kind", ["SPAN_KIND_SERVER", "2", "2x", [2], 2.5, 2**31])
def test_item_17_names_of_enums_are_no_numbers(ingest: Ingest, kind: object) -> None:
    response = post(ingest, "/v1/traces", as_json(traces(a_span() | {"kind": kind})), JSON)
    assert (response.status_code, status_of(response).code) == (400, 3)


def test_item_17_null_is_absent(ingest: Ingest) -> None:
    nothing = dict.fromkeys(("attributes", "status", "events", "links", "parentSpanId", "traceState", "kind"))
    take(ingest, "traces", traces(a_span() | nothing))
    take(ingest, "logs", {"resourceLogs": None})
    assert ingest.total("total") == 1


@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf", b" \r\n\t"])
@pytest.mark.parametrize("indent", [None, 4])
def test_item_18_a_mark_space_and_pretty_printing_are_taken(ingest: Ingest, before: bytes, indent: int | None) -> None:
    take(ingest, "traces", before + json.dumps(traces(a_span()), indent=indent).encode() + b"\n")
    assert ingest.total("total") == 1


@pytest.mark.parametrize("unknown", [True, False])
@pytest.mark.parametrize(("depth", "status"), [(20, 200), (100, 200), (101, 400), (1000, 400), (3_000_000, 400)])
def test_item_18_nesting_is_bounded(ingest: Ingest, depth: int, status: int, unknown: bool) -> None:
    before = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityNumber":17,"'
    levels, rest = divmod(depth - before.count(b"{") - before.count(b"["), 3)
    nested = b'{"arrayValue":{"values":[' * (levels - 1)
    nested += b'{"x":' * (rest + 3) + b"1"
    nested += b"}" * (rest + 3) + b"]}}" * (levels - 1)
    body = before + (b"unheardOf" if unknown else b"body") + b'":' + nested + b"}]}]}]}"
    assert body[: body.index(b"1}")].count(b"{") + body[: body.index(b"1}")].count(b"[") == depth
    response = post(ingest, "/v1/logs", body, JSON)
    assert response.status_code == status
    assert ingest.total("errors") == (status == 200)
