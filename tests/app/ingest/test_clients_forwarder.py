"""A real collector between the SDK and us, which gathers, cuts and compresses anew: what was sent is what is counted."""

from __future__ import annotations

import os
from pathlib import Path
from time import monotonic, sleep, time_ns

import pytest

from app.ingest.limits import Limits
from tests.app.ingest.clients.forwarder import forwarder, program
from tests.app.ingest.clients.python_sdk import over_http, send
from tests.app.ingest.oracle import expected, unlike
from tests.app.ingest.servers import refusals, serve_grpc, serve_http, stored_log
from tests.app.ingest.truth import TRUTH

PATIENCE_S = 30

needs_rotel = pytest.mark.skipif(
    program() is None and os.environ.get("FORESHOCK_REQUIRE_SYSTEM") != "1", reason="needs rotel: pip install '.[bench]'"
)


@needs_rotel
@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_what_a_collector_forwards_is_counted_record_by_record(protocol: str, compression: str, tmp_path: Path) -> None:
    begin_ns = time_ns()
    serve = serve_grpc if protocol == "grpc" else serve_http
    with stored_log(tmp_path / "store") as log, serve(log, Limits(span_end_sample=1)) as ingest:
        with forwarder(protocol, compression, ingest.address, tmp_path) as address:
            raised = send(TRUTH, over_http(address, packed=True))
        assert unlike(ingest, expected(TRUTH, raised), begin_ns) == []
        sent = {"traces": len(TRUTH.spans), "logs": len(TRUTH.logs), "metrics": 6}
        assert {signal: ingest.sample("foreshock_records_total", signal=signal) for signal in sent} == sent


@needs_rotel
@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_a_collector_that_is_refused_for_want_of_room_forwards_it_later_and_once(protocol: str, tmp_path: Path) -> None:
    begin_ns, limits = time_ns(), Limits(span_end_sample=1)
    serve = serve_grpc if protocol == "grpc" else serve_http
    with stored_log(tmp_path / "store") as log, serve(log, limits) as ingest:
        with forwarder(protocol, "gzip", ingest.address, tmp_path) as address:
            with ingest.receiver.room.hold("default") as everything:
                everything.grow_to(limits.max_tenant_in_flight_bytes)
                raised = send(TRUTH, over_http(address, packed=True))
                deadline = monotonic() + PATIENCE_S
                while not all(refusals(ingest, protocol).values()) and monotonic() < deadline:
                    sleep(0.01)
                assert all(refusals(ingest, protocol).values())
                assert ingest.messages() == []
            deadline = monotonic() + PATIENCE_S
            # It tries again when it likes to, and what it still holds when it is stopped may be lost.
            while unlike(ingest, expected(TRUTH, raised), begin_ns) and monotonic() < deadline:
                sleep(0.1)
        messages = ingest.messages()
        assert len({message.batch_id for message in messages}) == len(messages)
        assert unlike(ingest, expected(TRUTH, raised), begin_ns) == []
