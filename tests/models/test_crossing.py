"""Limits: in order, and as likely as errors let them be."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from features.arrays import FloatArray
from models.crossing import chance_beyond, crossing

AT_S = np.array([0.0, 300.0, 900.0, 3600.0])
LINES = st.lists(st.floats(-5, 5), min_size=4, max_size=4).map(lambda values: np.array([values]))


@given(LINES, LINES, st.floats(-5, 5))
def test_what_lies_higher_meets_a_limit_no_later(lower: FloatArray, more: FloatArray, limit: float) -> None:
    met = crossing(AT_S, lower, lower + np.abs(more), lower + 2 * np.abs(more), np.full((1, 4), limit))
    when = [float(np.nan_to_num(s[0], nan=np.inf)) for s in (met.earliest_s, met.expected_s, met.latest_s)]
    assert when == sorted(when)


def test_chances_are_those_of_the_bounds() -> None:
    errors = np.random.default_rng(0).laplace(0.3, 1.0, 200_000)
    lower, upper = (np.full(5, np.quantile(errors, q)) for q in (0.05, 0.95))
    at = np.array([-2.0, 0.0, 0.3, 2.0, 5.0])
    assert np.allclose(chance_beyond(at, lower, upper), (errors[:, None] >= at).mean(0), atol=0.004)
