"""The scanner in C makes of every body what the readers in Python make of it."""

from __future__ import annotations

import math
import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from app.ingest.attributes import IMPORTANT, MAX_KEYS
from app.ingest.limits import Limits
from app.ingest.otlp import ENGINE, decoder
from features.batch import Batch, Call, Presence
from features.errors import MalformedBody
from tests.app.ingest.requests import SECOND, a_log, a_span, as_protobuf, attributes, logs, span_id, traces
from tests.fuzz.compare import REFUSED, difference, outcome
from tests.fuzz.mutate import mutant
from tests.fuzz.seeds import MESSAGES, large, request
from tests.fuzz.wire import delimited

if ENGINE != "c":
    pytest.skip("the scanner in C is not built", allow_module_level=True)

Records = Literal["traces", "logs"]
Json = dict[str, Any]

SIGNALS: tuple[Records, ...] = ("traces", "logs")
EXCEPTION = {"name": "exception", "attributes": attributes({"exception.type": "E", "exception.message": "m"})}

BOUNDS = st.builds(
    Limits,
    max_errors_per_request=st.integers(0, 4),
    max_attribute_chars=st.integers(0, 9),
    max_attributes=st.integers(0, 5),
    max_attribute_depth=st.integers(1, 7),
    max_name_chars=st.integers(1, 9),
    max_operations=st.integers(1, 4),
    max_rows=st.integers(1, 6),
    span_end_sample=st.integers(1, 3),
    tick_s=st.sampled_from([1, 7, 60]),
    max_records=st.integers(1, 30) | st.just(100_000),
)


def read(body: bytes, signal: Records, limits: Limits | None = None) -> Batch | None:
    """Return what both engines read, nothing when both refuse."""
    bounds = limits or Limits(span_end_sample=1)
    found = outcome(decoder("c"), body, signal, bounds)
    assert difference(found, outcome(decoder("python"), body, signal, bounds)) == ""
    return None if isinstance(found, str) else found


def accepted(body: bytes, signal: Records, limits: Limits | None = None) -> Batch:
    batch = read(body, signal, limits)
    assert batch is not None
    return batch


def of_spans(*spans: Json, limits: Limits | None = None, resource: dict[str, object] | None = None) -> Batch:
    return accepted(as_protobuf(traces(*spans, resource=resource), "traces"), "traces", limits)


def of_logs(*records: Json, limits: Limits | None = None) -> Batch:
    return accepted(as_protobuf(logs(*records), "logs"), "logs", limits)


@pytest.mark.parametrize("signal", SIGNALS)
@given(seed=st.integers(0, 2**32), limits=st.just(Limits()) | BOUNDS)
def test_valid_requests_give_equal_batches(signal: Records, seed: int, limits: Limits) -> None:
    batch = read(request(random.Random(seed), signal), signal, limits)
    assert batch is not None or limits.max_records <= 30


@pytest.mark.parametrize("signal", SIGNALS)
@given(seed=st.integers(0, 2**32), limits=st.just(Limits()) | BOUNDS)
def test_changed_requests_give_equal_batches_or_are_refused_by_both(signal: Records, seed: int, limits: Limits) -> None:
    rng = random.Random(seed)
    seeds = [request(rng, signal) for _ in range(2)]
    for _ in range(10):
        read(mutant(rng, seeds, MESSAGES[signal]), signal, limits)


@given(body=st.binary(max_size=64))
def test_any_bytes_give_equal_batches_or_are_refused_by_both(body: bytes) -> None:
    for signal in SIGNALS:
        read(body, signal)


@pytest.mark.parametrize("signal", SIGNALS)
def test_large_bodies_give_equal_batches_also_from_several_threads(signal: Records) -> None:
    # Beyond a MiB the scanner lets go of the interpreter's lock.
    bodies = [large(random.Random(seed), signal) for seed in range(3)]
    assert min(map(len, bodies)) > 2**20
    for body in bodies:
        accepted(body, signal)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda body: outcome(decoder("c"), body, signal, Limits()), bodies * 4))
    wanted = [outcome(decoder("c"), body, signal, Limits()) for body in bodies] * 4
    assert [difference(one, other) for one, other in zip(found, wanted, strict=True)] == [""] * len(wanted)


