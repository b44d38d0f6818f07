"""What is made of other nodes' summaries: the newest counts, what is too old does not, and what is here is not there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from features.afar import HEARD_WINDOWS, OLDEST_TICKS, SIGNALS, SUMS, Afar, Summary


def a_summary(
    partition: int = 3, tick: int = 100, services: Sequence[tuple[str, str]] = (("a", "web"),), of: float = 1.0
) -> Summary:
    tenants = sorted({tenant for tenant, _ in services})
    got = np.tile(np.arange(float(HEARD_WINDOWS)), (len(tenants), 1)) + of
    signals, sums = np.full((len(services), len(SIGNALS)), of), np.full((len(tenants), SUMS), of)
    return Summary(partition, tick, services, signals, tenants, got, sums)


def test_nothing_heard_is_nothing_known() -> None:
    afar = Afar()
    assert not afar
    assert afar.beyond({"a": 0}) is None
    assert afar.rows({("a", "web"): 0}, 1) == {("a", "web"): 0}


@pytest.mark.parametrize(("age", "used"), [(-3, True), (0, True), (OLDEST_TICKS, True), (OLDEST_TICKS + 1, False)])
def test_a_summary_that_is_too_old_is_not_used(age: int, used: bool) -> None:
    assert bool(Afar([a_summary(tick=100)], 100 + age)) == used


def test_sums_add_up_over_partitions_by_tenant() -> None:
    afar = Afar([a_summary(1, of=1.0), a_summary(2, services=(("a", "cart"), ("b", "web")), of=10.0)], 100)
    tenants = {"b": 0, "c": 1}
    beyond = afar.beyond(tenants)
    assert beyond is not None
    assert beyond.due.tolist() == [10.0, 0.0]
    tenants["a"] = 2  # a tenant that comes later
    beyond = afar.beyond(tenants)
    assert beyond is not None
    assert beyond.due.tolist() == [10.0, 0.0, 11.0]
    assert beyond.onsets.tolist() == beyond.events.tolist() == [[10.0] * 2, [0.0] * 2, [11.0] * 2]
    assert beyond.intensity.tolist() == [[10.0] * 3, [0.0] * 3, [11.0] * 3]


def test_windows_that_a_summary_does_not_tell_of_are_like_the_nearest() -> None:
    afar = Afar([a_summary(tick=100, of=0.0)], 103)
    told = list(range(HEARD_WINDOWS))  # of windows 88 to 99
    assert afar.got({"a": 0}, 99, HEARD_WINDOWS).tolist() == [told]
    assert afar.got({"a": 0}, 102, 5).tolist() == [[told[-2], told[-1], told[-1], told[-1], told[-1]]]
    assert afar.got({"a": 0}, 88, 3).tolist() == [[0.0, 0.0, 0.0]]
    assert Afar([a_summary()], 100).got({"b": 0}, 99, 2).tolist() == [[0.0, 0.0]]


def test_a_service_that_is_here_too_is_the_one_here() -> None:
    afar = Afar([a_summary(services=(("a", "web"), ("a", "cart")))], 100)
    assert afar.rows({("a", "web"): 0}, 7) == {("a", "web"): 0, ("a", "cart"): 8}


def test_calls_are_new_once_a_partition_and_tick() -> None:
    def told(partition: int, tick: int) -> Summary:
        one = a_summary(partition, tick)
        return Summary(partition, tick, one.services, one.signals, one.tenants, one.got, one.sums, calls=[("a", "x", "y", 1.0)])

    before, after = Afar([told(1, 100), told(2, 100)], 100), Afar([told(1, 101), told(2, 100), told(4, 99)], 101)
    assert list(after.calls(before)) == [(("a", "x", "y"), 1.0)] * 2
    assert list(after.calls(after)) == []
