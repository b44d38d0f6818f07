"""The real OpenTelemetry SDK for Python over HTTP and gRPC, with and without gzip: what was sent is what is counted."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import time_ns

import pytest

from app.ingest.limits import Limits
from tests.app.ingest.clients.python_sdk import Exporters, over_grpc, over_http, send
from tests.app.ingest.oracle import differences, expected, unlike
from tests.app.ingest.servers import Ingest, serve_grpc, serve_http, stored_log
from tests.app.ingest.truth import TRUTH, Truth

EVERY_TRACE = Limits(span_end_sample=1)


@dataclass
class Wire:
    """A server and the exporters that reach it."""

    ingest: Ingest
    exporters: Exporters


@pytest.fixture(
    params=[("http", False), ("http", True), ("grpc", False), ("grpc", True)], ids=["http", "http-gzip", "grpc", "grpc-gzip"]
)
def wire(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Wire, None, None]:
    protocol, packed = request.param
    serve, reach = (serve_http, over_http) if protocol == "http" else (serve_grpc, over_grpc)
    with ExitStack() as stack:
        ingest = stack.enter_context(serve(stack.enter_context(stored_log(tmp_path)), EVERY_TRACE))
        yield Wire(ingest, reach(ingest.address, packed=packed))


def test_what_the_python_sdk_sends_is_counted_record_by_record(wire: Wire) -> None:
    begin_ns = time_ns()
    raised = send(TRUTH, wire.exporters)
    assert [attributes["exception.type"] for attributes in raised.values()] == ["RuntimeError"]
    assert unlike(wire.ingest, expected(TRUTH, raised), begin_ns) == []
    sent = {"traces": len(TRUTH.spans), "logs": len(TRUTH.logs), "metrics": 6}
    assert {signal: wire.ingest.sample("foreshock_records_total", signal=signal) for signal in sent} == sent


def test_the_table_has_a_record_of_every_kind_and_the_comparison_sees_a_difference_in_each() -> None:
    whole = expected(TRUTH)
    for part in ("groups", "errors", "calls", "failed_calls", "ends", "levels", "presences"):
        assert getattr(whole, part), part
    spans, logs, points = TRUTH.spans, TRUTH.logs, TRUTH.points
    for place in range(len(spans)):
        assert differences(expected(Truth(spans[:place] + spans[place + 1 :], logs, points)), whole) != []
    for place in range(len(logs)):
        assert differences(expected(Truth(spans, logs[:place] + logs[place + 1 :], points)), whole) != []
