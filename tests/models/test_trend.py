"""Forecasts of the next hour, and a line through windows."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import linregress

from features.arrays import FloatArray
from features.errors import InvalidValue
from models.bounds import NORMAL
from models.changepoints import of_counts
from models.crossing import crossing
from models.measure import counts
from models.trend import Reading, Trends, slope


def test_it_is_ordinary_least_squares_for_every_series() -> None:
    values = np.random.default_rng(0).normal(size=(5, 30)).cumsum(axis=1)
    rate, lower, upper = slope(values)
    for i in range(5):
        estimate, _, _, _, error = cast("tuple[float, ...]", linregress(np.arange(30), values[i]))
        assert np.isclose(rate[i], estimate)
        assert np.isclose((upper[i] - lower[i]) / 2, 1.7011309 * error)


def test_the_interval_holds_the_true_slope_about_nine_times_in_ten() -> None:
    values = 0.3 * np.arange(20) + np.random.default_rng(1).normal(size=(2000, 20))
    _, lower, upper = slope(values)
    assert 0.87 < ((lower <= 0.3) & (upper >= 0.3)).mean() < 0.93


def test_two_points_are_too_few() -> None:
    with pytest.raises(InvalidValue, match="values must be"):
        slope(np.zeros((3, 2)))


def read(value: FloatArray, usual: FloatArray, mean: FloatArray | None = None) -> Reading:
    """Return a tick of counts whose usual is the same at all horizons."""
    n = len(value)
    yes = np.ones(n, np.bool_)
    return Reading(value, value if mean is None else mean, yes, np.repeat(usual[:, None], 5, axis=1), np.ones(n), yes)


def played(values: FloatArray, usual: FloatArray, trends: Trends | None = None, first: int = 1000) -> Trends:
    """Return trends after minutes of counts, shape (t, n)."""
    if trends is None:
        trends = Trends(counts(5), of_counts(), 60)
        trends.grow(values.shape[1])
    for t in range(len(values)):
        mean = values[max(t - 4, 0) : t + 1].mean(0)
        trends.advance(first + t, read(values[t], usual[t], mean))
    return trends


def poisson(mean: FloatArray, n: int, seed: int = 0) -> tuple[FloatArray, FloatArray]:
    values = np.random.default_rng(seed).poisson(mean[:, None], (len(mean), n)).astype(float)
    return values, np.full_like(values, 1.0)


@given(st.integers(61, 399), st.permutations(range(6)))
@settings(max_examples=5)
def test_a_series_hangs_on_its_own_past_alone(cut: int, order: list[int]) -> None:
    values, usual = poisson(np.linspace(0.5, 3.0, 400), 6)
    rows = np.array(order)
    changed = values.copy()
    changed[cut:, 3:] += 7.0  # neither the future nor other series
    whole, other = played(values[:cut], usual[:cut]), played(changed[:cut][:, rows], usual[:cut])
    then = played(values[cut:], usual[cut:], whole, 1000 + cut).outlook(np.arange(3))
    there = played(changed[cut:][:, rows], usual[cut:], other, 1000 + cut)
    place = np.argsort(rows)[:3]
    again = there.outlook(place)
    assert np.array_equal(then.middle, again.middle)
    assert np.array_equal(then.upper, again.upper)


def test_state_put_back_goes_on_the_same() -> None:
    values, usual = poisson(np.full(500, 2.0), 4)
    first = played(values[:333], usual[:333])
    other = Trends(counts(5), of_counts(), 60)
    other.grow(4)
    for name, columns in first.parts().items():
        other.parts()[name].restore(np.arange(4), columns.snapshot(np.arange(4)))
    ends = [played(values[333:], usual[333:], one, 1333).outlook(np.arange(4)) for one in (first, other)]
    assert np.array_equal(ends[0].lower, ends[1].lower)
    assert np.array_equal(ends[0].chance(ends[0].scaled[:, 1:] + 1.0), ends[1].chance(ends[1].scaled[:, 1:] + 1.0))


def test_a_ramp_meets_its_limit_at_about_the_right_time() -> None:
    ramp = np.concatenate([np.full(600, 2.0), 2.0 + 0.5 * np.arange(40)])
    said = played(*poisson(ramp, 20)).outlook(np.arange(20))
    at_s, limit = np.array([0.0, 300.0, 900.0, 1800.0, 3600.0]), 24.5  # at 21.5 now, so it is met in six minutes
    met = crossing(at_s, said.lower, said.middle, said.upper, np.full((20, 5), limit))
    assert np.isfinite(met.expected_s).mean() > 0.6
    assert 120.0 < float(np.nanmedian(met.expected_s)) < 900.0
    assert (met.earliest_s < 600.0).mean() > 0.8
    assert (said.slope - NORMAL * said.error > 0.2).mean() > 0.85
    assert (said.chance(counts(5).forward(np.full((20, 4), limit))) > 0.3).mean() > 0.85


def test_one_request_a_minute_gives_no_slope() -> None:
    values = np.random.default_rng(3).binomial(1, 0.05, (1500, 200)).astype(float)
    said = played(values, np.full_like(values, 0.05)).outlook(np.arange(200))
    assert (np.abs(said.slope) <= NORMAL * said.error).mean() > 0.95
    assert (said.middle[:, 1:] < 0.5).mean() > 0.97


def test_a_season_is_followed() -> None:
    usual = np.full((1440, 1), 2.0)
    trends = played(poisson(usual[:1440, 0], 30)[0], usual[:1440].repeat(30, axis=1))
    n, yes = 30, np.ones(30, np.bool_)
    soon = np.column_stack([np.full((n, 3), 2.0), np.full((n, 2), 20.0)])
    trends.advance(2440, Reading(np.full(n, 2.0), np.full(n, 2.0), yes, soon, np.ones(n), yes))
    middle = trends.outlook(np.arange(n)).middle.mean(0)
    assert np.allclose(middle, [2.0, 2.0, 2.0, 20.0, 20.0], rtol=0.25)


def test_forecasts_of_an_incident_teach_nothing() -> None:
    trends = played(*poisson(np.full(300, 2.0), 3))
    seen, gained = trends.reach.columns["seen"].copy(), trends.gains.columns["moment"].copy()
    for t in range(130):
        now = read(np.full(3, 50.0), np.full(3, 1.0))
        trends.advance(1300 + t, replace(now, learns=np.zeros(3, np.bool_)))
    later = trends.reach.columns["seen"] - seen
    assert later.max() <= 4  # those that were made before
    assert np.isfinite(gained).all()
    assert trends.outlook(np.arange(3)).middle[:, 0].min() > 30.0  # the present level follows all the same


def test_what_waits_over_a_gap_is_forgotten() -> None:
    trends = played(*poisson(np.full(300, 2.0), 2))
    trends.advance(1000 + 400, read(np.full(2, 2.0), np.full(2, 1.0)))
    slot = 1400 // 15 % 4
    origins = np.delete(trends.columns["origins"], slot, axis=1)
    assert np.isnan(origins.astype(float)).all()
