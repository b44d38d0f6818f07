"""Each sign that the world has moved is said in words, and a world that stands still gives none."""

from __future__ import annotations

import numpy as np
import pytest

from features.arrays import Float32Array
from models.drifts import Drifts
from models.shift import Reference

NAMES = ("warnings_log_15", "p95_shift_5")
RATE = 0.05


def rows(seed: int, moved: float = 0.0) -> Float32Array:
    return np.random.default_rng(seed).normal((0.0, moved), size=(60, 2)).astype(np.float32)


REFERENCE = Reference.of(np.concatenate([rows(seed) for seed in range(50)]), np.array([0, 1]))


def lived(hours: range, drifts: Drifts, *, loss: float = 0.1, factor: float = 1.0, moved: float = 0.0) -> Drifts:
    """Let hours pass, with twelve matured forecasts each."""
    for number in range(12 * hours.start, 12 * hours.stop):
        rng = np.random.default_rng(number)
        began = (rng.random(60) < RATE * factor).astype(np.float64)
        drifts.learn(rows(number, moved), np.abs(rng.normal(loss, 0.01, 60)), began, np.full(60, RATE))
    return drifts


def watched() -> Drifts:
    drifts = Drifts(12, NAMES)
    drifts.attach(REFERENCE)
    return drifts


def test_a_world_that_stands_still_gives_no_sign() -> None:
    assert lived(range(60), watched()).reasons() == ()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"loss": 0.6}, ["its loss has risen"]),
        ({"factor": 2.0}, ["incidents begin 1.", "times as often as forecast"]),
        ({"factor": 0.3}, ["incidents begin 0.", "times as often as forecast"]),
        ({"moved": 1.5}, ["looks otherwise than when it was fitted: p95_shift_5"]),
    ],
)
def test_what_has_changed_is_said_alone(change: dict[str, float], words: list[str]) -> None:
    changed = lived(range(30, 90), lived(range(30), watched()), **change)
    assert len(changed.reasons()) == 1
    assert all(word in changed.reasons()[0] for word in words)


def test_a_loss_that_rose_stays_said_and_columns_that_came_back_do_not() -> None:
    both = lived(range(30, 90), lived(range(30), watched()), loss=0.6, moved=1.5)
    assert len(both.reasons()) == 2
    assert lived(range(90, 190), both).reasons() == ("its loss has risen",)


def test_a_column_that_looks_otherwise_for_minutes_is_not_said() -> None:
    drifts = lived(range(30), watched())
    lived(range(30, 31), drifts, moved=1.5)
    assert drifts.reasons() == ()


def test_what_was_seen_survives_and_waits_for_the_model() -> None:
    one = lived(range(30, 60), lived(range(30), watched()), factor=2.0, moved=1.5)
    other = Drifts(12, NAMES)
    other.restore(one.snapshot())
    assert other.snapshot() == one.snapshot()
    other.attach(REFERENCE)
    for drifts in (one, other):
        lived(range(60, 62), drifts, moved=1.5)
    assert other.snapshot() == one.snapshot()
    assert other.reasons() == one.reasons() != ()


def test_without_a_reference_columns_are_not_watched() -> None:
    drifts = Drifts(12, NAMES)
    drifts.attach(None)
    assert lived(range(40), drifts, moved=3.0).reasons() == ()
