"""Forecasters and their blend: who speaks when, and that what was learned survives."""

from __future__ import annotations

import numpy as np
import pytest

from app.champion import Champion
from app.members import Members, subjects_of
from features.extract import SCHEMA
from features.memory import Memory, MemoryPlan
from models.ensemble import Ensemble
from models.hazard import cumulate
from models.maturing import Matured, Pending
from models.prediction import HORIZONS
from models.recalibration import Subjects
from models.trees import HazardForest, HazardTrees

N = len(SCHEMA.features)


def rows(n: int, seed: int = 0) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.random.default_rng(seed).normal(size=(n, N)).astype(np.float32)


def subjects(n: int, members: Members | None = None) -> Subjects:
    """Return the first n series, every second of them quiet, with the record that they have."""
    record = np.zeros((n, 3)) if members is None else members.recalibration.record(np.arange(n))
    return Subjects(np.arange(n), np.tile(np.arange(n)[:, None] % 2 == 0, (1, 3)), record)


EVERYBODY = np.arange(300)


def unfitted() -> Ensemble:
    """Return an ensemble that is only promoted, and never asked."""
    return Ensemble((), ())


def uncorrected(members: Members) -> bool:
    """Return whether what the members say together is served as it is."""
    said = members.together({"prior": np.full((30, 3), 0.2)}, subjects(30))
    return bool(np.allclose(said["blend"], said["served"], rtol=1e-12))


def matured(members: Members, n: int = 100, seed: int = 0) -> Matured:
    x = rows(n, seed)
    y = np.zeros((n, 3))
    y[x[:, 0] > 1.0, 0] = 1.0
    at_risk = np.ones((n, 3), bool)
    at_risk[y[:, 0] > 0, 1:] = False
    about = subjects(n, members)
    said = members.together(members.hazards(x), about)
    return Matured(Pending(5, about.series, x, said, members.version, about.quiet, about.record), y, at_risk)


def test_before_any_model_the_prior_speaks_and_says_so() -> None:
    members = Members()
    assert members.version == "prior"
    assert members.hazards(rows(4)).keys() == {"prior"}
    p = cumulate(members.forecast(rows(50), subjects(50)))
    assert (np.diff(p, axis=1) >= 0).all()
    lower, upper = members.bounds(p)
    assert (lower <= upper).all()
    assert np.isfinite(members.logit60(rows(4), subjects(4))).all()


def test_the_background_is_the_median_and_nothing_without_series() -> None:
    assert np.array_equal(Members().background(rows(5)), np.median(rows(5), axis=0).astype(np.float32))
    assert not Members().background(rows(0)).any()


def test_the_online_learner_has_a_say_once_it_has_seen_enough() -> None:
    members = Members()
    for seed in range(25):
        members.learn(matured(members, seed=seed))
    assert members.online.n_rows >= 2_000
    assert members.hazards(rows(3)).keys() == {"prior", "online"}
    said = members.progressive.said()
    assert set(said) >= {"prior", "blend", "served"}
    assert said["prior"]["60min"].log_loss > 0


def test_shares_sum_to_what_is_served_whoever_has_a_say() -> None:
    members = Members()
    said: list[set[str]] = []
    for seed in range(25):
        members.learn(matured(members, seed=seed))
        if seed == 20:
            x, y, at_risk = (rows(3000, 50), matured(members, 3000, 50).y, matured(members, 3000, 50).at_risk)
            fitted = (("trees", HazardTrees(n_rounds=5).fit(x, y, at_risk)), ("forest", HazardForest(3).fit(x, y, at_risk)))
            members.promote(Champion("v1", Ensemble(fitted).fit(x, y, at_risk, n_events=5)))
        if seed in {0, 20, 24}:
            some, background = rows(5, seed=99), members.background(rows(50))
            shares = members.shares(some, background, subjects(5))
            away = members.logit60(some, subjects(5)) - members.logit60(background[None], Subjects.nobody(1, 3))
            assert shares.shape == (5, len(SCHEMA.groups))
            assert np.allclose(shares.sum(axis=1), away, atol=1e-9)
            said.append(set(members.hazards(some)))
    assert said == [{"prior"}, {"batch", "online"}, {"batch", "online"}]


def test_a_forecast_that_nobody_can_judge_teaches_nothing() -> None:
    members = Members()
    seen = matured(members)
    before = members.snapshot(EVERYBODY)
    assert members.learn(Matured(seen.pending, seen.y, np.zeros_like(seen.at_risk))) is False
    assert members.snapshot(EVERYBODY) == before


def test_what_was_learned_survives_and_goes_on_alike() -> None:
    one, other = Members(), Members()
    for seed in range(22):
        one.learn(matured(one, seed=seed))
    other.restore(one.snapshot(EVERYBODY), EVERYBODY)
    assert other.snapshot(EVERYBODY) == one.snapshot(EVERYBODY)
    for members in (one, other):
        members.learn(matured(members, seed=99))
    assert other.snapshot(EVERYBODY) == one.snapshot(EVERYBODY)
    x = rows(10, seed=7)
    assert np.array_equal(one.logit60(x, subjects(10)), other.logit60(x, subjects(10)))


