"""Planes against a dense array of single precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.planes import Planes, Rings

N, COLUMNS, SLOTS, LARGEST = 3, 3, 4, 2
NUMBERS = st.sampled_from([1.0, 2.0, 200.0, 300.0, 70_000.0, 0.5, -1.0, 1e18])

steps = st.one_of(
    st.tuples(st.just("add"), st.integers(0, N - 1), st.integers(0, SLOTS - 1), st.integers(0, COLUMNS - 1), NUMBERS),
    st.tuples(st.just("clear"), st.integers(0, SLOTS - 1), st.none() | st.integers(0, N - 1)),
    st.tuples(st.just("move"), st.integers(0, SLOTS - 1), st.integers(0, SLOTS - 1), st.none() | st.integers(0, N - 1)),
    st.just(("tidy",)),
    st.just(("restore",)),
)


def some() -> Planes:
    planes = Planes(COLUMNS, SLOTS, LARGEST)
    planes.grow(N)
    return planes


def gained(old: np.ndarray, values: np.ndarray, columns: np.ndarray) -> np.ndarray:
    return np.where(columns == LARGEST, np.maximum(old, values), old + values)


@settings(max_examples=60)
@given(story=st.lists(steps, max_size=25))
def test_planes_hold_what_dense_arrays_hold_to_the_last_bit(story: list[tuple[Any, ...]]) -> None:
    one, other = some(), some()
    dense, moved = np.zeros((2, N, SLOTS, COLUMNS), np.float32)
    for what, *said in story:
        if what == "add":
            row, slot, column, value = said
            values = np.zeros((1, COLUMNS))
            values[0, column] = value
            one.add(np.array([row]), np.array([slot]), values)
            dense[row, slot, column] = gained(dense[row, slot, column], np.array(value, np.float32), np.array(column))
        elif what == "clear":
            slot, row = said
            one.clear(slot, None if row is None else np.arange(N) == row)
            dense[slice(None) if row is None else row, slot] = 0
        elif what == "move":
            slot, new, row = said
            one.move(slot, other, new, None if row is None else np.arange(N) == row)
            rows = slice(None) if row is None else row
            held = dense[rows, slot] != 0
            moved[rows, new] = np.where(held, gained(moved[rows, new], dense[rows, slot], np.arange(COLUMNS)), moved[rows, new])
            dense[rows, slot] = 0
        elif what == "tidy":
            one.tidy()
            assert one.n_planes == int(dense.any(1).sum())
        else:
            kept, one = one.dense(np.arange(SLOTS)), some()
            one.restore(np.arange(N), kept)
        for planes, expected in ((one, dense), (other, moved)):
            assert np.array_equal(planes.dense(np.arange(SLOTS)), expected)
    slots = np.array([3, 0, 1])
    assert one.sums(slots) == pytest.approx(dense[:, slots].sum(1, dtype=float), rel=1e-6, abs=1e6)
    held = (dense[:, slots][:, :, :2] != 0).any(2)
    assert one.newest(slots, (0, 1)).tolist() == [int(np.flatnonzero(row).max(initial=-1)) for row in held]


def test_sums_of_small_whole_numbers_are_exact() -> None:
    planes = some()
    planes.add(np.array([0, 0, 1]), np.array([0, 1, 1]), np.array([[255.0, 0, 0], [255.0, 3.0, 0], [0, 65_535.0, 0]]))
    assert planes.sums(np.array([0, 1])).tolist() == [[510.0, 3.0, 0.0], [0.0, 65_535.0, 0.0], [0.0] * 3]


def test_place_that_comes_twice_takes_both() -> None:
    planes = some()
    planes.add(np.array([1, 0, 1]), np.array([2, 0, 2]), np.array([[1.0, 0, 5.0], [1.0, 0, 0], [2.0, 0, 4.0]]))
    assert planes.dense(np.array([2]), slice(0, 3), np.array([1])).tolist() == [[[3.0, 0.0, 5.0]]]


def test_empty_room_is_used_again() -> None:
    planes = some()
    planes.add(np.array([0]), np.array([0]), np.array([[1.0, 1.0, 1.0]]))
    planes.clear(0)
    planes.tidy()
    planes.grow(N + 100)
    planes.add(np.array([N + 99]), np.array([1]), np.array([[7.0, 0.0, 0.0]]))
    assert planes.n_planes == 1
    assert planes.dense(np.arange(SLOTS))[[0, N + 99]].sum((1, 2)).tolist() == [0.0, 7.0]


def test_rings_come_back_and_what_an_older_snapshot_lacks_is_empty() -> None:
    rings, again = Rings(fine=some(), coarse=some()), Rings(fine=some(), coarse=some())
    rings["fine"].add(np.array([2]), np.array([1]), np.array([[0.25, 0.0, 300.0]]))
    kept = rings.snapshot(np.array([2]))
    again["coarse"].add(np.array([0]), np.array([1]), np.ones((1, COLUMNS)))
    again.restore(np.array([0]), {"fine": kept["fine"]})
    assert np.array_equal(again.snapshot(np.array([0]))["fine"], kept["fine"])
    assert not again.snapshot(np.array([0]))["coarse"].any()
