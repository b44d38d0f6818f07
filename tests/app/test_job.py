"""A job's rows come from its own part of history, and too few incidents are said before anything is fitted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from app.job import Job, dataset_of
from features.errors import InvalidValue
from features.incident import Incident
from features.memory import MemoryPlan
from features.series import SeriesKey
from tests.app.test_jobs import FIRST, write_history
from training.labels import Said


def test_rows_are_those_of_the_jobs_interval_and_progress_ends_at_one(tmp_path: Path) -> None:
    history, shares = write_history(tmp_path, 200, 40), list[float]()
    job = Job("default", MemoryPlan(), min_incidents=1)
    whole = dataset_of(job, history, shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    half = dataset_of(replace(job, until=(FIRST + 100) * 60), history, lambda _share: None)
    assert 0 < len(half.incidents) < len(whole.incidents)
    assert 0 < len(half.rows.x) < len(whole.rows.x)


def test_too_few_incidents_are_said_before_a_row_is_made(tmp_path: Path) -> None:
    history, shares = write_history(tmp_path, 200, 40), list[float]()
    job = Job("default", MemoryPlan(), min_incidents=1)
    found = len(dataset_of(job, history, lambda _share: None).incidents)
    with pytest.raises(InvalidValue, match=rf"tenant 'default' must hold at least 99 incidents to learn from, got {found}$"):
        dataset_of(replace(job, min_incidents=99), history, shares.append)
    assert max(shares) <= 0.4, "the rest is for rows"
    reported = (Incident.at(SeriesKey("default", "web", "*"), FIRST * 60, FIRST * 60, None),)
    said = Said(reported=reported)
    assert (
        len(dataset_of(replace(job, min_incidents=found + 1, said=said), history, lambda _share: None).incidents) == found + 1
    )
    with pytest.raises(InvalidValue, match=f"at least {found + 2} incidents to learn from, got {found + 1}$"):
        dataset_of(replace(job, min_incidents=found + 2, said=said), history, lambda _share: None)
