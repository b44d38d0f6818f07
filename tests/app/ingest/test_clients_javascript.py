"""The real OpenTelemetry SDK for JavaScript, installed by npm: what was sent is what is counted.

It sends every HTTP body chunked, times in JSON as text and whole numbers as numbers.
"""

from __future__ import annotations

from pathlib import Path
from time import time_ns

import pytest

from app.ingest.limits import Limits
from tests.app.ingest.clients.javascript_sdk import install, send
from tests.app.ingest.oracle import expected, unlike
from tests.app.ingest.servers import serve_grpc, serve_http, stored_log
from tests.app.ingest.truth import TRUTH


@pytest.mark.system("node")
@pytest.mark.system("npm")
@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("protocol", ["http/json", "http/protobuf", "grpc"])
def test_what_the_javascript_sdk_sends_is_counted_record_by_record(
    protocol: str, compression: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    assert pytestconfig.cache is not None
    folder = install(pytestconfig.cache)
    begin_ns = time_ns()
    serve = serve_grpc if protocol == "grpc" else serve_http
    with stored_log(tmp_path) as log, serve(log, Limits(span_end_sample=1)) as ingest:
        raised = send(folder, TRUTH, protocol, compression, ingest.address)
        assert [attributes["exception.type"] for attributes in raised.values()] == ["RangeError"]
        assert unlike(ingest, expected(TRUTH, raised), begin_ns) == []
        sent = {"traces": len(TRUTH.spans), "logs": len(TRUTH.logs), "metrics": 6}
        assert {signal: ingest.sample("foreshock_records_total", signal=signal) for signal in sent} == sent
