"""What only some series have takes no room of others, and goes through snapshots like any columns."""

from __future__ import annotations

import numpy as np

from features.rings import Columns
from features.sparse import Slots, Sparse


def sparse(slots: Slots, width: int = 2) -> Sparse:
    return Sparse(slots, Columns(level=("f4", (), -1)), width)


def test_only_rows_that_took_a_slot_have_room() -> None:
    slots = Slots()
    columns = sparse(slots)
    slots.take(np.array([5, 2]))
    columns.grow(1_000)
    assert columns["level"].tolist() == [-1.0] * 4
    assert columns.nbytes_a_row == 8


def test_snapshot_of_rows_goes_back_into_other_rows_and_gives_them_slots() -> None:
    slots, others = Slots(), Slots()
    one, other = sparse(slots), sparse(others)
    slots.take(np.array([4, 1]))
    one.grow(5)
    one["level"][:] = [40.0, 41.0, 10.0, 11.0]
    state = one.snapshot(np.array([0, 1, 4]))
    assert state["of"].tolist() == [1, 2]
    others.take(np.array([9]))
    other.restore(np.array([3, 0, 7]), state)
    assert others.find(np.array([9, 0, 7, 3])).tolist() == [0, 1, 2, -1]
    assert other["level"].tolist() == [-1.0, -1.0, 10.0, 11.0, 40.0, 41.0]


def test_rows_without_a_slot_in_the_snapshot_begin_anew() -> None:
    slots = Slots()
    columns = sparse(slots, 1)
    slots.take(np.array([0, 1]))
    columns.grow(2)
    columns["level"][:] = 7.0
    columns.restore(np.array([1]), {})
    columns.restore(np.array([0]), {"of": np.zeros(0, np.int64), "level": np.zeros(0, np.float32)})
    assert columns["level"].tolist() == [-1.0, -1.0]
