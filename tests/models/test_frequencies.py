"""Tails from frequencies: right in the long run, believed at first, extrapolated where nothing was seen."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models.frequencies import Frequencies, Scale


def scale(weight: float = 10.0, memory: int = 60_000, beyond: float = 0.0) -> Scale:
    return Scale(0.0, 10.0, 50, lambda s: np.exp(-s), weight, memory, beyond)


def taught(how: Scale, values: list[float]) -> Frequencies:
    seen = Frequencies(1, how)
    seen.columns.grow(1)
    for value in values:
        seen.learn(np.array([[value]]), np.array([True]))
    return seen


def test_before_anything_is_seen_the_belief_holds() -> None:
    assert np.allclose(taught(scale(), []).tail(np.array([[2.0]])), np.exp(-2.0))


def test_in_the_long_run_the_frequency_holds() -> None:
    rng = np.random.default_rng(0)
    values = rng.gamma(2.0, 1.0, 20_000)
    seen = taught(scale(), values.tolist())
    for at in (1.0, 3.0, 6.0):
        assert abs(float(seen.tail(np.array([[at]]))[0, 0]) - (values >= at).mean()) < 0.01


@given(st.lists(st.floats(0.0, 20.0), max_size=30), st.sampled_from([0.0, 0.05]))
@settings(max_examples=50, deadline=None)
def test_larger_is_never_likelier_and_tails_are_probabilities(values: list[float], beyond: float) -> None:
    seen = taught(scale(beyond=beyond), values)
    tails = [float(seen.tail(np.array([[s]]))[0, 0]) for s in np.linspace(0.0, 12.0, 61)]
    assert all(0.0 < tail <= 1.0 + 1e-12 for tail in tails)
    assert (np.diff(tails) <= 1e-9).all()


def test_beyond_what_was_seen_it_falls_off_as_before() -> None:
    rng = np.random.default_rng(1)
    seen = taught(scale(beyond=0.05), rng.exponential(1.0, 5000).tolist())
    for at in (4.0, 6.0, 8.0):
        assert abs(np.log(float(seen.tail(np.array([[at]]))[0, 0])) + at) < 0.25 * at


def test_rows_that_are_not_usual_are_not_counted_and_old_ones_fade() -> None:
    seen = Frequencies(1, scale(memory=8))
    seen.columns.grow(2)
    for _ in range(10):
        seen.learn(np.full((2, 1), 3.0), np.array([True, False]))
    assert seen.columns["reached"][:, 0, 0].tolist() == [6, 0]
