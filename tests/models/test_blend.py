"""The blend follows who does well, forgives, and survives a restart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import InvalidValue, SnapshotMismatch
from models.blend import Blend
from models.hazard import log_losses

EVERYONE = np.ones((30, 3), dtype=np.bool_)


def flat(p: float) -> np.ndarray:
    return np.full((30, 3), p)


@given(st.lists(st.floats(0.001, 0.999), min_size=2, max_size=2))
def test_a_blend_lies_between_its_members(p: list[float]) -> None:
    blended = Blend(("a", "b")).combine({"a": flat(p[0]), "b": flat(p[1])})
    assert (blended >= min(p) - 1e-9).all()
    assert (blended <= max(p) + 1e-9).all()


def test_one_member_alone_is_passed_on_as_it_is() -> None:
    assert np.allclose(Blend(("prior", "online", "batch")).combine({"prior": flat(0.2)}), 0.2)


def test_weights_move_to_the_better_member_and_back_when_the_world_turns() -> None:
    blend = Blend(("a", "b"), share=0.01)
    rng = np.random.default_rng(0)
    for rate in (0.02, 0.5):
        for _ in range(60):
            blend.learn({"a": flat(0.02), "b": flat(0.5)}, (rng.random((30, 3)) < rate).astype(float), EVERYONE)
        better = "a" if rate < 0.1 else "b"
        assert (blend.weights[better] > 0.9).all()


def test_the_blend_loses_little_against_its_best_member() -> None:
    blend, rng = Blend(("a", "b", "c")), np.random.default_rng(1)
    spent, best = 0.0, np.zeros(3)
    for _ in range(200):
        y = (rng.random((30, 3)) < 0.1).astype(float)
        said = {"a": flat(0.1), "b": flat(0.3), "c": flat(0.01)}
        spent += float(log_losses(blend.combine(said), y).sum())
        best += [float(log_losses(h, y).sum()) for h in said.values()]
        blend.learn(said, y, EVERYONE)
    # One unit of regret an interval is ln(3) times its overlap of 5, 10 and 45 ticks.
    assert spent <= best.min() + np.log(3) * (5 + 10 + 45) + 200 * 0.001 * 60


def test_absent_members_keep_their_share() -> None:
    blend = Blend(("a", "b", "c"))
    blend.learn({"a": flat(0.01), "b": flat(0.6)}, np.zeros((30, 3)), EVERYONE)
    assert np.allclose(blend.weights["c"], 1 / 3)
    assert np.allclose(sum(blend.weights.values()), 1.0)


def test_rows_that_are_not_at_risk_teach_nothing() -> None:
    blend = Blend(("a", "b"))
    before = blend.snapshot()
    blend.learn({"a": flat(0.01), "b": flat(0.6)}, np.zeros((30, 3)), ~EVERYONE)
    assert blend.snapshot() == before


def test_a_new_model_version_starts_from_the_initial_share() -> None:
    blend = Blend(("a", "b"), initial=(3.0, 1.0))
    blend.learn({"a": flat(0.9), "b": flat(0.01)}, np.zeros((30, 3)), EVERYONE)
    blend.forget("a")
    assert np.allclose(blend.weights["a"], 0.75)
    Blend(("a",)).forget("a")


def test_snapshot_then_restore_is_identity() -> None:
    blend = Blend(("a", "b"))
    blend.learn({"a": flat(0.1), "b": flat(0.3)}, np.zeros((30, 3)), EVERYONE)
    other = Blend(("a", "b"))
    other.restore(blend.snapshot())
    assert other.snapshot() == blend.snapshot()
    with pytest.raises(SnapshotMismatch, match="members"):
        Blend(("a", "c")).restore(blend.snapshot())


def test_what_makes_no_sense_is_refused() -> None:
    for make in (
        lambda: Blend(()),
        lambda: Blend(("a", "a")),
        lambda: Blend(("a",), initial=(0.0,)),
        lambda: Blend(("a",), share=1.0),
    ):
        with pytest.raises(InvalidValue):
            make()
    with pytest.raises(InvalidValue, match="no other"):
        Blend(("a",)).combine({"b": flat(0.1)})
    with pytest.raises(InvalidValue, match="one of"):
        Blend(("a",)).forget("b")
