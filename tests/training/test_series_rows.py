"""Rows of a series and time, as looking at every row finds them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from features.series import SeriesKey
from models.feedback import Selector
from training.series_rows import SeriesRows

KEYS = tuple(SeriesKey(tenant, service, "*") for tenant in ("red", "blue") for service in ("web", "cart"))
MEANT = (*KEYS, SeriesKey("red", "gone", "*"), Selector("red"), Selector("blue", "web"), Selector("green"))


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), max_size=30),
    st.sampled_from(MEANT),
    st.floats(-2, 12),
    st.floats(-2, 12),
)
def test_rows_are_those_that_looking_at_each_finds(
    rows: list[tuple[int, int]], meant: SeriesKey | Selector, begin_s: float, end_s: float
) -> None:
    series, as_of_s = np.array(rows, np.int64).reshape(-1, 2).T
    found = SeriesRows(KEYS, series, as_of_s).of(meant, begin_s, end_s)
    covers = meant.covers if isinstance(meant, Selector) else meant.__eq__
    assert sorted(found.tolist()) == [n for n, (s, t) in enumerate(rows) if covers(KEYS[s]) and begin_s <= t < end_s]
