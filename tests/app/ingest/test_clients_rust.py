"""The real OpenTelemetry SDK for Rust, which Deno has built in: what was sent is what is counted.

Its JSON is indented and has fields that OTLP does not know, and all numbers of a program come as doubles.
"""

from __future__ import annotations

from pathlib import Path
from time import time_ns

import pytest

from app.ingest.limits import Limits
from tests.app.ingest.clients.rust_sdk import sayable, send
from tests.app.ingest.oracle import expected, unlike
from tests.app.ingest.servers import serve_http, stored_log
from tests.app.ingest.truth import TRUTH


@pytest.mark.parametrize("protocol", ["http/json", "http/protobuf"])
def test_what_the_rust_sdk_sends_is_counted_record_by_record(protocol: str, tmp_path: Path) -> None:
    begin_ns = time_ns()
    truth = sayable(TRUTH, begin_ns)
    with stored_log(tmp_path) as log, serve_http(log, Limits(span_end_sample=1)) as ingest:
        sent, raised = send(truth, protocol, ingest.address, tmp_path / "deno")
        assert [attributes["exception.type"] for attributes in raised.values()] == ["RangeError"]
        assert unlike(ingest, expected(sent, raised), begin_ns) == []
        n_records = {"traces": len(TRUTH.spans), "logs": len(truth.logs), "metrics": 6}
        assert {signal: ingest.sample("foreshock_records_total", signal=signal) for signal in n_records} == n_records
