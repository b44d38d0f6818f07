"""A tenant's place for a run that waits, over all nodes: taken once, and free again without anybody giving it back."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.cache.backtests import BacktestRun
from app.cache.records import TrainingRun
from app.runs import Places, put_run, swap_run, unfinished
from app.settings import StoreSettings
from app.store.contract import Documents
from app.store.sqlite import open_store
from features.errors import Overloaded

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.fixture
def documents(tmp_path: Path) -> Generator[Documents]:
    with open_store(tmp_path, settings=StoreSettings(), max_in_flight_bytes=2**28, now=lambda: NOW) as store:
        yield store.documents


def run_of(node: str, state: str = "queued") -> TrainingRun:
    return TrainingRun(f"of {node}", state, NOW, tenant="red", node=node)


def test_a_place_whose_run_is_not_written_yet_is_held_for_a_minute(documents: Documents) -> None:
    now = [NOW]
    places = Places(documents, lambda: now[0])
    places.take(run_of("n1"), lambda _: True)
    now[0] += timedelta(seconds=59)
    with pytest.raises(Overloaded, match="of n1 of node n1 does"):
        places.take(run_of("n2"), lambda _: True)
    now[0] += timedelta(seconds=1)
    places.take(run_of("n2"), lambda _: True)


@pytest.mark.parametrize("state", ["running", "succeeded", "failed"])
def test_a_run_that_waits_no_more_leaves_its_place(documents: Documents, state: str) -> None:
    places, run = Places(documents, lambda: NOW), run_of("n1")
    places.take(run, lambda _: True)
    put_run(documents, run)
    with pytest.raises(Overloaded):
        places.take(run_of("n2"), lambda _: True)
    put_run(documents, replace(run, state=state))
    places.take(run_of("n2"), lambda _: True)


def test_runs_that_are_not_done_are_found_and_written_only_as_they_were_found(documents: Documents) -> None:
    backtest = BacktestRun("b", "running", NOW, node="n2")
    for run in (run_of("n1"), run_of("n2", "failed"), backtest):
        put_run(documents, run)
    found = dict(unfinished(documents))
    assert set(found) == {run_of("n1"), backtest}
    put_run(documents, replace(backtest, progress=0.5))
    assert not swap_run(documents, replace(backtest, state="failed"), found[backtest])
    assert swap_run(documents, replace(run_of("n1"), state="failed"), found[run_of("n1")])
    assert [(run.id, run.progress) for run, _ in unfinished(documents)] == [("b", 0.5)]
