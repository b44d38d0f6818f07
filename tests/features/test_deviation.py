"""How far the newest windows are from the past."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from features.arrays import FloatArray
from features.deviation import RECENT, of_counts, of_means, of_values

counts = arrays.arrays(float, st.tuples(st.integers(1, 4), st.integers(RECENT + 1, 20)), elements=st.integers(0, 10_000))


@given(counts, st.integers(1, 3), st.integers(0, 2**31))
def test_any_counts_give_finite_bits(y: FloatArray, k: int, seed: int) -> None:
    x = np.random.default_rng(seed).poisson(3.0, (*y.shape, k)).astype(float)
    found = of_counts(y, x)
    assert np.isfinite(found.bits).all()
    assert (found.bits >= 0.0).all()
    assert ((found.length >= 1) & (found.length <= RECENT)).all()
    assert (found.bits[~x[:, -RECENT:].any((1, 2))] == 0.0).all()  # nothing was heard


@given(counts, st.lists(st.floats(0.0, 1.0), min_size=1, max_size=3), st.integers(0, 10), st.sampled_from([None, 0.002]))
def test_parts_that_say_the_same_are_told_apart_by_nobody_and_do_no_harm(
    total: FloatArray, shares: list[float], power: int, prior: float | None
) -> None:
    """Busy services have millions of requests a window, and a fixed share of them for each of what logs follow from."""
    x = np.floor(total[:, :, None] * np.array(shares)) * 10.0**power
    for y in (np.zeros(total.shape), x[:, :, 0], total * 10.0**power):
        found = of_counts(y, x, prior)
        assert np.isfinite(found.bits).all()
        assert np.isfinite(found.expected).all()


def test_what_follows_from_a_busy_service_exactly_is_usual() -> None:
    total = np.full((1, 60), 1.5e7)
    parts = np.stack([total, 2.0 * total, 0.01 * total], axis=2)
    assert of_counts(0.03 * total, parts, None).bits.tolist() == [0.0]
    assert of_counts(np.zeros((1, 60)), parts, None).bits.tolist() == [0.0]
    rising = np.where(np.arange(60) >= 58, 0.3, 0.03) * total
    assert of_counts(rising, parts, None).bits.item() > 20.0


@given(
    arrays.arrays(
        float, st.tuples(st.integers(1, 3), st.integers(RECENT + 1, 30)), elements=st.floats(-1e9, 1e9) | st.just(np.nan)
    )
)
def test_any_values_give_finite_bits(values: FloatArray) -> None:
    found = of_values(values)
    assert np.isfinite(found.bits).all()
    assert np.isfinite(found.value).all()


def test_noise_is_rarely_far_from_itself() -> None:
    rng = np.random.default_rng(0)
    requests = rng.poisson(40.0, (2000, 60)).astype(float)
    assert (of_counts(rng.poisson(0.1 * requests).astype(float), requests[:, :, None]).bits >= 7.0).mean() < 0.02
    n = rng.poisson(30.0, (2000, 60)).astype(float)
    mean = rng.normal(5.0, 1.0 / np.sqrt(np.maximum(n, 1.0)))
    assert (of_means(mean, mean**2 + 1.0, n).bits >= 7.0).mean() < 0.02
    assert (of_values(rng.normal(50.0, 2.0, (2000, 60))).bits >= 7.0).mean() < 0.02


def test_incidents_of_the_past_hardly_move_what_is_usual() -> None:
    requests = np.full((1, 40, 1), 50.0)
    errors = np.ones((1, 40))
    errors[0, 5:20] = 45.0  # more than a third of the past
    errors[0, -2:] = 45.0
    found = of_counts(errors, requests, quantile=0.25)
    assert found.length.tolist() == [2]
    assert found.bits.item() > 15.0
    assert found.expected.item() < 3.0


def test_what_is_missing_is_below_what_is_expected() -> None:
    rng = np.random.default_rng(1)
    total, inner = rng.poisson(20.0, 40), rng.poisson(100.0, 40)
    logs = 3.0 * total + inner
    logs[-3:] = 0.8 * logs[-3:]
    found = of_counts(logs[None].astype(float), np.stack([total, inner], axis=1)[None].astype(float), None)
    assert found.sign.item() < 0
    assert found.bits.item() > 15.0


def test_a_level_must_go_beyond_what_it_did_within_the_hour() -> None:
    spiky = np.ones((2, 50))
    spiky[:, 10] = 5.0
    spiky[0, -1], spiky[1, -1] = 5.0, 40.0
    found = of_values(spiky)
    assert found.bits[0] < 7.0 < found.bits[1]


def test_a_level_that_was_hardly_seen_before_is_never_unusual() -> None:
    values = np.full((1, 30), np.nan)
    values[0, -7:] = [1.0, 1.0, 1.0, 1.0, 90.0, 90.0, 90.0]
    assert of_values(values).bits.tolist() == [0.0]
