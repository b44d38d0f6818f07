"""Hours of the day and of the week become usual, at any distance of ticks."""

from __future__ import annotations

import numpy as np
import pytest

from features.arrays import FloatArray
from models.season import Season, Usual

HOUR_S = 3600.0


def teach(season: Season, values: FloatArray, gap_s: float, rows: bool = True) -> Usual:
    level, deviation = np.array([values.mean()]), np.array([1.0])
    usual = season.usual(np.zeros(1), level, deviation)
    for i, value in enumerate(values.tolist()):
        usual = season.usual(np.array([i * gap_s]), level, deviation)
        season.learn(np.array([value]), usual, np.array([rows]))
    return usual


@pytest.mark.parametrize("gap_s", [300.0, 1800.0, HOUR_S])
def test_an_hour_of_the_day_is_known_after_some_days(gap_s: float) -> None:
    season = Season()
    season.columns.grow(1)
    hours = np.arange(0, 20 * 24 * HOUR_S, gap_s) // HOUR_S % 24
    teach(season, np.where(hours == 3, 50.0, 10.0), gap_s)
    at = [season.usual(np.array([(20 * 24 + hour) * HOUR_S]), np.array([12.0]), np.array([1.0])) for hour in (3, 9)]
    assert float(at[0].of_day[0]) > 40.0
    assert abs(float(at[1].of_day[0]) - 10.0) < 2.0


def test_an_hour_of_the_week_is_more_than_its_hour_of_the_day() -> None:
    season = Season()
    season.columns.grow(1)
    hours = np.arange(0, 35 * 24 * HOUR_S, 600.0) // HOUR_S % 168
    teach(season, np.where(hours == 10, 40.0, 10.0), 600.0)
    monday = season.usual(np.array([(35 * 24 + 10) * HOUR_S]), np.array([10.0]), np.array([1.0]))
    another = season.usual(np.array([(35 * 24 + 34) * HOUR_S]), np.array([10.0]), np.array([1.0]))
    assert monday.of_day + monday.of_week > another.of_day + another.of_week + 5.0


def test_what_is_not_usual_is_not_learned() -> None:
    season = Season()
    season.columns.grow(1)
    teach(season, np.full(500, 99.0), 600.0, rows=False)
    assert not season.columns["day"].any()
    assert not season.columns["seen"].any()
