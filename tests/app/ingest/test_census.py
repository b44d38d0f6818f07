"""How many records a body holds is known before anything is made of them."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ingest.census import TooManyRecords, admit_census
from app.ingest.limits import Limits
from app.ingest.otlp import ENGINE, Engine, decoder
from app.ingest.receive import Receiver
from app.ingest.signals import SIGNALS, Encoding, Signal
from app.telemetry import Telemetry
from features.errors import MalformedBody
from tests.app.ingest.requests import a_log, a_point, a_span, as_protobuf, logs, metrics, traces, written
from tests.builders import ListLog
from tests.fuzz.wire import varint

ENGINES: tuple[Engine, ...] = ("c", "python") if ENGINE == "c" else ("python",)


def request_of(signal: Signal, n: int) -> dict[str, object]:
    if signal == "traces":
        return traces(*[a_span()] * n, resource={"a": "b"})
    if signal == "logs":
        return logs(*[a_log()] * n)
    return metrics(
        {"name": "m", "gauge": {"dataPoints": [a_point()] * (n // 2)}},
        {"name": "s", "unit": "By", "sum": {"dataPoints": [a_point()] * (n - n // 2)}},
    )


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize("n", [2, 7, 300])
def test_protobuf_records_are_counted_as_the_decoder_counts_them(signal: Signal, n: int) -> None:
    body = as_protobuf(request_of(signal, n), signal)
    assert decoder("python")(body, signal, "protobuf").n_records == n
    admit_census(body, signal, "protobuf", n)
    with pytest.raises(TooManyRecords, match=f"records in one request must be <= {n - 1}, got {n}"):
        admit_census(body, signal, "protobuf", n - 1)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize("n", [100, 101, 5000])
def test_empty_resources_and_scopes_are_refused_by_every_engine_alike(engine: Engine, signal: Signal, n: int) -> None:
    receiver = Receiver(ListLog(), Telemetry(), Limits(max_records=100), lambda: 0, decoder(engine))
    scopes = bytes([18, 0]) * (n - 1)
    for body in (bytes([10, 0]) * n, b"\n" + varint(len(scopes)) + scopes):
        refused = pytest.raises(TooManyRecords, match="records in one request must be <= 100, got 101;")
        with nullcontext() if n <= 100 else refused:
            receiver.receive("shop", signal, "protobuf", body)


@pytest.mark.parametrize("signal", ["traces", "logs"])
@pytest.mark.parametrize("most", [8, 9, 10, 11])
def test_every_engine_counts_the_same_beside_records(signal: Signal, most: int) -> None:
    body = as_protobuf(request_of(signal, 10), signal)
    for engine in ENGINES:
        receiver = Receiver(ListLog(), Telemetry(), Limits(max_records=most), lambda: 0, decoder(engine))
        with nullcontext() if most >= 10 else pytest.raises(TooManyRecords, match=f"got {most + 1}"):
            receiver.receive("shop", signal, "protobuf", body)


def test_many_metrics_without_points_are_too_many_records() -> None:
    body = as_protobuf(metrics(*[{"name": ""}] * 50), "metrics")
    with pytest.raises(TooManyRecords):
        admit_census(body, "metrics", "protobuf", 40)


@pytest.mark.parametrize("place", ["the request", "a resource", "a scope"])
def test_what_follows_an_unknown_group_is_counted(place: str) -> None:
    group = b"\x0b\x13\x12\x02\x12\x00\x14\x0c"  # groups 1 and 2; nothing within them is a record
    before = {name: group if name == place else b"" for name in ("the request", "a resource", "a scope")}
    scope = before["a scope"] + b"\x12\x00" * 100
    resource = before["a resource"] + b"\x12" + varint(len(scope)) + scope
    body = before["the request"] + b"\n" + varint(len(resource)) + resource
    for signal in SIGNALS:
        with pytest.raises(TooManyRecords, match="must be <= 40, got 41"):
            admit_census(body, signal, "protobuf", 40)
        for engine in ENGINES:
            with pytest.raises(TooManyRecords, match="must be <= 40, got 41"):
                decoder(engine)(body, signal, "protobuf", limits=Limits(max_records=40))


def test_counting_ends_soon_after_the_bound() -> None:
    body = bytes([10, 0]) * 10 + bytes([10, 0x84, 0x80, 0x80, 0x08, 18, 0x80, 0x80, 0x80, 0x08]) + b"\x12\x00" * 2**20
    with pytest.raises(TooManyRecords, match="got 11"):
        admit_census(body, "traces", "protobuf", 10)


@pytest.mark.parametrize("signal", SIGNALS)
def test_json_is_bounded_by_its_objects(signal: Signal) -> None:
    body = written(request_of(signal, 300), signal, "json")
    admit_census(body, signal, "json", 300)
    with pytest.raises(TooManyRecords, match="JSON objects in one request must be <= 320"):
        admit_census(b'{"resourceSpans":[' + b"{}," * 400 + b"{}]}", "traces", "json", 10)


@given(body=st.binary(max_size=300), encoding=st.sampled_from(["protobuf", "json"]), most=st.integers(1, 20))
def test_arbitrary_bytes_pass_or_are_too_many(body: bytes, encoding: Encoding, most: int) -> None:
    try:
        admit_census(body, "metrics", encoding, most)
    except TooManyRecords:
        return
    try:
        batch = decoder("python")(body, "metrics", encoding, limits=Limits())
    except MalformedBody:
        return
    assert batch.n_records <= most or len(body) <= 2 * most or encoding == "json"
