"""Features of event streams: what they say, that order does not matter, and that a series with hardly any event has them too."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.arrays import FloatArray
from features.errors import InvalidValue
from features.intensity import ERROR, HEARD, INCIDENT, SIGN, Intensity, schema_of

HORIZONS = (3600, 21_600)
SCHEMA = schema_of(HORIZONS)
SERVICE = np.array([0, 0, 1])
AS_OF = 400_000.0
EVENTS = st.lists(st.tuples(st.integers(0, 2), st.integers(1, int(AS_OF)), st.integers(0, 3)), max_size=30)


def features(*events: tuple[int, float, int], as_of_s: float = AS_OF) -> FloatArray:
    intensity = Intensity(SERVICE, HORIZONS)
    row, time_s, kind = np.array(events, np.float64).reshape(-1, 3).T
    intensity.add(row.astype(np.int64), time_s, kind.astype(np.int64))
    return intensity.features(as_of_s).astype(np.float64)


def column(x: FloatArray, name: str) -> list[float]:
    return x[:, SCHEMA.index(name)].tolist()


@given(EVENTS)
def test_decayed_counts_are_the_sums_that_their_name_says(events: list[tuple[int, int, int]]) -> None:
    x = features(*events)
    kinds = {"incident": {INCIDENT}, "error": {INCIDENT, ERROR}, "sign": {SIGN}, "heard": {INCIDENT, ERROR, SIGN, HEARD}}
    for name, counted in kinds.items():
        for place, tau in enumerate((3600, 21_600, 4 * 21_600, 24 * 21_600), 1):
            sums = [
                sum(np.exp(-(AS_OF - t) / tau) for who, t, kind in events if who == row and kind in counted) for row in range(3)
            ]
            assert np.allclose(column(x, f"{name}_log_decay_{place}"), np.log1p(sums), atol=1e-6)
            if name in {"incident", "error"}:
                of = [[sums[1], sums[0], 0.0], [sums[2], sums[2], sums[0] + sums[1]]]
                for whose, expected in zip(("service", "others"), of, strict=True):
                    assert np.allclose(column(x, f"{whose}_{name}_log_decay_{place}"), np.log1p(expected), atol=1e-5)


@given(EVENTS, st.randoms(use_true_random=False), st.integers(1, 5))
def test_neither_order_nor_portions_matter(events: list[tuple[int, int, int]], random: object, portions: int) -> None:
    shuffled = sorted(events, key=lambda _: random.random())  # type: ignore[attr-defined]
    intensity = Intensity(SERVICE, HORIZONS)
    for part in (shuffled[i::portions] for i in range(portions)):
        row, time_s, kind = np.array(part, np.float64).reshape(-1, 3).T
        intensity.add(row.astype(np.int64), time_s, kind.astype(np.int64))
    mine, theirs = intensity.features(AS_OF), features(*sorted(events, key=lambda event: event[1]))
    ordered = [i for i, name in enumerate(SCHEMA.names) if not name.startswith("gap")]  # gaps are those between arrivals
    assert np.allclose(mine[:, ordered], theirs[:, ordered], atol=1e-4)


def test_times_since_are_in_longest_horizons_on_the_logarithm() -> None:
    x = features((0, AS_OF - 21_600, INCIDENT), (0, AS_OF - 2 * 21_600, INCIDENT), (1, AS_OF - 216, SIGN))
    assert column(x, "since_incident_1") == pytest.approx([0.0, np.log(1000), np.log(1000)])
    assert column(x, "since_incident_2")[0] == pytest.approx(np.log(2))
    assert column(x, "since_incident_5")[0] == pytest.approx(np.log(1000))
    assert column(x, "since_sign") == pytest.approx([np.log(1000), np.log(0.01), np.log(1000)], abs=1e-5)
    assert column(x, "since_heard")[:2] == pytest.approx([0.0, np.log(0.01)], abs=1e-5)
    assert column(x, "since_service_incident") == pytest.approx([np.log(1000), 0.0, np.log(1000)])
    assert column(x, "since_others_incident") == pytest.approx([np.log(1000), np.log(1000), 0.0])


def test_a_regular_series_has_a_gap_without_spread_and_a_phase() -> None:
    x = features(*((0, AS_OF - 43_200 * k, INCIDENT) for k in range(6, 0, -1)), (1, AS_OF - 5, INCIDENT))
    assert column(x, "gap_log")[0] == pytest.approx(np.log(2), abs=1e-5)
    assert column(x, "gap_spread")[0] == pytest.approx(0.0, abs=1e-2)
    assert column(x, "gap_phase")[0] == pytest.approx(0.0, abs=1e-5)
    assert column(x, "gap_phase")[1] == 0.0


def test_rates_lean_on_the_service_and_then_on_all_while_a_series_is_young() -> None:
    x = features(*((0, float(t), INCIDENT) for t in range(0, 400_000, 20_000)), (1, AS_OF - 60, HEARD), (2, AS_OF - 60, HEARD))
    own, pooled = column(x, "incident_rate"), column(x, "incident_rate_pooled")
    assert own[1] == pytest.approx(own[2])
    assert pooled[0] > pooled[1] > pooled[2] > 0
    assert np.isfinite(x).all()


def test_an_hour_of_the_week_that_had_incidents_stands_out() -> None:
    week = 7 * 86_400.0
    intensity = Intensity(np.array([0]), HORIZONS)
    times = np.arange(0.0, 12 * week, week)
    intensity.add(np.zeros(12, np.int64), times, np.full(12, INCIDENT))
    at_hour, elsewhere = (intensity.features(12 * week + shift)[0, SCHEMA.index("season_log")] for shift in (60.0, 30 * 3600.0))
    assert at_hour > 0.5
    assert elsewhere < 0


def test_a_series_with_five_events_in_its_life_says_all_it_can() -> None:
    x = features(*((2, 1000.0 * k, INCIDENT) for k in range(1, 6)))
    assert np.isfinite(x).all()
    assert column(x, "since_incident_5")[2] < np.log(1000)


def test_it_tells_what_was_heard_of_and_refuses_to_look_back() -> None:
    intensity = Intensity(SERVICE, HORIZONS)
    intensity.add(np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int64))
    assert intensity.heard.tolist() == [False] * 3
    intensity.add(np.array([1]), np.array([50.0]), np.array([HEARD]))
    assert intensity.heard.tolist() == [False, True, False]
    with pytest.raises(InvalidValue, match=r"at least 50.0, .* got 49"):
        intensity.features(49)
    assert Intensity(np.zeros(0, np.int64), HORIZONS).features(0).shape == (0, len(SCHEMA.features))
