"""A backtest that was asked for takes its turn in a process of its own, and leaves a report and a page."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.cache.backtests import BacktestRun, page_of
from app.cache.documents import decode_document, encode_document, tenant_key
from app.job import Job
from features.errors import AlreadyWaiting
from features.memory import MemoryPlan
from tests.app.test_jobs import FIRST, NOW, Bench, open_bench, write_history
from tests.nodes import until


def kept(bench: Bench, run_id: str) -> BacktestRun:
    document = bench.store.documents.get("backtests", tenant_key("default", run_id))
    assert document is not None
    return decode_document(document.value, BacktestRun)


@pytest.mark.slow
def test_a_backtest_ends_with_a_report_and_a_page(tmp_path: Path) -> None:
    write_history(tmp_path / "history", 1200, 40)
    with open_bench(tmp_path) as bench:
        job = Job("default", MemoryPlan(), since=FIRST * 60, stride=20)
        assert bench.jobs.ask_backtest("b1", job, "a test") == "b1"
        assert (kept(bench, "b1").state, kept(bench, "b1").since) == ("queued", datetime.fromtimestamp(FIRST * 60, UTC))
        bench.jobs.start()
        until(lambda: kept(bench, "b1").state not in {"queued", "running"}, "its end")
        run = kept(bench, "b1")
        assert (run.state, run.error, run.progress, run.reason) == ("succeeded", None, 1.0, "a test")
        assert run.started_at == run.ended_at == NOW
        assert run.report is not None
        horizons = run.report["horizons"]
        assert isinstance(horizons, Mapping)
        assert set(horizons) == {"5min", "15min", "60min"}
        page = page_of(bench.store.documents, "default", "b1")
        assert page is not None
        assert page.startswith("<!DOCTYPE html>")
        until(lambda: bench.telemetry.value("backtests", outcome="succeeded") == 1, "the count")
        assert bench.telemetry.values("training_runs") == {}


def test_one_backtest_waits_beside_a_training_run(tmp_path: Path) -> None:
    with open_bench(tmp_path) as bench:
        job = Job("default", MemoryPlan())
        bench.jobs.ask("r1", job, "")
        bench.jobs.ask_backtest("b1", job, "")
        with pytest.raises(AlreadyWaiting, match="at most 1 backtest of tenant 'default' may wait, and b1 does"):
            bench.jobs.ask_backtest("b2", job, "")


def test_a_backtest_that_a_crash_left_behind_is_failed_at_the_next_start(tmp_path: Path) -> None:
    with open_bench(tmp_path) as bench:
        left = BacktestRun("b0", "running", NOW, progress=0.5)
        bench.store.documents.put("backtests", tenant_key("default", "b0"), encode_document(left))
        bench.jobs.start()
        assert (kept(bench, "b0").state, kept(bench, "b0").error) == ("failed", "the service was stopped")
