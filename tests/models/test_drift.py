"""Drift is seen when the loss rises, not when it falls, and survives a restart."""

from __future__ import annotations

import numpy as np
import pytest

from features.errors import InvalidValue, SnapshotMismatch
from models import drift
from models.drift import DriftWatch


def losses(level: float, n: int, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [np.abs(rng.normal(level, level / 5, 30)) for _ in range(n)]


def test_a_risen_loss_is_seen_once_and_a_steady_one_never() -> None:
    watch = DriftWatch()
    assert not any(watch.learn(v) for v in losses(0.02, 800))
    assert any(watch.learn(v) for v in losses(0.4, 150))
    assert watch.n_detected == 1


def test_a_fallen_loss_is_no_reason() -> None:
    watch = DriftWatch()
    assert not any(watch.learn(v) for v in [*losses(0.4, 400), *losses(0.02, 400)])


def test_a_restored_watch_decides_as_the_saved_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "_KEPT", 200)
    watch, other = DriftWatch(), DriftWatch()
    for value in losses(0.05, 450):
        watch.learn(value)
    other.restore(watch.snapshot())
    assert other.snapshot() == watch.snapshot()
    later = losses(0.5, 100, seed=1)
    assert [watch.learn(v) for v in later] == [other.learn(v) for v in later]
    assert other.snapshot() == watch.snapshot()


def test_nothing_matured_changes_nothing() -> None:
    watch = DriftWatch()
    assert watch.learn(np.zeros(0)) is False
    assert watch.n_seen == 0


def test_impossible_values_and_foreign_snapshots_are_refused() -> None:
    with pytest.raises(InvalidValue, match="delta"):
        DriftWatch(0.0)
    with pytest.raises(InvalidValue, match="finite"):
        DriftWatch().learn(np.array([np.nan]))
    with pytest.raises(SnapshotMismatch, match="delta"):
        DriftWatch(0.01).restore(DriftWatch().snapshot())
