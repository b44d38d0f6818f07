"""Numbers of documents: few digits, in the order that readers expect."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from app.cache.trend_records import POINT, SINGLE
from app.trend_documents import Told, measure_rows, rounded
from models.changepoints import Change
from models.trend import Outlook


@given(st.floats(-1e9, 1e9))
def test_four_digits_are_kept(value: float) -> None:
    found = float(rounded(np.array([value]))[0])
    assert abs(found - value) <= 5.1e-4 * abs(value) + 1e-15


def test_a_row_holds_what_its_names_say() -> None:
    curve = np.array([[1.0, 2.0, 3.0, 4.0, 5.0]])
    change = Change(np.array([7]), np.array([0.5]), np.array([1.5]))
    one = np.ones(1)
    said = Outlook(0.1 * one, 0.01 * one, curve - 0.5, curve, curve / 2, curve * 2, curve, -one, one, change)
    told = Told(said, np.full((1, 5), 4.0), np.array([0.25]), np.array([0.75]))
    row = measure_rows(told, 60, np.array([300.0, 900.0, 1800.0, 3600.0]), 10.0)[0].tolist()
    named = dict(zip(SINGLE, row, strict=False))
    assert [named[name] for name in ("level", "usual", "usual_at_any_hour", "limit", "before", "after")] == [
        10,
        5,
        7.5,
        40,
        5,
        15,
    ]
    assert (named["slope"], named["changed_s"], named["probability"]) == (60.0, 420.0, 0.25)
    assert named["slope_lower"] < 60.0 < named["slope_upper"]
    assert (named["earliest_s"], named["expected_s"], np.isnan(named["latest_s"])) == (300.0, 1800.0, True)
    points = np.array(row[len(SINGLE) :]).reshape(4, len(POINT))
    assert points[1].tolist() == [900.0, 30.0, 15.0, 60.0, 25.0, 40.0]


def test_what_never_changed_has_no_levels() -> None:
    curve, one = np.ones((1, 5)), np.ones(1)
    said = Outlook(one, one, curve, curve, curve, curve, curve, -one, one, Change(np.array([-1]), one, one))
    row = measure_rows(Told(said, curve * 9, one * 0.0, one), 60, np.array([1.0, 2.0, 3.0, 4.0]), 1.0)[0]
    assert np.isnan(row[[SINGLE.index(name) for name in ("changed_s", "before", "after", "earliest_s")]]).all()
