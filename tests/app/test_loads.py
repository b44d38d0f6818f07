"""Loads that do not waver."""

from __future__ import annotations

from app.loads import SteadyLoads
from tests.owners import Monotonic


def test_a_load_is_published_once_it_lasted_and_again_only_when_it_changed_by_a_factor_of_two() -> None:
    clock = Monotonic()
    loads = SteadyLoads(clock)
    said: list[dict[int, float]] = []
    for rate in (500.0, 10.0, 18.0, 4.0, 0.0, 0.0):
        said.append(loads.steadied({1: rate, 9: 1.0}, frozenset({1})))
        clock.pass_by(300.0)
    assert said == [{}, {1: 10.0}, {1: 10.0}, {1: 4.0}, {1: 0.0}, {1: 0.0}]
    assert loads.known == {1: 0.0}


def test_a_burst_is_averaged() -> None:
    clock = Monotonic()
    loads = SteadyLoads(clock)
    for rate in (10.0,) * 62 + (100.0,) * 3 + (10.0,) * 60:
        clock.pass_by(5.0)
        loads.steadied({1: rate}, frozenset({1}))
    assert loads.known == {1: 10.0}


def test_what_another_one_said_stands_until_this_node_knows_better() -> None:
    clock = Monotonic()
    loads = SteadyLoads(clock)
    loads.learn({1: 8.0, 2: 3.0}, frozenset())
    assert loads.steadied({1: 900.0}, frozenset({1})) == {1: 8.0}, "it catches up"
    loads.learn({1: 1.0, 2: 4.0}, frozenset({1}))
    assert loads.known == {1: 8.0, 2: 4.0}


def test_time_counts_from_when_a_partition_came_back() -> None:
    clock = Monotonic()
    loads = SteadyLoads(clock)
    loads.steadied({}, frozenset({1}))
    clock.pass_by(300.0)
    loads.steadied({}, frozenset())
    assert loads.steadied({1: 5.0}, frozenset({1})) == {}
