"""The schedule has the rate, the mix and the distances that it promises."""

from __future__ import annotations

import itertools
from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from app.demo.faults import DECOYS, KINDS
from app.demo.schedule import DAY, Plan, schedule
from app.demo.simulate import Shop
from app.demo.topology import TOPOLOGY

START = datetime(2026, 1, 5, tzinfo=UTC)


def a_shop(seed: int = 1, days: float = 1.0, faults_per_day: float = 24.0) -> Shop:
    return Shop(seed, days, faults_per_day, START)


@pytest.mark.parametrize("rate", [1.0, 6.0, 24.0, 40.0])
def test_faults_come_about_as_often_as_asked(rate: float) -> None:
    days = 60
    n = len(a_shop(7, days, rate).truth())
    assert abs(n - rate * days) < 4 * np.sqrt(rate * days)


def test_every_kind_occurs_and_about_two_thirds_announce_themselves() -> None:
    shop = a_shop(2, 60)
    truth, decoys = shop.truth(), shop.decoys()
    kinds, others = Counter(f.kind for f in truth), Counter(f.kind for f in decoys)
    assert set(kinds) == {kind.name for kind in KINDS}
    assert set(others) == {decoy.name for decoy in DECOYS}
    assert 0.55 < sum(f.has_warning for f in truth) / len(truth) < 0.75
    assert others["harmless_deploy"] >= kinds["bad_deploy"]


def test_decoys_occur_when_faults_are_rare() -> None:
    assert len({f.kind for f in a_shop(3, 30, 1.0).decoys()}) == len(DECOYS)


def test_faults_of_one_service_never_overlap_and_errors_of_two_faults_never_do() -> None:
    truth = sorted(a_shop(3, 30).truth(), key=lambda f: f.start)
    for one, other in itertools.pairwise(truth):
        assert one.end < other.start
    for service in TOPOLOGY.services:
        own = [f for f in truth if f.service == service]
        assert all(one.end < other.onset for one, other in itertools.pairwise(own))
    assert all(timedelta(minutes=5) <= f.end - f.start <= timedelta(minutes=40) for f in truth)


def test_more_days_add_episodes_and_change_none() -> None:
    short, long = schedule(Plan(5, 12.0), 3), schedule(Plan(5, 12.0), 11)
    assert [e for e in long if e.onset < 3 * DAY] == list(short)


def test_callers_of_a_dry_pool_follow_one_wave_after_the_other() -> None:
    chains = [e for e in schedule(Plan(3, 24.0), 30) if e.kind == "pool_exhaustion" and len(e.spread) > 1]
    assert chains
    for episode in chains:
        minutes = [minute for _, minute in episode.spread]
        assert minutes == sorted(minutes)
        assert episode.start < minutes[0] <= episode.end
        assert tuple(service for service, _ in episode.spread) == episode.affected[1:]


def test_bursts_and_crashes_lie_within_the_errors() -> None:
    for episode in schedule(Plan(3, 24.0), 30):
        if episode.harmful:
            assert episode.bursts[0][0] == episode.start
            assert episode.bursts[-1][1] <= episode.end
            assert all(episode.start < since < until <= episode.end for since, until in episode.dead)
            assert bool(episode.dead) == (episode.kind == "memory_leak")
            assert (len(episode.bursts) > 1) <= (episode.kind == "flapping")


def test_a_rate_limit_touches_what_calls_the_outside_alone() -> None:
    for episode in schedule(Plan(4, 24.0), 30):
        if episode.kind in ("rate_limit", "throttle_decoy"):
            assert all(TOPOLOGY.dependencies[TOPOLOGY.dependency[i]].external for i in episode.operations)
