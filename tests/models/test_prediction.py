"""What a prediction can never say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import InvalidValue
from features.series import SeriesKey
from models.prediction import HORIZONS, STATUSES, AnomalyScore, Chance, Prediction

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
UNIT = st.floats(0.0, 1.0)


def a_prediction(probabilities: list[float], status: str = "ok") -> Prediction:
    return Prediction(
        id="p/1/0",
        series=SeriesKey("default", "web", "*"),
        as_of=NOW,
        expires_at=NOW + timedelta(minutes=2),
        status=status,
        horizons={name: Chance(p, 0.0, 1.0) for name, p in zip(HORIZONS, probabilities, strict=True)},
        categories=(),
        reasons=(),
        anomaly=AnomalyScore(0.1, 1.0, 1.0, 0.0, 3.0),
        model_version="prior",
    )


@given(st.tuples(UNIT, UNIT, UNIT))
def test_longer_horizon_is_never_less_likely(probabilities: tuple[float, float, float]) -> None:
    rising = sorted(probabilities)
    assert [chance.probability for chance in a_prediction(rising).horizons.values()] == rising
    if list(probabilities) != rising:
        with pytest.raises(InvalidValue, match="a longer horizon must not be less likely"):
            a_prediction(list(probabilities))


@given(UNIT, UNIT, UNIT)
def test_interval_holds_its_probability(lower: float, probability: float, upper: float) -> None:
    if lower <= probability <= upper:
        assert Chance(probability, lower, upper).probability == probability
    else:
        with pytest.raises(InvalidValue, match="must hold, got"):
            Chance(probability, lower, upper)


@pytest.mark.parametrize("outside", [-0.1, 1.1, float("nan")])
def test_probability_outside_the_unit_interval_is_refused(outside: float) -> None:
    with pytest.raises(InvalidValue):
        Chance(outside, min(outside, 0.0), max(outside, 1.0))


@pytest.mark.parametrize("status", STATUSES)
def test_known_statuses_are_accepted(status: str) -> None:
    assert a_prediction([0.1, 0.2, 0.3], status).status == status


def test_unknown_status_is_refused() -> None:
    with pytest.raises(InvalidValue, match="got 'fine'"):
        a_prediction([0.1, 0.2, 0.3], "fine")