def test_a_snapshot_of_another_schema_is_left_out() -> None:
    one, other = Members(), Members()
    one.learn(matured(one))
    other.restore(one.snapshot(EVERYBODY).replace(SCHEMA.sha256.encode(), b"another"), EVERYBODY)
    assert other.snapshot(EVERYBODY) == Members().snapshot(EVERYBODY)


def test_a_snapshot_of_an_earlier_release_is_left_out() -> None:
    one, other = Members(), Members()
    one.learn(matured(one))
    earlier = one.snapshot(EVERYBODY).replace(b'"layout": 3, ', b"")
    assert other.restore(earlier, EVERYBODY) is False
    assert other.snapshot(EVERYBODY) == Members().snapshot(EVERYBODY)


def test_members_that_cry_wolf_are_believed_less_and_what_is_served_is_right_again() -> None:
    members = Members()
    rng = np.random.default_rng(4)
    for seed in range(40):
        about = subjects(200, members)
        said = members.together({"prior": np.full((200, 3), 0.2)}, about)
        y = (rng.random((200, 3)) < 0.05).astype(float)
        pending = Pending(5, about.series, rows(200, seed), said, "prior", about.quiet, about.record)
        members.learn(Matured(pending, y, np.ones((200, 3), bool)))
    served = members.together({"prior": np.full((200, 3), 0.2)}, subjects(200, members))["served"]
    assert served.mean(axis=0) == pytest.approx(np.full(3, 0.05), abs=0.02)
    said = members.progressive.said()
    assert all(said["served"][horizon].log_loss < said["blend"][horizon].log_loss for horizon in HORIZONS)


def test_subjects_are_quiet_at_the_horizons_that_the_last_onset_lies_before() -> None:
    memory, members = Memory(MemoryPlan(tick_s=30)), Members()
    memory.begin(1000)
    for name in ("cart", "mail"):
        memory.row("default", name, "*", 0)
    memory.advance(1020)
    memory.onsets.columns["last_onset"][:] = (1019 - 20, -1)  # ten minutes ago, and never
    found = subjects_of(members, memory, np.array([0, 1]))
    assert found.quiet.tolist() == [[True, False, False], [True, True, True]]
    assert found.series.tolist() == [0, 1]
    assert not found.record.any()


def test_onsets_are_counted_since_the_promotion() -> None:
    members = Members()
    members.began(3)
    members.began(2)
    assert members.onsets == 5
    assert members.drifts.reasons() == ()


@pytest.mark.parametrize("tick_s", [30, 60])
def test_the_blend_weighs_its_members_to_one(tick_s: int) -> None:
    weights = Members(tick_s).blend.weights
    assert np.allclose(sum(weights.values()), 1.0)


def test_the_same_champion_after_a_restart_keeps_what_it_earned_and_another_one_does_not() -> None:
    one, same, other = Members(), Members(), Members()
    one.promote(Champion("v1", unfitted()))
    one.blend.learn(
        {"batch": np.full((30, 3), 0.01), "prior": np.full((30, 3), 0.5)}, np.zeros((30, 3)), np.ones((30, 3), bool)
    )
    one.recalibration.learn(np.full((30, 3), 0.2), subjects(30), np.zeros((30, 3)), np.ones((30, 3), bool))
    one.began(4)
    nothing = np.zeros(20)
    one.drifts.learn(rows(20), nothing + 0.01, nothing, nothing)
    one.drifts.risen = True
    for members, version in ((same, "v1"), (other, "v2")):
        members.restore(one.snapshot(EVERYBODY), EVERYBODY)
        assert members.drifts.loss.n_seen == 1
        members.promote(Champion(version, unfitted()))
    assert same.snapshot(EVERYBODY) == one.snapshot(EVERYBODY)
    assert (same.onsets, same.drifts.reasons()) == (4, ("its loss has risen",))
    assert (other.onsets, other.drifts.reasons()) == (0, ())
    assert not uncorrected(same)
    assert uncorrected(other)
    assert np.allclose(other.blend.weights["batch"], 0.8)
    assert (one.blend.weights["batch"] > 0.8).all()


def test_a_new_champion_is_not_corrected_by_what_came_of_another_ones_forecasts() -> None:
    members = Members()
    before = [matured(members, seed=seed) for seed in range(5)]
    members.promote(Champion("v2", unfitted()))
    for waiting in before:
        members.learn(waiting)
    assert uncorrected(members)
    assert np.allclose(members.blend.weights["batch"], 0.8)
    assert members.progressive.said() == {}
    assert members.online.n_rows == 500
