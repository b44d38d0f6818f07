"""What is counted of spans."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ingest.limits import Limits
from app.ingest.otlp import decode
from features.batch import CHANNELS, Batch, Call, Presence, channel
from tests.app.ingest.requests import TRACE, a_span, as_json, attributes, count, span_id, traces

GET = "GET /cart"
PARENT = {"parentSpanId": span_id(9)}
EXCEPTION = {
    "name": "exception",
    "attributes": attributes({"exception.type": "E", "exception.message": "m", "exception.stacktrace": "s"}),
}


def read(*spans: dict[str, object], limits: Limits | None = None, resource: dict[str, object] | None = None) -> Batch:
    return decode(as_json(traces(*spans, resource=resource)), "traces", "json", limits=limits or Limits(span_end_sample=1))


@pytest.mark.parametrize("kind", [2, 5])
def test_server_and_consumer_spans_are_entries_also_below_a_parent(kind: int) -> None:
    batch = read(a_span(kind, **PARENT))
    assert batch.n_records == 1
    assert (count(batch, "total", GET), count(batch, "inner")) == (1, 0)


@pytest.mark.parametrize("kind", [0, 1, 3, 4])
def test_spans_of_other_kinds_are_entries_as_roots_and_inner_spans_below_a_parent(kind: int) -> None:
    batch = read(a_span(kind), a_span(kind, **PARENT), a_span(kind, parentSpanId="0" * 16))
    assert (count(batch, "total", GET), count(batch, "inner"), count(batch, "total")) == (2, 1, 0)


def test_a_window_starts_at_the_tick_in_which_the_span_ended() -> None:
    batch = read(a_span(endTimeUnixNano=str(179 * 10**9)), limits=Limits(tick_s=60))
    assert batch.group_time_s.tolist() == [120]


def test_durations_sum_and_the_largest_is_kept_with_a_histogram() -> None:
    batch = read(a_span(), a_span(startTimeUnixNano=str(118 * 10**9)))
    assert count(batch, "duration_sum_s", GET) == pytest.approx(2.01)
    assert count(batch, "duration_max_s", GET) == pytest.approx(2.0)
    assert batch.histogram.sum() == 2
    assert batch.histogram[0].nonzero()[0].tolist() == [5, 12]


@pytest.mark.parametrize("times", [(121, 120), (0, 120), (120, 120 + 86_401)])
def test_a_span_that_cannot_have_lasted_as_it_says_lasts_nothing_and_is_counted(times: tuple[int, int]) -> None:
    batch = read(a_span(startTimeUnixNano=times[0] * 10**9, endTimeUnixNano=times[1] * 10**9))
    assert (count(batch, "duration_sum_s", GET), count(batch, "duration_max_s", GET)) == (0, 0)
    assert batch.counters == {"durations_invalid": 1}


def test_a_span_may_last_a_day() -> None:
    batch = read(a_span(startTimeUnixNano=120 * 10**9, endTimeUnixNano=(120 + 86_400) * 10**9))
    assert (count(batch, "duration_max_s", GET), batch.counters) == (86_400, {})


def test_a_span_of_a_server_is_served_as_well_and_no_other_is() -> None:
    batch = read(a_span(2, **PARENT), a_span(2), a_span(5), a_span(1), a_span(3, **PARENT))
    assert (count(batch, "served", GET), count(batch, "total", GET), count(batch, "served")) == (2, 4, 0)


def test_a_sampled_span_counts_as_often_as_its_sampling_says() -> None:
    sampled: dict[str, Any] = {"traceState": "other=1,ot=th:c"}
    failed = a_span(attributes={"http.response.status_code": 503}, **sampled)
    batch = read(failed, a_span(), a_span(5, events=[EXCEPTION], **sampled), a_span(1, **PARENT, **sampled))
    counted = {name: count(batch, name, GET) for name in CHANNELS}
    assert counted == {
        "total": 9,
        "failed": 4,
        "server_errors": 4,
        "errors": 4,
        "warnings": 0,
        "handled": 4,
        "inner": 0,
        "logs": 0,
        "served": 5,
        "duration_sum_s": pytest.approx(0.09),
        "duration_max_s": 0.01,
    }
    assert count(batch, "inner") == 4
    assert (batch.histogram.sum(), batch.n_records, [error.weight for error in batch.errors]) == (9, 4, [4.0])


def test_calls_weigh_as_the_spans_that_named_them() -> None:
    peer: dict[str, Any] = {"attributes": {"peer.service": "payment"}, **PARENT}
    batch = read(a_span(3, **peer, traceState="ot=th:8"), a_span(3, **peer, status={"code": 2}), a_span(3, **peer))
    assert batch.calls == (Call("cart", "payment", 4.0, 1.0),)


def test_weights_that_are_malformed_or_absurd_are_counted_by_span() -> None:
    batch = read(a_span(traceState="ot=th:X"), a_span(traceState="ot=th:X"), a_span(traceState="ot=th:ffffffffffffff"))
    assert (count(batch, "total", GET), batch.counters) == (2 + 2**20, {"weights_invalid": 2, "weights_capped": 1})


@given(st.lists(st.sampled_from(["", "ot=th:8", "ot=th:6", "ot=th:fd70a", "ot=th:?"]), max_size=12), st.randoms())
def test_sums_of_sampled_spans_do_not_depend_on_their_order(states: list[str], rng: Random) -> None:
    shuffled = rng.sample(states, len(states))
    some, others = (read(*[a_span(traceState=state) for state in order]) for order in (states, shuffled))
    assert np.array_equal(some.counts[:, : channel("duration_sum_s")], others.counts[:, : channel("duration_sum_s")])
    assert np.array_equal(some.histogram, others.histogram)


def test_the_text_of_a_structure_is_as_deep_as_the_limit() -> None:
    failing = a_span(status={"code": 2}, attributes={"deep": [[["x"]]]})
    depths = [read(failing, limits=Limits(max_attribute_depth=depth)).errors[0].attributes["deep"] for depth in (1, 2, 6)]
    assert depths == ["[]", "[[]]", "[[[x]]]"]


def test_a_negative_time_is_counted_and_stands_apart() -> None:
    batch = read(a_span(endTimeUnixNano="-6795364578871345152"))
    assert batch.group_time_s.tolist() == [-1]
    assert batch.counters["times_invalid"] == 1


def test_a_failing_span_with_its_exception_is_one_error_that_the_exception_describes() -> None:
    batch = read(a_span(status={"code": 2, "message": "status"}, events=[EXCEPTION], attributes={"http.route": "/cart"}))
    assert (count(batch, "errors", GET), count(batch, "failed", GET), count(batch, "handled", GET)) == (1, 1, 0)
    (error,) = batch.errors
    assert (error.source, error.service, error.operation, error.time_ns) == ("span", "cart", GET, 120 * 10**9)
    assert (error.exception_type, error.message, error.stack) == ("E", "m", "s")
    assert (error.trace_id, error.span_id, error.attributes) == (TRACE, span_id(1), {"http.route": "/cart"})


def test_without_an_exception_the_status_describes_the_error() -> None:
    (error,) = read(a_span(status={"code": 2, "message": "deadline"})).errors
    assert (error.message, error.exception_type) == ("deadline", "")


def test_an_exception_that_did_not_fail_the_span_is_handled() -> None:
    batch = read(a_span(events=[EXCEPTION, {"name": "retry"}]), a_span(1, events=[EXCEPTION], **PARENT))
    assert (count(batch, "handled", GET), count(batch, "handled"), batch.errors) == (1, 1, ())


@pytest.mark.parametrize("key", ["http.response.status_code", "http.status_code"])
@pytest.mark.parametrize("status", [500, 503, 599, "502"])
def test_a_server_that_answers_5xx_failed_whatever_the_status_says(key: str, status: object) -> None:
    batch = read(a_span(attributes={key: status}))
    assert (count(batch, "failed", GET), count(batch, "server_errors", GET), count(batch, "errors", GET)) == (1, 1, 1)


@pytest.mark.parametrize("status", [200, 404, 499, 600, "OK"])
def test_another_answer_of_a_server_is_no_failure(status: object) -> None:
    batch = read(a_span(attributes={"http.response.status_code": status}))
    assert (count(batch, "failed", GET), count(batch, "server_errors", GET), batch.errors) == (0, 0, ())


def test_a_client_that_received_5xx_is_no_server_error() -> None:
    batch = read(a_span(3, attributes={"http.response.status_code": 503}, status={"code": 2}, **PARENT))
    assert (count(batch, "errors"), count(batch, "failed"), count(batch, "server_errors")) == (1, 0, 0)


def test_errors_beyond_the_limit_are_counted_and_not_looked_into() -> None:
    batch = read(*[a_span(status={"code": 2})] * 5, limits=Limits(max_errors_per_request=2))
    assert (len(batch.errors), count(batch, "errors", GET), batch.counters) == (2, 5, {"errors_not_decoded": 3})


def test_a_client_span_names_its_peer_by_the_first_attribute_that_does() -> None:
    peers = [{"server.address": "10.0.0.1", "peer.service": "payment"}, {"server.address": "payment"}, {"db.system": "x"}]
    spans = [a_span(3, attributes=peer, **PARENT) for peer in peers]
    batch = read(*spans, a_span(4, attributes={"messaging.destination.name": "orders"}, status={"code": 2}, **PARENT))
    assert batch.calls == (Call("cart", "payment", 2, 0), Call("cart", "orders", 1, 1))


def test_caller_and_callee_meet_under_the_callers_span_id() -> None:
    batch = read(a_span(3, spanId=span_id(7), **PARENT), a_span(2, spanId=span_id(8), parentSpanId=span_id(7)))
    assert batch.end_span.tolist() == [7, 7]
    assert batch.end_role.tolist() == [0, 1]
    assert len(set(batch.end_trace.tolist())) == 1
    assert [batch.services[place] for place in batch.end_service.tolist()] == ["cart", "cart"]


def test_an_internal_span_may_be_the_caller_of_a_server() -> None:
    batch = read(a_span(1, spanId=span_id(7), **PARENT), a_span(2, spanId=span_id(8), parentSpanId=span_id(7)))
    assert (batch.end_span.tolist(), batch.end_role.tolist()) == ([7, 7], [0, 1])


def test_a_server_without_a_parent_has_no_caller() -> None:
    assert len(read(a_span()).end_trace) == 0


def test_of_traces_without_errors_a_sample_gives_its_ends() -> None:
    even, odd = f"{4:032x}", f"{5:032x}"
    quiet = [a_span(2, traceId=trace, **PARENT) for trace in (even, odd)]
    limits = Limits(span_end_sample=4)
    assert read(*quiet, limits=limits).end_trace.tolist() == [4]
    failing = a_span(1, traceId=odd, status={"code": 2}, **PARENT)
    assert read(*quiet, failing, limits=limits).end_trace.tolist() == [4, 5, 5]


def test_a_span_without_valid_ids_counts_and_joins_nothing() -> None:
    batch = read(a_span(3, traceId="xyz", spanId="12"), a_span(2, traceId="", parentSpanId="AAAAAAAAAAA="))
    assert (count(batch, "total", GET), len(batch.end_trace)) == (2, 0)
    assert batch.counters == {"ids_invalid": 3}


def test_the_resource_says_which_instance_spoke_in_which_version_and_errors_keep_that() -> None:
    batch = read(a_span(status={"code": 2}), resource={"service.version": "1.2", "k8s.pod.name": "cart-1", "os.type": "linux"})
    assert batch.presences == (Presence("cart", "cart-1", "1.2"),)
    assert batch.errors[0].attributes == {"service.version": "1.2", "k8s.pod.name": "cart-1"}


def test_an_attribute_of_two_megabytes_is_cut_and_counted() -> None:
    (error,) = read(a_span(status={"code": 2}, attributes={"big": "x" * 2_000_000})).errors
    assert error.attributes == {"big": "x" * 4096}


def test_attributes_beyond_the_limit_are_dropped_the_least_telling_first() -> None:
    many = {f"custom.{n}": n for n in range(40)} | {"error.type": "timeout"}
    batch = read(a_span(status={"code": 2}, attributes=many), limits=Limits(max_attributes=2))
    assert batch.errors[0].attributes == {"error.type": "timeout", "custom.0": "0"}
    assert batch.counters == {"attributes_dropped": 39}
