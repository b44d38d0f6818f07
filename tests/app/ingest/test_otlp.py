"""The contract of `decode`: it never raises anything but MalformedBody, and both encodings say the same."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.ingest.limits import Limits
from app.ingest.otlp import ENGINE, decode, decoder
from app.ingest.signals import SIGNALS, Encoding, Signal
from features.errors import InvalidSetting, MalformedBody
from tests.app.ingest.requests import (
    a_log,
    a_point,
    a_span,
    as_json,
    as_protobuf,
    attributes,
    count,
    decode_both,
    logs,
    metrics,
    traces,
    written,
)
from tests.builders import same_batch

ENCODINGS: tuple[Encoding, ...] = ("protobuf", "json")
FULL: dict[Signal, dict[str, Any]] = {
    "traces": traces(
        a_span(3, attributes={"peer.service": "payment", "list": [1, "two", 3.5]}, parentSpanId="00000000000000aa"),
        a_span(2, status={"code": 2, "message": "x"}, events=[{"name": "exception", "attributes": attributes({"exception.type": "E"})}]),
    ),
    "logs": logs(a_log(), a_log(13, attributes={"exception.type": "E"}), a_log(body={"kvlistValue": {"values": attributes({"a": 1})}})),
    "metrics": metrics({"name": "heap", "gauge": {"dataPoints": [a_point(), {"asInt": "3"}]}}, {"name": "h", "histogram": {"dataPoints": [{}]}}),
}  # fmt: skip


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize("body", [b"", b"{}", b'{"resourceSpans":[{}],"resourceLogs":[{}],"resourceMetrics":[{}]}'])
def test_an_empty_request_says_nothing_and_is_fine(signal: Signal, body: bytes) -> None:
    batch = decode(body, signal, "json" if body else "protobuf")
    assert (batch.signal, batch.n_records, batch.rejected, len(batch.group_series)) == (signal, 0, 0, 0)


@pytest.mark.parametrize("signal", SIGNALS)
def test_null_is_absent_at_every_place(signal: Signal) -> None:
    def blank(value: object) -> object:
        if isinstance(value, dict):
            return {key: blank(item) for key, item in value.items()}
        return [blank(item) for item in value] if isinstance(value, list) else None

    batch = decode(json.dumps(blank(FULL[signal])).encode(), signal, "json")
    assert batch.rejected == 0
    assert [presence.service for presence in batch.presences] == ["unknown_service"]


@pytest.mark.parametrize("signal", SIGNALS)
def test_both_encodings_of_a_full_request_say_the_same(signal: Signal) -> None:
    of_json, of_protobuf = decode_both(FULL[signal], signal)
    assert of_json.n_records > 1
    assert same_batch(of_json, of_protobuf)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"nonsense",
        b"{} {}",
        b'{"resourceSpans":{}}',
        b'{"resourceSpans":[null]}',
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"kind":"SPAN_KIND_SERVER"}]}]}]}',
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"endTimeUnixNano":"noon"}]}]}]}',
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"\xff"}]}]}]}',
        b'{"x":' + b"[" * 100_000,
        b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_a_body_that_is_no_request_is_malformed_json(body: bytes) -> None:
    with pytest.raises(MalformedBody, match="no OTLP traces request in json"):
        decode(body, "traces", "json")


@pytest.mark.parametrize("body", [b"\x0a", b"\xff\xff", b"{}", b"\x0a\x05\x0a\x03\x0a\x01\xff", b"\x0a\x02" * 3])
def test_a_body_that_is_no_request_is_malformed_protobuf(body: bytes) -> None:
    with pytest.raises(MalformedBody, match="no OTLP logs request in protobuf"):
        decode(body, "logs", "protobuf")


@pytest.mark.parametrize("levels", [32, 2000, 100_000])
@pytest.mark.parametrize("hiding", [b"", b"]}" * 200])
def test_a_value_nested_without_end_is_malformed(levels: int, hiding: bytes) -> None:
    nested = b'{"arrayValue":{"values":[' * levels + b'{"stringValue":"deep' + hiding + b'"}' + b"]}}" * levels
    text = as_json(logs(a_log())).replace(b'{"stringValue": "it broke"}', nested)
    with pytest.raises(MalformedBody):
        decode(text, "logs", "json")


@pytest.mark.parametrize("name", ["x", "resourceLogs"])
@pytest.mark.parametrize("bracket", [b"[", b'[{"a":', b'{"resource":'])
def test_json_nested_beyond_the_bound_is_malformed_in_names_known_and_unknown(name: str, bracket: bytes) -> None:
    for levels in (101, 100_000):
        with pytest.raises(MalformedBody, match="nesting must be <= 100"):
            decode(b'{"%b":' % name.encode() + bracket * levels, "logs", "json")


def test_half_a_character_that_javascript_cut_is_replaced_and_counted() -> None:
    batch = decode(as_json(logs(a_log(body={"stringValue": "cut \ud83d"}))), "logs", "json")
    assert (batch.errors[0].message, batch.counters) == ("cut \ufffd", {"surrogates_replaced": 1})


def test_every_engine_that_is_here_is_a_decoder() -> None:
    body = as_protobuf(FULL["traces"], "traces")
    assert same_batch(decoder(ENGINE)(body, "traces", "protobuf"), decoder("python")(body, "traces", "protobuf"))
    assert same_batch(decoder(ENGINE)(body, "traces", "protobuf"), decode(body, "traces", "protobuf"))


@pytest.mark.skipif(ENGINE == "c", reason="the scanner in C is built")
def test_an_engine_that_is_not_built_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="engine must be auto or python"):
        decoder("c")


def test_where_the_scanner_was_not_built_bodies_are_read_in_python() -> None:
    without = (
        "import sys\n"
        "sys.modules['app.ingest.scan'] = None\n"
        "from app.ingest.otlp import ENGINE, decode, decoder\n"
        "from features.errors import InvalidSetting\n"
        "print(ENGINE, decode(sys.stdin.buffer.read(), 'traces', 'protobuf').n_records)\n"
        "try:\n"
        "    decoder('c')\n"
        "except InvalidSetting as exc:\n"
        "    print(exc)\n"
    )
    body = as_protobuf(FULL["traces"], "traces")
    ended = subprocess.run([sys.executable, "-c", without], input=body, capture_output=True, check=True)
    n_records = decode(body, "traces", "protobuf").n_records
    assert ended.stdout.decode().splitlines() == [
        f"python {n_records}",
        "engine must be auto or python where the scanner in C is not built, got c",
    ]


@pytest.mark.parametrize("prefix", [b"\xef\xbb\xbf", b" \r\n\t"])
def test_json_may_begin_with_a_mark_or_space_and_be_printed_prettily(prefix: bytes) -> None:
    body = prefix + json.dumps(FULL["traces"], indent=2).encode() + b"\n"
    assert decode(body, "traces", "json").n_records == 2


def test_names_that_are_unknown_or_in_snake_case_are_ignored() -> None:
    request = traces(a_span() | {"end_time_unix_nano": "1", "entityRefs": [{"x": {}}], "flags": 256})
    assert decode(as_json(request), "traces", "json").group_time_s.tolist() == [120]


@pytest.mark.parametrize("time", [120 * 10**9, "120000000000", 120e9])
def test_times_come_as_numbers_or_text(time: object) -> None:
    assert decode(as_json(traces(a_span(endTimeUnixNano=time))), "traces", "json").group_time_s.tolist() == [120]


@pytest.mark.parametrize("time", ["-1", "9223372036854775808", 10**40, -(10**40), 1e300])
def test_absurd_times_are_counted(time: object) -> None:
    batch = decode(as_json(traces(a_span(endTimeUnixNano=time))), "traces", "json")
    assert (batch.group_time_s.tolist(), batch.counters["times_invalid"]) == ([-1], 1)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_ten_thousand_operations_are_counted_and_folded(encoding: Encoding) -> None:
    spans = [a_span(name=f"GET /{n}") for n in range(10_000)]
    batch = decode(written(traces(*spans), "traces", encoding), "traces", encoding)
    assert (batch.n_records, batch.rejected, len(batch.series)) == (10_000, 0, 4097)
    assert batch.counters == {"operations_folded": 5904}
    assert count(batch, "total", "_other") == 5904
    assert batch.counts[:, 0].sum() == 10_000


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_spans_beyond_the_rows_are_refused_and_the_rest_is_taken(encoding: Encoding) -> None:
    spans = [a_span(endTimeUnixNano=str(minute * 60 * 10**9)) for minute in range(1, 6)]
    batch = decode(written(traces(*spans), "traces", encoding), "traces", encoding, limits=Limits(max_rows=3))
    assert (batch.n_records, batch.rejected) == (3, 2)
    assert "3 rows" in batch.reason


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_names_are_bounded(encoding: Encoding) -> None:
    request = traces(a_span(name="n" * 5000), a_span(name="*"), a_span(name=""), service="s" * 5000)
    batch = decode(written(request, "traces", encoding), "traces", encoding)
    assert batch.series == (("s" * 256, "n" * 256), ("s" * 256, "(*)"), ("s" * 256, "unnamed"))
    assert batch.counters == {"names_cut": 2}


# --- properties -------------------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
INT64 = st.integers(-(2**63), 2**63 - 1)
TIME = st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 600 * 10**9)).map(str)
VALUE = st.recursive(
    TEXT | INT64 | st.booleans() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(
    [
        "exception.type",
        "exception.message",
        "error.type",
        "http.response.status_code",
        "peer.service",
        "service.version",
        "a",
        "b",
    ]
)
ATTRIBUTES = st.dictionaries(KEYS, VALUE | st.integers(490, 610), max_size=4).map(attributes)
HEX = st.sampled_from([0, 8, 16]).flatmap(lambda n: st.binary(min_size=n, max_size=n)) | st.binary(max_size=20)
ID = HEX.map(bytes.hex)
EVENT = st.fixed_dictionaries({"name": st.sampled_from(["exception", "x"]), "attributes": ATTRIBUTES})
SPAN = st.fixed_dictionaries(
    {},
    optional={
        "traceId": ID,
        "spanId": ID,
        "parentSpanId": ID,
        "traceState": st.sampled_from(["", "ot=th:8", "a=1,ot=rv:1;th:fd70a", "ot=th:x", "ot=th:ffffffffffffff"]),
        "name": TEXT,
        "kind": st.integers(0, 6),
        "startTimeUnixNano": TIME,
        "endTimeUnixNano": TIME,
        "attributes": ATTRIBUTES,
        "events": st.lists(EVENT, max_size=2),
        "status": st.fixed_dictionaries({}, optional={"code": st.integers(0, 3), "message": TEXT}),
    },
)
LOG = st.fixed_dictionaries(
    {},
    optional={
        "timeUnixNano": TIME,
        "observedTimeUnixNano": TIME,
        "severityNumber": st.integers(0, 30),
        "severityText": TEXT,
        "body": VALUE.map(lambda value: attributes({"": value})[0]["value"]),
        "attributes": ATTRIBUTES,
        "traceId": ID,
        "spanId": ID,
    },
)
# What is no finite number is a word in OTLP/JSON.
DOUBLE = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(["NaN", "Infinity", "-Infinity"])
POINT = st.fixed_dictionaries({"timeUnixNano": TIME, "flags": st.integers(0, 3)}, optional={"asDouble": DOUBLE}) | (
    st.fixed_dictionaries({"timeUnixNano": TIME, "asInt": INT64.map(str)})
)
POINTS = st.fixed_dictionaries({"dataPoints": st.lists(POINT, max_size=3)})
METRIC = st.one_of(*(st.fixed_dictionaries({"name": TEXT, kind: POINTS}) for kind in ("gauge", "sum")))
RESOURCE = st.dictionaries(st.sampled_from(["service.instance.id", "host.name", "x"]), TEXT, max_size=2)
REQUESTS: dict[Signal, st.SearchStrategy[dict[str, Any]]] = {
    "traces": st.builds(lambda found, resource: traces(*found, resource=resource), st.lists(SPAN, max_size=4), RESOURCE),
    "logs": st.builds(lambda found, resource: logs(*found, resource=resource), st.lists(LOG, max_size=4), RESOURCE),
    "metrics": st.builds(lambda found, resource: metrics(*found, resource=resource), st.lists(METRIC, max_size=4), RESOURCE),
}
TINY = Limits(
    max_errors_per_request=2, max_attribute_chars=64, max_attributes=2, span_end_sample=2, max_rows=3, max_operations=2
)


@pytest.mark.parametrize("signal", SIGNALS)
@given(data=st.data())
@settings(deadline=None)
def test_both_encodings_say_the_same(signal: Signal, data: st.DataObject) -> None:
    request = data.draw(REQUESTS[signal])
    assert same_batch(*decode_both(request, signal))
    assert same_batch(*decode_both(request, signal, TINY))


@pytest.mark.parametrize("signal", SIGNALS)
@given(data=st.data())
@settings(deadline=None)
def test_every_record_is_accepted_or_refused(signal: Signal, data: st.DataObject) -> None:
    request = data.draw(REQUESTS[signal])
    batch = decode(as_protobuf(request, signal), signal, "protobuf", limits=TINY)
    inside = json.dumps(request)
    n_records = {
        "traces": _length(request, "spans"),
        "logs": _length(request, "logRecords"),
        "metrics": _length(request, "dataPoints"),
    }
    assert batch.n_records + batch.rejected == n_records[signal], inside
    assert (batch.counts >= 0).all()
    if signal == "traces":
        assert batch.counts[:, 0].sum() + batch.counts[:, 6].sum() >= batch.n_records
        assert batch.histogram.sum() == batch.counts[:, 0].sum()


def _length(value: Any, name: str) -> int:
    if isinstance(value, list):
        return sum(_length(item, name) for item in value)
    if not isinstance(value, dict):
        return 0
    return sum(len(item) if key == name else _length(item, name) for key, item in value.items())


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize("encoding", ENCODINGS)
@given(body=st.binary(max_size=300))
@example(body=b"\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01")
def test_arbitrary_bytes_raise_nothing_but_malformed_body(signal: Signal, encoding: Encoding, body: bytes) -> None:
    with contextlib.suppress(MalformedBody):
        decode(body, signal, encoding)


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize("encoding", ENCODINGS)
@given(data=st.data())
@settings(deadline=None)
def test_mutated_bodies_raise_nothing_but_malformed_body(signal: Signal, encoding: Encoding, data: st.DataObject) -> None:
    body = bytearray(written(FULL[signal], signal, encoding))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(body) - 1))
        match data.draw(st.integers(0, 2)):
            case 0:
                body[place] = data.draw(st.integers(0, 255))
            case 1:
                body[place:place] = data.draw(st.binary(max_size=4))
            case _:
                del body[place : place + data.draw(st.integers(1, 8))]
        body = body or bytearray(b"x")
    with contextlib.suppress(MalformedBody):
        decode(bytes(body), signal, encoding)


JSON_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.sampled_from(["NaN", "-5", "1e9", "00", "zz"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize("signal", SIGNALS)
@given(data=st.data())
@settings(deadline=None)
def test_any_json_at_any_place_raises_nothing_but_malformed_body(signal: Signal, data: st.DataObject) -> None:
    def spoil(value: Any) -> Any:
        if data.draw(st.integers(0, 15)) == 0:
            return data.draw(JSON_VALUE)
        if isinstance(value, dict):
            return {key: spoil(item) for key, item in value.items()}
        return [spoil(item) for item in value] if isinstance(value, list) else value

    with contextlib.suppress(MalformedBody):
        decode(json.dumps(spoil(FULL[signal])).encode(), signal, "json")
