"""A group that carries the whole signal earns its place, noise does not, and a single member is its own ensemble."""

from __future__ import annotations

import numpy as np
import pytest

from tests.training_rows import simulated_rows
from training.ablation import NOTHING, Ablation, How, Part, ablate
from training.fit import MEMBERS
from training.walkforward import WalkPlan

PLAN = WalkPlan(folds=1)
TOLD: list[Part] = []


@pytest.fixture(scope="module")
def found() -> Ablation:
    return ablate(simulated_rows(n_series=8, n_noise=1, a_day=3.0), PLAN, TOLD.append)


def test_the_group_that_carries_the_signal_earns_its_place_and_noise_does_not(found: Ablation) -> None:
    assert found.of("warnings", "out").sign == "earns its place"
    assert found.of("warnings", "in").sign == "tells something alone"
    assert found.of("noise_0", "out").sign != "earns its place"
    assert found.of("noise_0", "in").sign == found.of(NOTHING, "in").sign == "tells nothing alone"
    assert found.of("warnings", "in").ap["60min"] > 2 * found.of("warnings", "out").ap["60min"]


def test_every_group_and_member_is_left_out_and_alone(found: Ablation) -> None:
    groups = ("incident_history", "surprise", "warnings", "noise_0")
    expected = [(name, how) for name in (*groups, *MEMBERS) for how in ("out", "in")]
    assert [(part.name, part.how) for part in found.parts] == [("ensemble", "in"), (NOTHING, "in"), *expected]
    assert list(found.parts) == TOLD


@pytest.mark.parametrize("how", ["out", "in"])
def test_differences_are_to_the_whole(found: Ablation, how: How) -> None:
    whole = found.of("ensemble", "in")
    assert whole.difference == 0.0
    for name in MEMBERS:
        part = found.of(name, how)
        assert part.difference == pytest.approx(part.log_loss - whole.log_loss)
        assert part.interval is not None
        assert part.interval[0] <= part.difference <= part.interval[1]
        assert np.isfinite(list(part.ap.values())).all()
