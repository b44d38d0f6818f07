"""Who calls whom, and who follows whom."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.edges import MOST_LAG, edges_of, lags, leads
from features.memory import Memory
from features.series import WHOLE
from tests.telemetry import T0, a_batch, a_record


@given(st.integers(0, 2**31), st.integers(1, 60), st.integers(0, 3))
def test_lags_of_anything_are_within_their_bounds(seed: int, width: int, edges: int) -> None:
    rng = np.random.default_rng(seed)
    found = lags(
        rng.poisson(1.0, (edges, width)).astype(float), rng.normal(size=(edges, width)), rng.random((edges, width)) < 0.8
    )
    assert ((found >= 0) & (found <= MOST_LAG)).all()


def test_services_that_do_not_move_together_have_no_lag() -> None:
    rng = np.random.default_rng(1)
    found = lags(rng.normal(size=(1000, 60)), rng.normal(size=(1000, 60)), np.ones((1000, 60), np.bool_))
    assert (found > 0).mean() < 0.01


def test_what_moves_together_by_chance_does_not_tell_who_is_first() -> None:
    rng, known = np.random.default_rng(2), np.ones((2000, 60), np.bool_)
    even = leads(rng.normal(size=(2000, 60)), rng.normal(size=(2000, 60)), known)
    assert (even != 0.0).mean() < 0.01
    drifting = leads(rng.normal(size=(2000, 60)).cumsum(1), rng.normal(size=(2000, 60)).cumsum(1), known)
    assert (drifting != 0.0).mean() < 0.05, "neighbouring windows are alike"


def test_who_moves_first_is_told_by_sign_and_what_moves_at_once_is_not() -> None:
    rng, known = np.random.default_rng(3), np.ones((1, 60), np.bool_)
    callee = rng.exponential(size=(1, 60))
    later = np.roll(callee, 1, axis=1) + rng.normal(scale=0.2, size=(1, 60))
    assert leads(callee, later, known)[0] > 10.0
    assert leads(later, callee, known)[0] == pytest.approx(-leads(callee, later, known)[0])
    assert leads(callee, callee + rng.normal(scale=0.2, size=(1, 60)), known).tolist() == [0.0]
    assert leads(callee, later, np.arange(60)[None] < 10).tolist() == [0.0], "too few windows"
    assert leads(callee[:, :1], later[:, :1], known[:, :1]).tolist() == [0.0]


def test_an_edge_has_traffic_shared_failures_and_the_lag_of_its_caller() -> None:
    memory, rng = Memory(), np.random.default_rng(0)
    errors = rng.poisson(5.0, 60) * (rng.random(60) < 0.3)
    for number in range(50):
        tick = T0 + number
        memory.begin(tick)
        later = errors[number - 2] if number >= 2 else 0
        groups = (("db", errors[number]), ("web", later))
        memory.add("a", 0, a_batch(*((name, "q", tick, {"total": 20.0, "errors": float(count)}) for name, count in groups)))
        for name, _ in groups:
            memory.add_error(
                memory.row("a", name, WHOLE, 0), a_record(name, tick, trace_id=f"{number:032x}"), "data", None, "f"
            )
        memory.advance(tick + 1)
    memory.graph.add("a", "web", "db", 8.0, memory.tick)
    memory.graph.add("a", "web", "bank:443", 2.0, memory.tick - 10)
    memory.graph.add("a", "web", "gone", 1.0, memory.tick - 100_000)
    memory.graph.add("a", "elsewhere", "db", 1.0, memory.tick)
    known = {edge.callee: edge for edge in edges_of(memory)}
    assert set(known) == {"db", "bank:443"}
    assert (known["db"].calls, known["db"].errors, known["db"].lag_s) == (8.0, 5.0, 120.0)
    assert known["bank:443"].calls == pytest.approx(2.0, rel=0.01)
    assert known["db"].lead_bits > 10.0
    assert (known["bank:443"].errors, known["bank:443"].lag_s, known["bank:443"].lead_bits) == (0.0, 0.0, 0.0)


def test_an_edge_stays_while_it_weighs_a_hundredth_of_a_call() -> None:
    memory = Memory()
    memory.begin(T0)
    memory.add("a", 0, a_batch(("web", "q", T0, {"total": 20.0})))
    memory.advance(T0 + 1)
    memory.graph.add("a", "web", "just", 0.01, memory.tick)
    memory.graph.add("a", "web", "fainter", 0.0099, memory.tick)
    assert [edge.callee for edge in edges_of(memory)] == ["just"]
