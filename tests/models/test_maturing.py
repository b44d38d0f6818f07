"""Forecasts that wait for their outcome."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.arrays import IntArray
from models.maturing import Maturing, Pending

WAIT = 60 + 8
"""Ticks of a minute until a label is final, by default."""


def pending(tick: int, rows: list[int] | None = None) -> Pending:
    places = np.array([0] if rows is None else rows, np.int64)
    x = np.arange(2.0 * len(places), dtype=np.float32).reshape(-1, 2)
    said = {"linear": x[:, :1].repeat(3, 1).astype(float), "trees": np.full((len(places), 3), 0.5)}
    return Pending(tick, places, x, said, "v1", np.tile(places[:, None] % 2 == 0, (1, 3)), places[:, None] * np.ones(3))


def label(*starts: tuple[int, int, int], tick: int = 100, tick_s: int = 60) -> tuple[list[float], list[bool]]:
    maturing = Maturing(tick_s)
    maturing.add(pending(tick))
    for row, start, detected in starts:
        maturing.began(row, start, detected)
    (matured,) = maturing.due(tick + 3600 // tick_s + 8)
    return matured.y[0].tolist(), matured.at_risk[0].tolist()


def test_forecast_waits_for_its_longest_horizon_and_is_handed_out_once() -> None:
    maturing = Maturing()
    maturing.add(pending(100))
    maturing.add(pending(101))
    assert maturing.due(100 + WAIT - 1) == []
    assert [m.pending.tick for m in maturing.due(100 + WAIT)] == [100]
    assert [m.pending.tick for m in maturing.due(200 + WAIT)] == [101]
    assert maturing.due(300 + WAIT) == []


def test_label_is_that_of_the_interval_in_which_the_incident_began() -> None:
    assert label() == ([0.0, 0.0, 0.0], [True, True, True])
    # Window 104 is the fifth after as_of and ends at its fifth minute.
    assert label((0, 104, 106)) == ([1.0, 0.0, 0.0], [True, False, False])
    assert label((0, 105, 106)) == ([0.0, 1.0, 0.0], [True, True, False])
    assert label((0, 159, 161)) == ([0.0, 0.0, 1.0], [True, True, True])
    assert label((0, 160, 162)) == ([0.0, 0.0, 0.0], [True, True, True])


def test_first_of_several_incidents_counts_and_other_rows_do_not() -> None:
    assert label((0, 130, 131), (0, 101, 102), (5, 100, 101))[0] == [1.0, 0.0, 0.0]
    assert label((5, 100, 101))[0] == [0.0, 0.0, 0.0]


def test_forecast_between_start_and_detection_teaches_nothing() -> None:
    assert label((0, 98, 102)) == ([0.0, 0.0, 0.0], [False, False, False])
    assert label((0, 98, 100)) == ([0.0, 0.0, 0.0], [True, True, True])


def test_longer_ticks_wait_fewer_of_them() -> None:
    assert label((0, 100, 101), tick_s=300) == ([1.0, 0.0, 0.0], [True, False, False])
    assert label((0, 101, 102), tick_s=300)[0] == [0.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("gap", "at_risk"),
    [
        (range(100, 101), [False, False, False]),
        (range(104, 120), [False, False, False]),
        (range(105, 106), [True, False, False]),
        (range(130, 131), [True, True, False]),
        (range(160, 170), [True, True, True]),
        (range(95, 100), [True, True, True]),
        (range(95, 102), [False, False, False]),
        (range(104, 104), [True, True, True]),
    ],
)
def test_horizon_that_reaches_into_unheard_windows_is_unknown_and_not_negative(gap: range, at_risk: list[bool]) -> None:
    maturing = Maturing()
    maturing.add(pending(100))
    maturing.unheard(gap)
    (matured,) = maturing.due(100 + WAIT)
    assert matured.at_risk[0].tolist() == at_risk
    assert not matured.y.any()


def test_incident_before_the_unheard_windows_still_counts() -> None:
    maturing = Maturing()
    maturing.add(pending(100))
    maturing.began(0, 102, 103)
    maturing.unheard(range(106, 300))
    (matured,) = maturing.due(100 + WAIT)
    assert (matured.y[0].tolist(), matured.at_risk[0].tolist()) == ([1.0, 0.0, 0.0], [True, False, False])


def test_old_starts_are_forgotten() -> None:
    maturing = Maturing()
    maturing.began(0, 100, 101)
    maturing.due(100 + 2 * WAIT)
    assert maturing.starts == [(0, 100, 101)]
    maturing.due(101 + 2 * WAIT)
    assert maturing.starts == []


@given(
    forecasts=st.lists(st.lists(st.integers(0, 9), unique=True, max_size=4), max_size=5),
    starts=st.lists(st.tuples(st.integers(0, 9), st.integers(100, 140), st.integers(0, 3)), max_size=5),
)
def test_restored_forecasts_mature_as_those_they_came_from(
    forecasts: list[list[int]], starts: list[tuple[int, int, int]]
) -> None:
    one, other = Maturing(), Maturing()
    for tick, rows in enumerate(forecasts, 100):
        one.add(pending(tick, rows))
    for row, start, delay in starts:
        one.began(row, start, start + delay)
    one.unheard(range(130, 150))
    other.restore(one.snapshot(), lambda rows: rows)
    assert other.snapshot() == one.snapshot()
    for a, b in zip(one.due(999), other.due(999), strict=True):
        assert a.pending.tick == b.pending.tick
        assert np.array_equal(a.y, b.y)
        assert np.array_equal(a.at_risk, b.at_risk)
        assert np.array_equal(a.pending.x, b.pending.x)
        assert a.pending.hazards.keys() == b.pending.hazards.keys()


def test_rows_follow_their_series_and_series_that_are_gone_are_dropped() -> None:
    one, other = Maturing(), Maturing()
    one.add(pending(100, [0, 1, 2]))
    one.began(1, 101, 102)
    one.began(2, 101, 102)

    def moved(rows: IntArray) -> IntArray:
        return np.array([7, -1, 5])[rows]

    other.restore(one.snapshot(), moved)
    assert other.starts == [(5, 101, 102)]
    (matured,) = other.due(999)
    assert matured.pending.rows.tolist() == [7, 5]
    assert matured.pending.x.tolist() == [[0.0, 1.0], [4.0, 5.0]]
    assert matured.y[:, 0].tolist() == [0.0, 1.0]
    assert matured.pending.subjects.series.tolist() == [7, 5]
    assert matured.pending.subjects.record[:, 0].tolist() == matured.pending.record[:, 2].tolist()


def test_a_thousand_forecasts_stay_in_order_of_time() -> None:
    one, other = Maturing(1), Maturing(1)
    for tick in range(1005):
        one.add(Pending(tick, np.array([0]), np.zeros((1, 1), np.float32), {}, "v1", np.ones((1, 3), bool), np.zeros((1, 3))))
    other.restore(one.snapshot(), lambda rows: rows)
    assert [p.tick for p in other.pending] == list(range(1005))


def test_what_waits_is_known_to_half_and_said_to_single_precision() -> None:
    maturing, given = Maturing(), pending(100, [3])
    maturing.add(replace(given, x=np.array([[0.1, 1e6]], np.float32), hazards={"trees": np.full((1, 3), 0.1)}))
    assert maturing.pending[0].x.dtype == np.float16
    (matured,) = maturing.due(999)
    assert matured.pending.x[0].tolist() == pytest.approx([0.1, 65_504.0], rel=5e-4)
    assert matured.pending.hazards["trees"].dtype == np.float64
    assert matured.pending.hazards["trees"][0].tolist() == pytest.approx([0.1] * 3, rel=1e-7)


@given(
    ours=st.dictionaries(st.integers(100, 103), st.sets(st.integers(0, 5), min_size=1), max_size=3),
    theirs=st.dictionaries(st.integers(100, 103), st.sets(st.integers(0, 5), min_size=1), max_size=3),
)
def test_what_waits_of_two_is_joined_so_that_each_forecast_matures_once_with_its_label(
    ours: dict[int, set[int]], theirs: dict[int, set[int]]
) -> None:
    one, other = Maturing(), Maturing()
    for maturing, waits in ((one, ours), (other, theirs)):
        for tick, rows in waits.items():
            maturing.add(pending(tick, sorted(rows)))
        maturing.unheard(range(90, 95))
    one.began(1, 110, 112)
    other.began(1, 110, 112)
    other.began(2, 110, 112)
    one.join(other)
    assert (one.starts, one.gaps) == ([(1, 110, 112), (2, 110, 112)], [(90, 95)])
    matured = one.due(200 + WAIT)
    ticks = [each.pending.tick for each in matured]
    assert ticks == sorted(ticks)
    found = [(each.pending.tick, row) for each in matured for row in each.pending.rows.tolist()]
    assert sorted(found) == sorted({(t, row) for waits in (ours, theirs) for t, rows in waits.items() for row in rows})
    for each in matured:
        assert each.y.any(1).tolist() == [row in (1, 2) for row in each.pending.rows.tolist()]
