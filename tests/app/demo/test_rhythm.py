"""The rhythm averages to one, and has a night and two peaks."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from app.demo.rhythm import Rhythm, day_factor


def test_a_day_averages_to_one() -> None:
    hours = np.linspace(0, 24, 1440, endpoint=False)
    assert day_factor(hours).mean() == pytest.approx(1.0, abs=0.002)
    assert day_factor(hours).min() > 0.55


def test_lunch_and_evening_are_peaks() -> None:
    assert day_factor(12.5) > day_factor(15.5) < day_factor(20.0)


def test_a_weekday_has_its_own_factor_and_seeds_wander_apart() -> None:
    start = datetime(2026, 1, 5, tzinfo=UTC)
    one, other = Rhythm(1, start), Rhythm(2, start)
    week = np.array([one.factor(m) for m in range(0, 7 * 1440, 60)]).reshape(7, 24).mean(axis=1)
    assert week.argmax() in (4, 5)
    assert one.factor(5) != other.factor(5)
