"""`foreshock replay --to`: recorded lines reach a service as if they had just happened."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from app.commands.send_command import to_service
from features.errors import InvalidValue
from tests.nodes import RunningNode, history_rows, run_node
from tests.recorded import recorded, twisted, write_lines

LINES = twisted(recorded(80, seed=3, failing=range(30, 38)))


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lines(tmp_path_factory.mktemp("recording") / "shop.jsonl", LINES)


def test_lines_sent_to_a_service_end_now(recording: Path, tmp_path: Path) -> None:
    with run_node(tmp_path) as running:
        running.clock_ns[0] = time.time_ns()
        report = to_service([recording], running.served.otlp_http, 0.0, lambda _share, _text: None)
        assert (report["requests"], report["refused"]) == (len(LINES), 1)
        newest = _newest_time(running)
        assert abs(newest - time.time()) < 120.0
        assert running.metric("foreshock_records_total", signal="metrics") == sum(b"resourceMetrics" in line for line in LINES)


def test_a_service_that_is_not_there_is_named(recording: Path) -> None:
    with pytest.raises(InvalidValue, match=r"cannot reach http://127\.0\.0\.1:9"):
        to_service([recording], "http://127.0.0.1:9", 0.0, lambda _share, _text: None)


def _newest_time(running: RunningNode) -> float:
    running.tick()
    rows = history_rows(running.node.settings.data)
    return max(float(row[3]) for row in rows)
