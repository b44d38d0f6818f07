"""An interval that may be looked at after every hour and still is wrong seldom."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import InvalidValue, SnapshotMismatch
from models.sequence import Sequence


def ever_decided(seed: int, mean: float, blocks: int) -> tuple[str, int]:
    """Return the first verdict that is not open, and after how many blocks."""
    rng = np.random.default_rng(seed)
    sequence = Sequence(12)
    for tick in range(12 * blocks):
        sequence.learn(tick, rng.standard_t(5, 10) * 0.1 + mean)
        if sequence.verdict() != "open":
            return sequence.verdict(), sequence.n_blocks
    return "open", blocks


def test_of_models_that_are_alike_few_are_ever_judged_however_often_one_looks() -> None:
    verdicts = [ever_decided(seed, 0.0, 24 * 14)[0] for seed in range(60)]
    assert verdicts.count("open") >= 52  # 5 % may be wrong: more than 8 of 60 would come once in a hundred thousand


@pytest.mark.parametrize(("mean", "verdict"), [(0.02, "above"), (-0.02, "below")])
def test_a_difference_is_found_and_its_side_is_right(mean: float, verdict: str) -> None:
    found = [ever_decided(seed, mean, 24 * 7) for seed in range(20)]
    assert {side for side, _ in found} == {verdict}
    assert np.median([blocks for _, blocks in found]) <= 24


def test_few_blocks_decide_nothing_even_where_they_agree() -> None:
    sequence = Sequence(1)
    for tick in range(12):
        sequence.learn(tick, np.array([1.0]))
    assert (sequence.n_blocks, sequence.interval(), sequence.verdict()) == (11, None, "open")
    sequence.learn(12, np.array([1.0]))
    assert sequence.interval() == (1.0, 1.0)
    assert sequence.verdict() == "above"


def test_a_block_counts_once_whatever_its_rows() -> None:
    sequence = Sequence(10)
    for tick, rows in ((0, 1000), (10, 1), (20, 1)):
        sequence.learn(tick, np.full(rows, float(tick)))
    sequence.learn(30, np.zeros(1))
    assert (sequence.n_blocks, sequence.mean) == (3, pytest.approx(10.0))


@given(st.lists(st.tuples(st.integers(1, 30), st.floats(-5.0, 5.0)), max_size=60), st.integers(0, 60))
def test_a_restored_sequence_goes_on_as_the_saved_one(steps: list[tuple[int, float]], cut: int) -> None:
    one, other, tick = Sequence(20), Sequence(20), 0
    for number, (later, value) in enumerate(steps):
        tick += later
        if number == cut:
            other.restore(one.snapshot())
        for sequence in (one, other) if number >= cut else (one,):
            sequence.learn(tick, np.array([value, -value / 2]))
    if cut < len(steps):
        assert other.snapshot() == one.snapshot()
        assert other.interval() == one.interval()


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InvalidValue, match="got 1 that are not"):
        Sequence(5).learn(0, np.array([0.0, np.nan]))
    with pytest.raises(InvalidValue, match=r"got 0 and 0\.05"):
        Sequence(0)
    with pytest.raises(SnapshotMismatch, match="blocks of 5 ticks, expected version 1 and 6"):
        Sequence(6).restore(Sequence(5).snapshot())
    Sequence(5).learn(0, np.zeros(0))
