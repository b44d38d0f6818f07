"""The checklist of OTLP 1.11, JSON: items 15 to 18 of docs/otlp.md, over HTTP to a real server."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from app.ingest.limits import Limits
from tests.app.ingest.requests import SECOND, TRACE, a_log, a_point, a_span, as_json, logs, metrics, traces
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


def test_item_15_unknown_names_are_ignored_at_every_place(ingest: Ingest) -> None:
    strange: dict[str, Any] = {"entityRefs": [{"a": [1, {"b": None}]}], "metadata": {"x": "y"}, "": 0}
    request = traces(a_span() | strange)
    inner = request["resourceSpans"][0]
    inner["resource"] |= strange
    inner["scopeSpans"][0] |= strange
    take(ingest, "traces", request | {"resourceSpans": [inner | strange]} | strange)
    assert ingest.total("total") == 1


@pytest.mark.parametrize("letters", [str.lower, str.upper])
def test_item_16_ids_are_hexadecimal_in_any_case(ingest: Ingest, letters: Any) -> None:
    span = a_span(status={"code": 2}, traceId=letters(TRACE), spanId=letters("00f067aa0ba902b7"))
    take(ingest, "traces", traces(span))
    (error,) = [error for message in ingest.messages() for error in message.batch.errors]
    assert (error.trace_id, error.span_id) == (TRACE, "00f067aa0ba902b7")


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


@pytest.mark.parametrize("value", [1, 1.5, "NaN", "Infinity", "-Infinity", -0.0])
def test_item_17_doubles_are_numbers_or_their_three_names(ingest: Ingest, value: object) -> None:
    take(ingest, "metrics", metrics({"name": "m", "gauge": {"dataPoints": [a_point(asDouble=value), a_point(0.0)]}}))
    assert ingest.sample("foreshock_records_total", signal="metrics") == 2


@pytest.mark.parametrize("kind", ["SPAN_KIND_SERVER", "2x", [2]])
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
def test_item_18_nesting_is_bounded(ingest: Ingest, unknown: bool) -> None:
    for levels, status in ((20, 200), (5000, 400), (1_000_000, 400)):
        nested = b'{"arrayValue":{"values":[' * levels + b'{"intValue":1}' + b"]}}" * levels
        name = b"unheardOf" if unknown else b"body"
        body = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityNumber":17,"' + name + b'":' + nested + b"}]}]}]}"
        response = post(ingest, "/v1/logs", body, JSON)
        assert response.status_code == status
    assert ingest.total("errors") == 1
