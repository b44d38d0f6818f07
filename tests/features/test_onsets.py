"""Incidents window by window, and how often they begin."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.incident import IncidentRule, find
from features.onsets import DECAYS_MIN, Onsets, Pools


def some(n: int, rule: IncidentRule | None = None) -> Onsets:
    onsets = Onsets(rule or IncidentRule())
    onsets.columns.grow(n)
    return onsets


def follow(onsets: Onsets, flags: list[bool], first: int = 100) -> None:
    before = False
    for window, flag in enumerate(flags, first):
        onsets.advance(window, np.array([[before, flag]]))
        before = flag


@st.composite
def rules(draw: st.DrawFn) -> IncidentRule:
    m = draw(st.integers(1, 5))
    return IncidentRule(k=draw(st.integers(1, m)), m=m)


@given(
    rule=rules(),
    flags=st.integers(1, 3).flatmap(
        lambda n: st.lists(st.lists(st.booleans(), min_size=n, max_size=n), min_size=1, max_size=40)
    ),
)
def test_incidents_found_in_history_are_those_that_were_seen_live(rule: IncidentRule, flags: list[list[bool]]) -> None:
    history = np.array(flags, bool).T
    n, length = history.shape
    onsets = some(n, rule)
    seen: list[tuple[int, int, int, int | None]] = []
    open_at: dict[int, int] = {}
    before = np.zeros(n, bool)
    for t in range(length):
        standing = onsets.advance(100 + t, np.stack([before, history[:, t]], axis=1))
        before = history[:, t]
        for row in np.flatnonzero(standing.ended).tolist():
            place = open_at.pop(row)
            seen[place] = (*seen[place][:3], 100 + t - rule.m + 1)
        for row in np.flatnonzero(standing.began).tolist():
            open_at[row] = len(seen)
            seen.append((row, int(onsets.columns["open_since"][row]), 100 + t, None))
        assert set(np.flatnonzero(onsets.in_incident()).tolist()) == set(open_at)
    assert seen == find(history, 100, rule)


def test_window_that_late_data_breaks_counts_after_all() -> None:
    onsets = some(1)
    for window, flags in ((100, [False, True]), (101, [True, False])):
        assert not onsets.advance(window, np.array([flags])).began.any()
    assert onsets.advance(102, np.array([[True, True]])).began.tolist() == [True]
    assert onsets.columns["open_since"].tolist() == [100]


def test_broken_windows_across_missed_ticks_are_no_incident() -> None:
    onsets = some(1)
    onsets.advance(100, np.array([[False, True]]))
    assert not onsets.advance(160, np.array([[False, True]]), skipped=59).began.any()
    assert onsets.columns["flags"].tolist() == [[0, 0, 1]]
    assert onsets.advance(161, np.array([[True, True]])).began.all()
    assert onsets.columns["open_since"].tolist() == [160]


def test_missed_ticks_fade_as_much_as_those_that_were_seen() -> None:
    seen, missed = some(1), some(1)
    for onsets in (seen, missed):
        follow(onsets, [True, True])
    follow(seen, [False] * 30, first=102)
    missed.advance(131, np.array([[False, False]]), skipped=29)
    assert missed.columns["decayed"][0].tolist() == pytest.approx(seen.columns["decayed"][0].tolist(), rel=1e-4)


def test_decayed_onsets_fall_to_a_third_in_their_time_constant() -> None:
    onsets = some(1)
    follow(onsets, [True, True, *[False] * 60])
    assert onsets.columns["decayed"][0].tolist() == pytest.approx([np.exp(-60 / c) for c in DECAYS_MIN], rel=1e-4)


def test_series_recovers_for_a_while_after_its_incident() -> None:
    onsets = some(1)
    follow(onsets, [True, True, False, False, False])
    assert onsets.columns["last_onset"].tolist() == [101]
    assert onsets.columns["last_end"].tolist() == [104]
    assert [bool(onsets.recovering(w, 5)[0]) for w in (104, 109, 110)] == [True, True, False]
    assert not some(1).recovering(3, 5).any()


def test_time_since_an_onset_counts_from_where_it_was_seen() -> None:
    onsets = some(2)
    seen = [
        window
        for window in range(20)
        if onsets.advance(window, np.array([[False, False], [5 < window <= 10, 5 <= window <= 10]])).began[1]
    ]
    assert onsets.since(19).tolist() == [np.inf, 19.0 - seen[0]]


def test_share_of_broken_windows_is_that_of_the_last_m() -> None:
    onsets = some(1)
    follow(onsets, [True, False, True])
    assert onsets.share_broken().tolist() == pytest.approx([2 / 3])


def test_rates_borrow_from_the_service_and_never_from_another_tenant() -> None:
    onsets = some(4)
    hour = np.zeros((4, 2), bool)
    for window in range(600):
        hour[1] = [window % 60 in (1, 2), window % 60 in (0, 1)]
        onsets.advance(window, hour)
    pools = Pools(whole=np.array([0, 0, 2, 3]), tenant=np.array([0, 0, 0, 1]))
    own, pooled, seasonal = onsets.rates(600, pools).T
    assert own[1] > 10 * own[0]
    assert pooled[0] > pooled[2] > pooled[3]  # same service, same tenant, another tenant
    alone = some(1)
    for window in range(600):
        alone.advance(window, np.zeros((1, 2), bool))
    assert pooled[3] == pytest.approx(alone.rates(600, Pools(np.array([0]), np.array([0])))[0, 1])
    assert (seasonal > 0).all()


def test_hour_in_which_incidents_began_is_expected_to_see_more() -> None:
    onsets = some(1)
    for window in range(3 * 1440):
        bad = window % 1440 in (600, 601)
        onsets.advance(window, np.array([[window % 1440 == 601, bad]]))
    pools = Pools(np.array([0]), np.array([0]))
    assert onsets.rates(600 + 4 * 1440, pools)[0, 2] > 2 * onsets.rates(900 + 4 * 1440, pools)[0, 2]
