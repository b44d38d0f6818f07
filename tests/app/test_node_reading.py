"""What reads, and what services measured themselves, on a whole node."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from app.ingest.otlp import ENGINE
from features.batch import channel
from tests.app.ingest.requests import a_span, as_json, attributes, metrics, traces
from tests.nodes import run_node


@pytest.mark.parametrize(
    "engine", ["python", pytest.param("c", marks=pytest.mark.skipif(ENGINE != "c", reason="it is not built"))]
)
def test_the_log_and_the_metrics_name_the_engine_that_reads_protobuf(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, engine: str
) -> None:
    with caplog.at_level(logging.INFO, "app.main"), run_node(tmp_path, ingest__engine=engine) as running:
        assert running.metric("foreshock_decoder", engine=engine) == 1
    assert f"read by the engine {engine}" in caplog.text


def test_a_service_that_exports_its_durations_is_counted_by_them_from_a_socket_to_the_windows(
    tmp_path: Path, family: dict[str, Any]
) -> None:
    with run_node(tmp_path, **family) as running:
        for minute in range(4):
            requests = 100 * (minute + 1)
            point = {
                "startTimeUnixNano": str(running.now_ns - (minute * 60 + 30) * 10**9),
                "timeUnixNano": str(running.now_ns + 30 * 10**9),
                "count": str(requests),
                "sum": requests / 100,
                "bucketCounts": [str(requests), "0"],
                "explicitBounds": [0.05],
                "attributes": attributes({"http.request.method": "GET", "http.route": "/"}),
            }
            histogram = {"aggregationTemporality": 2, "dataPoints": [point]}
            metric = {"name": "http.server.request.duration", "unit": "s", "histogram": histogram}
            assert running.post("metrics", as_json(metrics(metric))).status_code == 200
            time = str(running.now_ns + 10**9)
            sampled = a_span(name="GET /", startTimeUnixNano=time, endTimeUnixNano=time, spanId=f"{minute + 1:016x}")
            assert running.post("traces", as_json(traces(sampled))).status_code == 200
            running.tick()
        recent = running.node.worker.flow.memory.windows.recent(4)
        row = running.node.worker.flow.memory.directory.find("default", "cart", "GET /")
        assert recent[row, :, channel("total")].tolist() == [1.0, 1.0, 100.0, 100.0]
