"""Sums by row and window, whatever waits together."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features import gathering as gathering_module
from features.batch import N_CHANNELS
from features.gathering import WIDTH, Gathering


def add(gathering: Gathering, rows: list[int], windows: list[int], values: np.ndarray) -> None:
    gathering.add(rows, np.arange(len(rows)), np.array(windows, np.int64), values[:, :N_CHANNELS], values[:, N_CHANNELS:])


@given(
    places=st.lists(st.tuples(st.integers(-1, 3), st.integers(-3, 28_000_000)), max_size=20),
    cuts=st.lists(st.integers(0, 20), max_size=4),
    raw=st.integers(0, 5),
    seed=st.integers(0, 9),
)
def test_sums_are_the_same_bits_however_many_groups_wait(
    places: list[tuple[int, int]], cuts: list[int], raw: int, seed: int
) -> None:
    values = np.random.default_rng(seed).lognormal(size=(len(places), WIDTH))
    whole, cut = Gathering(), Gathering()
    add(whole, [row for row, _ in places], [window for _, window in places], values)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gathering_module, "_MAX_RAW", raw)
        for begin, end in pairwise([0, *sorted(min(cut, len(places)) for cut in cuts), len(places)]):
            part = places[begin:end]
            add(cut, [row for row, _ in part], [window for _, window in part], values[begin:end])
    one, other = whole.take(), cut.take()
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    assert list(zip(one[0].tolist(), one[1].tolist(), strict=True)) == sorted({place for place in places if place[0] >= 0})
    for row, window, sums in zip(*one, strict=True):
        own = values[[place == (row, window) for place in places]]
        assert sums[:10].tolist() == pytest.approx(own[:, :10].sum(0).tolist())
        assert sums[10] == own[:, 10].max()
    assert len(whole.take()[0]) == 0


def test_small_requests_do_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering_module, "_MAX_PARTS", 2)
    gathering, summed = Gathering(), list[int]()
    monkeypatch.setattr(gathering, "_sum", lambda: summed.append(1))
    for _ in range(3):
        add(gathering, [0], [1], np.ones((1, WIDTH)))
    assert summed == [1]


def test_single_values_are_added_to_what_is_there_or_stand_alone() -> None:
    gathering = Gathering()
    add(gathering, [4], [9], np.ones((1, WIDTH)))
    for row in (4, 4, 5):
        gathering.put(row, 9, 3, -0.5)
    rows, _, values = gathering.take()
    assert rows.tolist() == [4, 5]
    assert values[:, 3].tolist() == [0.0, -0.5]
