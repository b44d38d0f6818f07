"""Two models are compared on what both said, and a restart forgets none of it."""

from __future__ import annotations

import numpy as np
import pytest

from app.champion import Champion
from app.rivalry import Rivalry
from features.arrays import Float32Array, FloatArray
from models.ensemble import Ensemble
from models.maturing import Matured, Pending

RATE = 0.05


class Constant(Ensemble):
    """An ensemble that says one hazard of everything."""

    def __init__(self, hazard: float) -> None:
        super().__init__(())
        self.hazard = hazard

    def hazards(self, x: Float32Array) -> FloatArray:
        return np.full((len(x), 3), self.hazard)


def rivalry(hazard: float) -> Rivalry:
    found = Rivalry(12)
    found.begin(Champion("v2", Constant(hazard)), "v1")
    return found


def lived(rivalry: Rivalry, hours: range, serving: float = RATE, version: str = "v1") -> Rivalry:
    """Let hours pass, with twelve matured forecasts of 40 series each."""
    for number in range(12 * hours.start, 12 * hours.stop):
        rng = np.random.default_rng(number)
        x = np.zeros((40, 2), np.float32)
        y = (rng.random((40, 3)) < RATE).astype(np.float64)
        said = {"batch": np.full((40, 3), serving)} | rivalry.hazards(x)
        pending = Pending(number, np.arange(40), x, said, version, np.ones((40, 3), bool), np.zeros((40, 3)))
        rivalry.learn(Matured(pending, y, np.ones((40, 3), bool)))
    return rivalry


@pytest.mark.parametrize(("hazard", "verdict"), [(0.2, "below"), (RATE, "open")])
def test_a_rival_that_is_worse_makes_what_serves_better(hazard: float, verdict: str) -> None:
    found = lived(rivalry(hazard), range(40)).compared()
    assert found is not None
    assert (found.serves, found.rival, found.hours, found.verdict) == ("v1", "v2", 39, verdict)


def test_a_rival_that_is_better_makes_what_serves_worse() -> None:
    found = lived(rivalry(RATE), range(40), serving=0.3).compared()
    assert found is not None
    assert found.verdict == "above"
    assert found.interval is not None
    assert found.interval[0] <= found.difference <= found.interval[1]


def test_only_forecasts_of_both_are_compared() -> None:
    alone = Rivalry(12)
    lived(alone, range(3))
    assert alone.compared() is None
    assert alone.hazards(np.zeros((1, 2), np.float32)) == {}
    alone.begin(Champion("v2", Constant(0.1)), "v1")
    lived(alone, range(3), version="v0")
    found = alone.compared()
    assert found is not None
    assert (found.hours, found.interval) == (0, None)


def test_a_restart_goes_on_with_the_same_two_and_not_with_others() -> None:
    one, same, other = rivalry(0.2), Rivalry(12), Rivalry(12)
    lived(one, range(20))
    for restored in (same, other):
        restored.restore(one.snapshot())
        assert restored.snapshot() == one.snapshot()
    same.begin(Champion("v2", Constant(0.2)), "v1")
    other.begin(Champion("v3", Constant(0.2)), "v1")
    for going_on in (one, same):
        lived(going_on, range(20, 22))
    assert same.compared() == one.compared()
    found = other.compared()
    assert found is not None
    assert found.hours == 0


def test_another_rival_begins_anew() -> None:
    changed = lived(rivalry(0.2), range(20))
    changed.begin(Champion("v3", Constant(RATE)), "v1")
    found = changed.compared()
    assert found is not None
    assert (found.rival, found.hours) == ("v3", 0)
