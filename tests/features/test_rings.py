"""Arrays that grow with the directory."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from features.rings import Columns, chronological


def columns() -> Columns:
    return Columns(seen=("i8", (), -1), counts=("f4", (3, 2), 0))


@given(lengths=st.lists(st.integers(0, 200), min_size=1))
def test_growing_keeps_what_was_written_and_fills_the_rest(lengths: list[int]) -> None:
    grown = columns()
    written: list[int] = []
    for length in lengths:
        before = len(written)
        grown.grow(length)
        written += [-1] * max(length - before, 0)
        if written:
            written[-1] = len(written)
            grown["seen"][-1] = len(written)
        assert grown["seen"].tolist() == written
        assert grown["counts"].shape == (len(written), 3, 2)
        assert not grown["counts"].any()


def test_snapshot_of_rows_goes_back_into_other_rows() -> None:
    one, other = columns(), columns()
    one.grow(3)
    other.grow(5)
    one["seen"][:] = [7, 8, 9]
    one["counts"][2] = 4.0
    other.restore(np.array([4, 1]), one.snapshot(np.array([0, 2])))
    assert other["seen"].tolist() == [-1, 9, -1, -1, 7]
    assert other["counts"].sum((1, 2)).tolist() == [0, 24, 0, 0, 0]


def test_snapshot_is_a_copy() -> None:
    one = columns()
    one.grow(1)
    kept = one.snapshot(np.array([0]))
    one["seen"][0] = 5
    assert kept["seen"].tolist() == [-1]


def test_array_that_an_older_snapshot_lacks_begins_with_its_fill_value() -> None:
    one = columns()
    one.grow(2)
    one["seen"][:] = [7, 8]
    one.restore(np.array([1]), {"counts": np.ones((1, 3, 2))})
    assert one["seen"].tolist() == [7, -1]
    assert one["counts"].sum((1, 2)).tolist() == [0, 6]


def test_bytes_a_row_are_those_of_the_arrays() -> None:
    assert columns().nbytes_a_row == 8 + 3 * 2 * 4


@given(last=st.integers(0, 10**9), length=st.integers(0, 60))
def test_slots_are_those_of_the_newest_windows_oldest_first(last: int, length: int) -> None:
    assert chronological(last, length, 64).tolist() == [window % 64 for window in range(last - length + 1, last + 1)]
