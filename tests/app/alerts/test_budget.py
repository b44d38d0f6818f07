"""Thresholds that a budget comes to."""

from __future__ import annotations

from math import ceil, inf, nan

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from app.alerts.budget import DAY_S, Fit, Page, Said, firings, fit, spent
from app.alerts.states import Bounds, Trigger, moved

VALUES = st.sampled_from([nan, 0.0, 0.1, 0.3, 0.4, 0.5, 0.6, 0.9])
PAST = st.lists(st.tuples(st.integers(0, 2), st.sampled_from([60, 60, 60, 1200]), VALUES), max_size=60)
"""Series, seconds since its last value, value."""


def said(past: list[tuple[int, int, float]]) -> Said:
    clock = {0: 0, 1: 0, 2: 0}
    rows: list[tuple[float, int, int]] = []
    for series, after, value in past:
        clock[series] += after
        rows.append((value, series, clock[series]))
    p = np.array([row[0] for row in rows], np.float64)
    series, as_of_s = (np.array([row[i] for row in rows], np.int64) for i in (1, 2))
    return Said.ordered(p, series, series // 2, as_of_s)


def walked(past: Said, bounds: Bounds, stale_s: float) -> list[int]:
    """Return the rows at which alerts fire, one step after the other, as live."""
    found: list[int] = []
    trigger, last = Trigger(), (-1, -inf)
    for row, (value, series, at_s) in enumerate(zip(past.p.tolist(), past.series.tolist(), past.as_of_s.tolist(), strict=True)):
        if series != last[0] or at_s - last[1] > stale_s:
            trigger = Trigger()
        before, last = trigger, (series, at_s)
        trigger = moved(trigger, float(at_s), None if np.isnan(value) else value, bounds)
        if trigger.firing and not before.firing:
            found.append(row)
    return found


@given(PAST, st.sampled_from([0.0, 60.0, 150.0]), st.sampled_from([0.5, 0.6]))
def test_the_past_is_walked_as_the_present_is(past: list[tuple[int, int, float]], min_duration_s: float, fire: float) -> None:
    bounds = Bounds(fire, 0.3, min_duration_s)
    assert firings(said(past), bounds, 900.0).tolist() == walked(said(past), bounds, 900.0)


@given(PAST, st.sampled_from([0.5, 1.0, 5.0]), st.sampled_from([0.0, 600.0]))
def test_pages_stay_within_the_budget(past: list[tuple[int, int, float]], budget: float, group_s: float) -> None:
    found = fit(said(past), budget, Page(group_s=group_s))
    assert found.pages <= ceil(budget * found.days)
    assert found.pages or not found.alerts


@given(PAST, st.sampled_from([0.0, 60.0, 150.0]), st.sampled_from([0.4, 0.5, 0.6]), st.sampled_from([0.0, 600.0]))
def test_calm_rows_that_are_left_out_change_nothing_above_them(
    past: list[tuple[int, int, float]], min_duration_s: float, fire: float, group_s: float
) -> None:
    whole, bounds = said(past), Bounds(fire, 0.3, min_duration_s)
    thin = whole.thinned(0.3)
    fired = [[(one.series[row], one.as_of_s[row]) for row in firings(one, bounds, 900.0).tolist()] for one in (whole, thin)]
    assert fired[0] == fired[1]
    pages = [spent(one, firings(one, bounds, 900.0), group_s) for one in (whole, thin)]
    assert pages[0] == pages[1]
    calm = (thin.p[1:] < 0.3) & (thin.p[:-1] < 0.3) & (np.diff(thin.series) == 0)
    assert not calm.any()


def test_the_lowest_threshold_is_found_that_keeps_the_budget() -> None:
    rng = np.random.default_rng(3)
    minutes = np.arange(0, 14 * DAY_S, 60)
    as_of_s, series = np.tile(minutes, 5), np.repeat(np.arange(5), len(minutes))
    past = Said.ordered(rng.beta(1.0, 30.0, len(series)), series, series * 0, as_of_s)
    page = Page()
    found = fit(past, 2.0, page)
    assert (found.days, found.pages) == (14, 28)
    nearly = [found.threshold, past.p[past.p < found.threshold].max()]  # lives are of one row here
    fired = [firings(past, page.bounds(threshold), page.stale_s) for threshold in nearly]
    assert [spent(past, rows, page.group_s) for rows in fired] == [28, 29]


def test_nothing_that_was_said_leaves_no_page() -> None:
    nothing = said([])
    assert fit(nothing, 2.0, Page()).pages == 0
    assert fit(said([(0, 60, nan)]), 2.0, Page()).threshold == 1.0


def test_days_on_which_nothing_could_be_said_allow_no_page_and_are_not_known() -> None:
    hours = np.arange(0, 10 * DAY_S, 3600)
    p = np.where(hours < 4 * DAY_S, np.where(hours % 7200 == 0, 0.5, 0.1), nan)
    half = Said(p, hours * 0, hours * 0, hours)
    assert half.days == 4
    assert fit(half, 1.0, Page(group_s=0.0, stale_s=7200.0)).pages <= 4


def test_alerts_within_the_time_of_a_page_are_part_of_it_and_services_may_have_their_own() -> None:
    hours = np.array([0, 1800, 3600, 5400], np.int64)
    together = Said(np.ones(4), np.arange(4), np.zeros(4, np.int64), hours)
    apart = Said(np.ones(4), np.arange(4), np.array([0, 1, 0, 1]), hours)
    firing = np.arange(4)
    assert [spent(together, firing, 3600.0), spent(apart, firing, 3600.0), spent(together, firing, 0.0)] == [2, 4, 4]


def test_what_fires_all_the_time_is_no_cheap_alert() -> None:
    minutes = np.arange(0, 2 * DAY_S, 60)
    past = Said(np.full(len(minutes), 0.1), minutes * 0, minutes * 0, minutes)
    assert fit(past, 2.0, Page()).threshold > 0.1
    assert fit(past, 24.0, Page()) == Fit(0.1, 1, 48, 2)