@given(number=st.floats() | st.floats(width=32).map(float) | st.integers(-330, 310).map(lambda power: float(f"1e{power}")))
def test_doubles_are_written_as_python_writes_them(number: float) -> None:
    said = number if math.isfinite(number) else {math.inf: "Infinity", -math.inf: "-Infinity"}.get(number, "NaN")
    record = a_log(17) | {"attributes": [{"key": "n", "value": {"doubleValue": said}}]}
    assert of_logs(record).errors[0].attributes["n"] == repr(number).removesuffix(".0")


@pytest.mark.parametrize("powers", [range(-1074, -324), range(-324, 400), range(400, 1024)], ids=["small", "middle", "large"])
def test_powers_of_two_are_written_as_python_writes_them(powers: range) -> None:
    # Their neighbours below are half as far as those above: of 46 the nearest 16 digits read back as another number.
    numbers = [2.0**power for power in powers]
    records = [a_log(17) | {"attributes": [{"key": "n", "value": {"doubleValue": number}}]} for number in numbers]
    found = [error.attributes["n"] for error in of_logs(*records).errors]
    assert found == [repr(number).removesuffix(".0") for number in numbers]


@given(most=st.integers(0, 40), n=st.integers(0, 34), name=st.sampled_from(["", "a", "ä", "\U0001f600", "longer than it is"]))
def test_of_structures_no_more_is_written_than_is_kept(most: int, n: int, name: str) -> None:
    value = {name: [[1.5, name, True]] * n, "deep": {"x": [[name]]}}
    limits = Limits(max_attribute_chars=most, max_name_chars=max(most // 2, 1), max_attribute_depth=3)
    span = a_span(3, status={"code": 2}, attributes={"it": value, "peer.service": [value], "exception.type": value})
    of_spans(span, limits=limits, resource={"host.name": [value]})
    of_logs(a_log(17, body={"kvlistValue": {"values": attributes({"message": [value]})}}), limits=limits)


def test_bytes_are_cut_like_texts() -> None:
    body = as_protobuf(traces(a_span(status={"code": 2}, attributes={"it": 1})), "traces")
    message = ExportTraceServiceRequest.FromString(body)
    for n in range(12):
        message.resource_spans[0].scope_spans[0].spans[0].attributes[0].value.bytes_value = b"\xff" * n
        batch = accepted(message.SerializeToString(), "traces", Limits(max_attribute_chars=8))
        assert len(batch.errors[0].attributes["it"]) == min((n + 2) // 3 * 4, 8)


def test_a_structure_of_a_million_items_costs_no_more_than_what_is_kept() -> None:
    # 32 items of 32 items, four times over: a million doubles, were they all written.
    value = b"!\x9a\x99\x99\x99\x99\x99\xb9?"  # 0.1
    for _ in range(4):
        value = delimited(5, delimited(1, value) * 32)
    records = delimited(2, delimited(6, delimited(1, b"it") + delimited(2, value)) + b"\x10\x11")
    body = delimited(1, delimited(2, records))
    began = time.thread_time()
    (error,) = decoder("c")(body, "logs", "protobuf", limits=Limits()).errors
    assert (len(error.attributes["it"]), error.attributes["it"][:11]) == (4096, "[[[[0.1, 0.")
    assert time.thread_time() - began < 1
    accepted(body, "logs")


@pytest.mark.parametrize("kind", [5, 6])
def test_a_list_in_several_parts_is_joined_without_the_scanner(kind: int) -> None:
    item = delimited(1, b"\x18\x01") if kind == 5 else delimited(1, delimited(1, b"k") + delimited(2, b"\x18\x01"))
    for parts, shown in (([item, item], 2), ([b"", item], 1), ([item, b""], 1), ([item, b"\x78\x01", item], 2)):
        value = b"".join(delimited(kind, part) for part in parts)
        body = delimited(1, delimited(2, delimited(2, delimited(6, delimited(1, b"it") + delimited(2, value)) + b"\x10\x11")))
        assert accepted(body, "logs").errors[0].attributes["it"].count("1") == shown


@pytest.mark.parametrize(
    "text", ["ERROR", " err3\x1f", "\u0131nfo", "\ufb01ne", "fine\ufb06", "Warn4", "\uff45rror", "x" * 40, "1234", " ", "ß"]
)
def test_words_for_severities_are_read_alike(text: str) -> None:
    of_logs(a_log(0, severityText=text))


@pytest.mark.parametrize("number", [1, 12, 13, 16, 17, 24, 25, 2**31 - 1, -1])
def test_severity_numbers_are_read_alike(number: int) -> None:
    of_logs(a_log(number, severityText="fatal"))


def test_attributes_stand_by_importance_then_in_their_order_each_key_once() -> None:
    mixed = [*reversed(IMPORTANT), "b", "a", "exception.type", *IMPORTANT[:3], "b"]
    span = a_span(status={"code": 2}, events=[EXCEPTION])
    span["attributes"] = [one for i, key in enumerate(mixed) for one in attributes({key: i})]
    error = of_spans(span, limits=Limits(max_attributes=100), resource={"host.name": "n", "k8s.pod.name": "p"}).errors[0]
    assert list(error.attributes) == [*IMPORTANT, "b", "a"]
    assert (error.attributes["b"], error.exception_type) == (str(len(mixed) - 1), "E")


def test_an_error_of_many_attributes_keeps_the_first() -> None:
    span = a_span(status={"code": 2}, attributes={f"key-{i}": i for i in range(1000)} | {"error.type": "t"})
    error = of_spans(span).errors[0]
    assert list(error.attributes)[:2] == ["error.type", "key-0"]
    assert of_spans(span).counters == {"attributes_dropped": 1001 - 32}


@pytest.mark.parametrize("n_more", [-1, 0, 1, 2000])
def test_an_error_of_ever_more_keys_takes_no_new_one_beyond_a_bound(n_more: int) -> None:
    said: dict[str, object] = {f"key-{i}": i for i in range(MAX_KEYS - 1 + n_more)}  # beside one of the resource
    event = {"name": "exception", "attributes": attributes({"exception.type": "E", "key-0": "again"})}
    for span in (
        a_span(status={"code": 2}, attributes=said, events=[event]),
        a_span(status={"code": 2}, attributes=said, events=[event, event]),
    ):
        batch = of_spans(span, limits=Limits(max_attributes=MAX_KEYS), resource={"host.name": "n"})
        error = batch.errors[0]
        assert (error.exception_type, error.attributes["key-0"]) == ("E" if n_more < 0 else "", "again")
        n_lost = n_more + len(span["events"]) if n_more >= 0 else 0
        assert batch.counters.get("attributes_dropped", 0) == n_lost
        assert len(error.attributes) == (MAX_KEYS - 1 if n_more < 0 else MAX_KEYS)
    of_logs(a_log(17, attributes=said))


@pytest.mark.parametrize("chars", range(1, 8))
def test_texts_are_cut_by_characters(chars: int) -> None:
    limits = Limits(max_attribute_chars=chars, max_name_chars=chars)
    event = {
        "name": "exception",
        "attributes": attributes({"exception.type": "😀é日a", "exception.stacktrace": "aé日😀aé日😀"}),
    }
    span = a_span(
        name="日本語テキスト", status={"code": 2, "message": "é日😀aé日😀"}, events=[event], attributes={"ключ": "значение"}
    )
    error = of_spans(span, limits=limits, resource={"service.name": "сервис"}).errors[0]
    assert (error.operation, error.message) == ("日本語テキスト"[:chars], "é日😀aé日😀"[:chars])


def test_what_errors_keep_of_a_resource_is_cut_to_a_name_before_it_is_copied() -> None:
    resource: dict[str, object] = {"host.name": "é" * 4096, "service.version": "1" * 4096, "k8s.pod.name": "p"}
    batch = of_spans(*[a_span(status={"code": 2})] * 3, limits=Limits(max_name_chars=20), resource=resource)
    kept = {"service.version": "1" * 20, "k8s.pod.name": "p", "host.name": "é" * 20}
    assert [error.attributes for error in batch.errors] == [kept] * 3
    assert batch.counters == {"names_cut": 3}  # the presence's version, and what is kept: once each


@pytest.mark.parametrize(
    "value",
    [
        0,
        -1,
        2**63 - 1,
        -(2**63),
        0.1,
        -0.0,
        1e16,
        1e-5,
        5e-324,
        True,
        [1, [2.5, "x"]],
        {"a": {"b": [True]}},
    ],
)
def test_values_are_written_alike(value: object) -> None:
    assert of_spans(a_span(status={"code": 2}, attributes={"it": value})).errors[0].attributes["it"]


@pytest.mark.parametrize("depth", range(1, 10))
def test_structures_are_written_to_the_same_depth(depth: int) -> None:
    value: object = "x"
    for i in range(8):
        value = [value, 1] if i % 2 else {"k": value}
    batch = of_spans(a_span(status={"code": 2}, attributes={"it": value}), limits=Limits(max_attribute_depth=depth))
    assert ("x" in batch.errors[0].attributes["it"]) == (depth >= 8)
    assert batch.counters == ({} if depth >= 8 else {"attributes_deep": 1})


@pytest.mark.parametrize("n", [31, 32, 33, 70])
def test_structures_of_many_items_are_counted_once_for_each_value_that_is_written(n: int) -> None:
    many = list(range(n))
    said: dict[str, object] = {"a": many, "b": {"c": many, "d": many}, "peer.service": many, "text": "[" * n}
    batch = of_spans(a_span(3, status={"code": 2}, attributes=said), resource={"host.name": many})
    # The resource's, the peer's, and three of the error; what it keeps of the resource is a text by then.
    assert batch.counters.get("attributes_deep", 0) == (5 if n > 32 else 0)
    record = a_log(17, body={"kvlistValue": {"values": attributes({"message": many})}}, attributes={"exception.message": many})
    assert of_logs(record).counters.get("attributes_deep", 0) == (2 if n > 32 else 0)
    few = of_logs(a_log(17, attributes={"a": 1, "b": many}), limits=Limits(max_attributes=1))
    assert few.counters == {"attributes_dropped": 1}


def test_fields_that_follow_the_last_shown_item_are_no_items() -> None:
    body = as_protobuf(traces(a_span(status={"code": 2}, attributes={"it": 1})), "traces")
    message = ExportTraceServiceRequest.FromString(body)
    value = message.resource_spans[0].scope_spans[0].spans[0].attributes[0].value
    value.array_value.MergeFromString(b"\x0a\x00" * 32 + b"\x78\x01")
    assert accepted(message.SerializeToString(), "traces").counters == {}


@pytest.mark.parametrize(
    "status",
    [
        *("500", "0503", "599", "600", "0000000503", "5e2", "٥٠٣", " 500", 503, 499, [503], True),
        *(503.0, 499.99999999999994, 500.0, 500.5, 599.9999999999999, 600.0, 1e300, -503.0, "NaN", 5e-324),
    ],
)
def test_answers_of_servers_are_judged_alike(status: object) -> None:
    for key in ("http.response.status_code", "http.status_code"):
        of_spans(a_span(attributes={key: status}), a_span(3, attributes={key: status}))


def test_bytes_that_read_as_a_number_are_a_status() -> None:
    body = as_protobuf(traces(a_span(attributes={"http.status_code": 1})), "traces")
    message = ExportTraceServiceRequest.FromString(body)
    message.resource_spans[0].scope_spans[0].spans[0].attributes[0].value.bytes_value = b"\xd3\x9d\x37"  # "0503"
    assert len(accepted(message.SerializeToString(), "traces").errors) == 1


def test_the_best_attribute_that_says_something_names_the_peer() -> None:
    best = {"peer.service": "", "server.address": "", "net.peer.name": 7, "rpc.service": "r"}
    batch = of_spans(a_span(3, attributes=best), a_span(4, attributes={"messaging.destination.name": "q"}, status={"code": 2}))
    assert batch.calls == (Call("cart", "7", 1.0, 0.0), Call("cart", "q", 1.0, 1.0))


def test_rows_beyond_the_limit_are_refused_and_dropped_alike() -> None:
    spans = [a_span(3, name="one", attributes={"peer.service": f"p{i}"}) for i in range(9)]
    batch = of_spans(*spans, *(a_span(name=f"n{i}") for i in range(9)), limits=Limits(max_rows=4))
    assert (len(batch.calls), batch.counters["calls_dropped"], batch.rejected) == (4, 5, 6)
    assert batch.reason


@pytest.mark.parametrize(
    "state",
    [
        "ot=th:8",
        "ot=th:fffff",
        "ot=th:7fffffffffffff",
        "a=1,\tot=rv:1;th:c , ot=th:1",
        "ot=th:fffffffffffff8",
        "ot=th:F",
        "ot=th:",
        "ot=p:1",
        "ot",
        "ot =th:8",
        ",,=,ot=th:0",
    ],
)
def test_sampled_spans_weigh_the_same(state: str) -> None:
    span = a_span(traceState=state, status={"code": 2}, attributes={"peer.service": "p"})
    of_spans(span, span | {"kind": 3}, span | {"kind": 1, "parentSpanId": span_id(2)})


@pytest.mark.parametrize(
    "times", [(0, 0), (1, 0), (5, 5), (1, 86_400 * SECOND + 1), (1, 86_400 * SECOND + 2), (2**63, 1), (1, 2**64 - 1)]
)
def test_times_are_judged_alike(times: tuple[int, int]) -> None:
    of_spans(a_span(startTimeUnixNano=str(times[0]), endTimeUnixNano=str(times[1])))
    of_logs(a_log(timeUnixNano=str(times[0]), observedTimeUnixNano=str(times[1])))


def test_a_resource_that_follows_its_spans_still_names_them() -> None:
    one, other = (as_protobuf(traces(a_span(), service=name), "traces") for name in ("one", "other"))
    first, second = ExportTraceServiceRequest.FromString(one), ExportTraceServiceRequest.FromString(other)
    # Two halves of one ResourceSpans: the spans, then the resource. Tag and length are one byte each.
    spans = first.resource_spans[0]
    spans.ClearField("resource")
    second.resource_spans[0].ClearField("scope_spans")
    joined = spans.SerializeToString() + second.resource_spans[0].SerializeToString()
    batch = accepted(b"\x0a" + bytes([len(joined)]) + joined, "traces")
    assert batch.presences == (Presence("other", "", ""),)


def test_arrays_of_a_batch_can_be_written_like_those_of_the_python_reader() -> None:
    batch = of_spans(a_span())
    assert all(array.flags.writeable for array in (batch.counts, batch.histogram, batch.group_series, batch.end_trace))


def test_a_refusal_says_why() -> None:
    with pytest.raises(MalformedBody, match="the body is no OTLP logs request in protobuf: it ends within a number"):
        decoder("c")(b"\x08", "logs", "protobuf", limits=Limits())
    assert outcome(decoder("c"), b"\x08", "logs", Limits()) == REFUSED


def test_what_the_scanner_hands_on_has_every_field_in_its_place() -> None:
    span = a_span(3, status={"code": 2}, traceState="ot=th:8", events=[EXCEPTION], attributes={"peer.service": "p", "k": "v"})
    batch = of_spans(span, resource={"service.instance.id": "i", "service.version": "2"})
    (error,), (call,), (presence,) = batch.errors, batch.calls, batch.presences
    assert (error.source, error.service, error.operation, error.severity) == ("span", "cart", span["name"], 17)
    assert (error.time_ns, error.trace_id, error.span_id) == (int(span["endTimeUnixNano"]), span["traceId"], span["spanId"])
    assert (error.exception_type, error.message, error.stack, error.weight) == ("E", "m", "", 2.0)
    assert error.attributes == {"peer.service": "p", "k": "v", "service.instance.id": "i", "service.version": "2"}
    assert (call, presence) == (Call("cart", "p", 2.0, 2.0), Presence("cart", "i", "2"))
