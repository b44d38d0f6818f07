"""Combinations of vital signs: one forest a tenant, learned from a sample, kept over a restart."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from app.combinations import Combinations
from features.arrays import BoolArray, FloatArray
from features.memory import Memory
from features.sparse import Slots
from models.multivariate import MOST_ROWS


def services(n: int, tenants: tuple[str, ...] = ("default",)) -> tuple[Memory, Slots, Combinations]:
    memory, slots = Memory(), Slots()
    memory.begin(100)
    slots.take(np.array([memory.row(tenant, f"service {i}", "*", 0) for tenant in tenants for i in range(n)]))
    combinations = Combinations(slots)
    grow(combinations)
    return memory, slots, combinations


def grow(combinations: Combinations) -> None:
    for columns in combinations.parts().values():
        columns.grow(0)


def opposed(rng: np.random.Generator, n: int) -> FloatArray:
    """Return deviations in which durations rise with traffic."""
    load = rng.normal(size=(n, 1))
    return np.concatenate([rng.normal(size=(n, 1)), load, load], axis=1) * 0.5


def usual(n: int) -> BoolArray:
    return np.ones(n, np.bool_)


def taught(n: int, ticks: int) -> tuple[Memory, Slots, Combinations, np.random.Generator]:
    memory, slots, combinations = services(n)
    rng = np.random.default_rng(0)
    for _ in range(ticks):
        tail, _ = combinations.advance(memory, opposed(rng, n), usual(n))
        assert ((tail > 0) & (tail <= 1)).all()
    return memory, slots, combinations, rng


def test_what_goes_against_what_goes_together_is_unusual_although_no_number_is() -> None:
    memory, _, combinations, rng = taught(20, 200)
    tail, numbers = np.ones(20), np.zeros((20, 4))
    for _ in range(8):
        off = opposed(rng, 20)
        off[3] = (0.3, 0.9, -0.9)
        tail, numbers = combinations.advance(memory, off, usual(20))
    assert tail[3] < 0.02
    assert tail[3] == tail.min()
    value, expected, lower, upper = numbers[3]
    assert lower <= expected <= upper < value


def test_nothing_is_said_of_a_service_that_is_young_or_never_usual() -> None:
    memory, slots, combinations, _ = taught(20, 200)
    slots.take(np.array([memory.row("default", "young", "*", 0)]))
    grow(combinations)
    tail, _ = combinations.advance(memory, np.full((21, 3), 9.0), np.arange(21) < 20)
    assert (tail[:20] < 0.1).all()
    assert tail[20] == 1.0


def test_tenants_have_forests_of_their_own_and_a_tick_teaches_a_bounded_sample() -> None:
    memory, _, combinations = services(100, ("one", "other"))
    rng = np.random.default_rng(0)
    for tick in range(64):
        memory.windows.tick = 100 + tick
        combinations.advance(memory, opposed(rng, 200), usual(200))
    state = combinations.snapshot()
    assert sorted(state) == ["one", "other"]
    forests = cast("Any", combinations)._forests
    counted = [forests[tenant]._forest.counter for tenant in sorted(state)]
    assert counted[0] == counted[1]
    assert 4 * 30 <= counted[0] <= 4 * MOST_ROWS


def test_a_restart_changes_nothing() -> None:
    memory, slots, combinations, rng = taught(20, 150)
    others = Slots()
    later = Combinations(others)
    for name, columns in later.parts().items():
        columns.restore(slots.rows, combinations.parts()[name].snapshot(slots.rows))
    for tenant, data in combinations.snapshot().items():
        later.restore(tenant, data)
    off = opposed(rng, 20)
    for one, other in zip(combinations.advance(memory, off, usual(20)), later.advance(memory, off, usual(20)), strict=True):
        assert (one == other).all()
    assert combinations.snapshot() == later.snapshot()
