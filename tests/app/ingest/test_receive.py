"""From a body to messages in the durable log."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ingest import receive
from app.ingest.codec import BatchMessage, unpack
from app.ingest.limits import Limits
from app.ingest.otlp import decode
from app.ingest.receive import LogMessage, Receiver, messages_of
from app.telemetry import Telemetry
from features.errors import MalformedBody, StoreFailed
from features.series import partition_of
from tests.app.ingest.requests import a_log, a_point, a_span, as_json, logs, metrics, traces
from tests.builders import ListLog

NOW = 1_700_000_000 * 10**9


def batches_of(messages: list[LogMessage]) -> list[BatchMessage]:
    found = [unpack(data) for _, _, data in messages]
    assert all(isinstance(message, BatchMessage) for message in found)
    return [message for message in found if isinstance(message, BatchMessage)]


def many_services(n: int) -> bytes:
    request = [traces(a_span(status={"code": 2}), a_span(3), service=f"s{m}")["resourceSpans"][0] for m in range(n)]
    return as_json({"resourceSpans": request})


def test_what_was_received_is_in_the_log_under_its_partition() -> None:
    log, telemetry = ListLog(), Telemetry()
    batch = Receiver(log, telemetry, Limits(), lambda: NOW).receive("team", "logs", "json", as_json(logs(a_log(), a_log(9))))
    assert batch.n_records == 2
    (entry,) = log.partitions[partition_of("team", "cart", 8)]
    message = unpack(entry.data)
    assert isinstance(message, BatchMessage)
    assert (message.tenant, message.received_at_ns, len(message.batch_id)) == ("team", NOW, 32)
    assert (message.batch.counts.sum(0)[3], len(message.batch.errors)) == (1, 1)
    assert telemetry.registry.get_sample_value("foreshock_records_total", {"signal": "logs"}) == 2


def test_an_empty_request_leaves_nothing_in_the_log() -> None:
    log = ListLog()
    Receiver(log, Telemetry(), Limits(), lambda: NOW).receive("team", "traces", "protobuf", b"")
    assert not any(log.partitions)


def test_a_malformed_body_leaves_nothing_in_the_log_and_counts_nothing() -> None:
    log, telemetry = ListLog(), Telemetry()
    with pytest.raises(MalformedBody):
        Receiver(log, telemetry, Limits(), lambda: NOW).receive("team", "traces", "json", b"[")
    assert not any(log.partitions)
    assert telemetry.registry.get_sample_value("foreshock_body_bytes_total") == 0


class LaterLog(ListLog):
    """A log that finishes an append when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.futures: list[Future[list[int]]] = []

    def append_later(self, messages: Sequence[LogMessage]) -> Future[list[int]]:
        self.futures.append(Future())
        return self.futures[-1]


def test_what_is_taken_counts_once_it_is_durable_and_never_when_the_log_failed() -> None:
    log, telemetry = LaterLog(), Telemetry()
    receiver = Receiver(log, telemetry, Limits(), lambda: NOW)
    batch, durable = receiver.take("team", "logs", "json", as_json(logs(a_log(), a_log(9))))
    assert (batch.n_records, durable.done(), telemetry.value("records", signal="logs")) == (2, False, 0)
    log.futures[0].set_result([1])
    assert (durable.done(), telemetry.value("records", signal="logs")) == (True, 2)
    _, refused = receiver.take("team", "logs", "json", as_json(logs(a_log())))
    log.futures[1].set_exception(StoreFailed("disk"))
    with pytest.raises(StoreFailed):
        refused.result()
    assert telemetry.value("records", signal="logs") == 2


def test_an_empty_request_is_durable_at_once() -> None:
    log = LaterLog()
    batch, durable = Receiver(log, Telemetry(), Limits(), lambda: NOW).take("team", "traces", "protobuf", b"")
    assert (batch.n_records, durable.result(0), log.futures) == (0, [], [])


def test_what_was_cut_or_refused_is_told() -> None:
    telemetry = Telemetry()
    body = as_json(metrics(*[{"name": str(n), "gauge": {"dataPoints": [a_point(timeUnixNano="-1")]}} for n in range(3)]))
    Receiver(ListLog(), telemetry, Limits(max_rows=1), lambda: NOW).receive("team", "metrics", "json", body)
    assert telemetry.registry.get_sample_value("foreshock_limited_total", {"reason": "times_invalid"}) == 3
    assert telemetry.registry.get_sample_value("foreshock_rejected_records_total", {"reason": "rows"}) == 2


def test_the_same_request_has_the_same_ids_and_any_other_has_others() -> None:
    body = many_services(20)
    batch = decode(body, "traces", "json")
    ids = [message[1] for message in messages_of(batch, "a", body, NOW, 8)]
    assert ids == [message[1] for message in messages_of(batch, "a", body, NOW + 1, 8)]
    others = [message[1] for message in messages_of(batch, "b", body, NOW, 8) + messages_of(batch, "a", body + b" ", NOW, 8)]
    assert len(set(ids)) == len(ids) == 8
    assert not set(ids) & set(others)


@given(st.integers(1, 12), st.integers(1, 8))
def test_the_messages_of_a_request_hold_together_what_the_request_says(n_services: int, n_partitions: int) -> None:
    body = many_services(n_services)
    whole = decode(body, "traces", "json", limits=Limits(span_end_sample=1))
    parts = [message.batch for message in batches_of(messages_of(whole, "a", body, NOW, n_partitions))]
    assert sum(part.counts.sum() for part in parts) == pytest.approx(whole.counts.sum())
    assert sum(len(part.end_trace) for part in parts) == len(whole.end_trace)
    for name in ("errors", "calls", "presences", "levels"):
        together = [item for part in parts for item in getattr(part, name)]
        assert sorted(map(repr, together)) == sorted(map(repr, getattr(whole, name)))
    for part in parts:
        assert {part.series[row] for row in part.group_series.tolist()} == set(part.series)
        assert {part.services[row] for row in part.end_service.tolist()} == set(part.services)


def test_a_message_that_is_too_large_is_cut_in_the_same_way_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receive, "MAX_MESSAGE_BYTES", 1500)
    body = as_json(traces(*[a_span(name=f"GET /{n}", status={"code": 2, "message": "m" * 100}) for n in range(50)]))
    whole = decode(body, "traces", "json")
    messages = messages_of(whole, "a", body, NOW, 1)
    assert len(messages) > 4
    assert max(len(data) for _, _, data in messages) <= 1500
    assert len({name for _, name, _ in messages}) == len(messages)
    assert messages == messages_of(whole, "a", body, NOW, 1)
    parts = [message.batch for message in batches_of(messages)]
    assert sum(part.counts.sum() for part in parts) == pytest.approx(whole.counts.sum())
    assert [error for part in parts for error in part.errors] == list(whole.errors)


def test_what_cannot_be_cut_stays_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receive, "MAX_MESSAGE_BYTES", 10)
    body = as_json(logs(a_log()))
    ((_, name, _),) = messages_of(decode(body, "logs", "json"), "a", body, NOW, 1)
    assert len(name) == 32
