"""The record of a backtest refuses what cannot be, and is the same out of its document."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.cache.backtests import BacktestRun, page_of, put_page
from app.cache.documents import decode_document, encode_document
from app.store.contract import Documents
from features.errors import InvalidValue

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def test_a_record_is_the_same_out_of_its_document() -> None:
    run = BacktestRun("b1", "running", NOW, NOW, None, NOW, progress=0.5, reason="a test")
    assert decode_document(encode_document(run), BacktestRun) == run


def test_unknown_state_and_impossible_progress_are_refused() -> None:
    with pytest.raises(InvalidValue, match="state must be one of"):
        BacktestRun("b1", "lost", NOW)
    with pytest.raises(InvalidValue, match="progress must be in"):
        BacktestRun("b1", "running", NOW, progress=1.5)


def test_a_page_is_kept_for_its_tenant_alone(documents: Documents) -> None:
    put_page(documents, "red", "b1", "<p>täglich</p>", 60.0)
    assert page_of(documents, "red", "b1") == "<p>täglich</p>"
    assert page_of(documents, "blue", "b1") is None
