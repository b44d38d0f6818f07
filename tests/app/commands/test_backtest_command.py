"""A backtest over a folder's own history: a report, a table, a page."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.commands.backtest_command import backtest
from app.main import Node
from features.errors import DataInUse, InvalidValue
from tests.app.test_jobs import write_history
from tests.nodes import settings_in

ALL = (None, None)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_report_says_how_every_horizon_did_and_the_page_is_written(tmp_path: Path) -> None:
    write_history(tmp_path / "history", 1600, 80)
    shares: list[float] = []
    page = tmp_path / "report.html"
    report, table = backtest(settings_in(tmp_path), "default", ALL, page, lambda share, _text: shares.append(share))
    told = json.loads(json.dumps(report))
    assert set(told["horizons"]) == {"5min", "15min", "60min"}
    assert len(told["folds"]) == 4
    assert "seasonal" in table
    assert table.endswith(f"page: {page}")
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_no_history_is_refused_with_what_is_missing(tmp_path: Path) -> None:
    until = datetime(2026, 1, 1, tzinfo=UTC)
    with pytest.raises(InvalidValue, match="must hold at least 10 incidents to learn from, got 0"):
        backtest(settings_in(tmp_path), "default", (None, until), None, lambda _share, _text: None)


def test_a_folder_that_is_served_is_left_alone(tmp_path: Path) -> None:
    with closing(Node(settings_in(tmp_path))), pytest.raises(DataInUse, match=str(tmp_path)):
        backtest(settings_in(tmp_path), "default", ALL, None, lambda _share, _text: None)
