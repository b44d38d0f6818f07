"""Who learned from verdicts has to tell what people let stand from what they took away, and only that is asked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from features.arrays import Float32Array, FloatArray, IntArray
from tests.training_rows import Flat, simulated_rows
from training.contrast import contrast_of
from training.rows import Rows

ROWS = simulated_rows(n_series=6, n_noise=0, a_day=5.0, days=2.0)


class Doubting:
    """Says less the higher the first column stands."""

    def __init__(self, odds: float = 0.3) -> None:
        self.odds = odds

    def hazards(self, x: Float32Array) -> FloatArray:
        return np.repeat((self.odds * np.exp(-x[:, :1].astype(np.float64)))[:, :1], 3, axis=1)

    def shares(self, x: Float32Array, background: Float32Array, groups: IntArray) -> FloatArray:
        raise AssertionError("nobody asks")


def of_series(taken_away: list[int], marked: list[int]) -> tuple[Rows, Rows]:
    """Return rows whose first column marks some series, and the same without the incidents of some."""
    x = ROWS.x.copy()
    x[:, 0] = np.isin(ROWS.series, marked) + np.random.default_rng(0).normal(0.0, 0.01, len(x))
    plain = replace(ROWS, x=x)
    return plain, replace(plain, next_start_s=np.where(np.isin(ROWS.series, taken_away), np.inf, ROWS.next_start_s))


def test_who_tells_what_was_taken_away_from_what_stands_is_better() -> None:
    found = contrast_of(*of_series([0, 1, 2], [0, 1, 2]), (Flat(0.1), Doubting()))
    assert (found.kind, found.without) == ("better", 0.5)
    assert found.with_feedback > 0.99
    assert min(found.stand, found.taken_away) >= 5
    assert contrast_of(*of_series([0, 1, 2], [0, 1, 2]), (Doubting(), Flat(0.1))).kind == "worse"


def test_saying_less_of_everything_is_not_better_though_half_was_taken_away() -> None:
    rows = of_series([0, 1, 2], [])
    assert contrast_of(*rows, (Flat(0.2), Flat(0.1))).kind == "even"
    found = contrast_of(*rows, (Doubting(0.3), Doubting(0.1)))
    assert found.with_feedback == pytest.approx(found.without)
    assert found.kind == "even"


def test_a_handful_of_incidents_says_nothing() -> None:
    plain, laid = of_series([], [0])
    found = contrast_of(plain, laid, (Flat(0.1), Doubting()))
    assert (found.taken_away, found.interval, found.kind) == (0, None, "unknown")
    assert found.stand == ROWS.events()
