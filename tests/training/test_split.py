"""No label of one block reaches into the next, whatever the history."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import InvalidValue
from tests.training_rows import simulated_rows
from training.split import SplitPlan, split

ROWS = simulated_rows(n_series=2, days=4.0)
LONGEST_S = 3600


@given(st.floats(0.15, 0.5), st.floats(0.15, 0.3), st.integers(0, 30_000), st.floats(0.5, 1.0))
def test_no_training_label_overlaps_a_later_block(test: float, middle: float, embargo: int, part: float) -> None:
    cut_at = int(ROWS.as_of_s.min() + part * np.ptp(ROWS.as_of_s))
    rows = ROWS.take(ROWS.as_of_s <= cut_at)
    cut = split(rows, SplitPlan(test, middle, embargo))
    ends = [rows.as_of_s[b.rows].max() + LONGEST_S for b in (cut.train, cut.middle, cut.refit)]
    begins = [rows.as_of_s[b.rows].min() for b in (cut.middle, cut.test, cut.test)]
    assert all(end + cut.embargo_s <= begin + 60 for end, begin in zip(ends, begins, strict=True))
    assert all(end <= begin for end, begin in zip(ends, begins, strict=True))
    assert not (cut.train.rows & cut.middle.rows).any()
    assert not (cut.refit.rows & cut.test.rows).any()


def test_all_series_are_cut_at_the_same_time() -> None:
    cut = split(ROWS)
    for series in (0, 1):
        mine = ROWS.series == series
        assert ROWS.as_of_s[cut.test.rows & mine].min() == ROWS.as_of_s[cut.test.rows].min()


def test_a_short_history_shrinks_the_embargo_and_says_so() -> None:
    assert "embargo is 4.0 h instead of 6.0 h" in split(ROWS).notes[0]
    long = replace(
        ROWS, as_of_s=ROWS.as_of_s + (ROWS.as_of_s - ROWS.as_of_s[0]), next_start_s=np.full(len(ROWS), np.inf), end_s=2**40
    )
    assert split(long).notes == ()


def test_too_short_a_history_and_impossible_plans_are_refused() -> None:
    with pytest.raises(InvalidValue, match="longer"):
        split(ROWS.take(ROWS.as_of_s < ROWS.as_of_s.min() + 7200))
    with pytest.raises(InvalidValue, match="empty"):
        split(ROWS.take(np.zeros(0, np.int64)))
    with pytest.raises(InvalidValue, match="sum to less"):
        SplitPlan(0.8, 0.3)
    with pytest.raises(InvalidValue, match="embargo_s"):
        SplitPlan(embargo_s=-1)
