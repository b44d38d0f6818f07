"""The mixture that tells categories: shares, weights that are earned, and few incidents that move little."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from features.arrays import Float32Array, FloatArray
from features.errors import InvalidValue
from features.evidence import SOURCES
from features.facts import CATEGORIES
from models.categories import FLOOR, PRIOR, CategoryMixture, fit_mixture

SHAPE = (len(SOURCES), len(CATEGORIES))
NAMES = tuple(PRIOR.weights)


def evidence_of(category: np.ndarray, rights: dict[str, float], seed: int = 0) -> Float32Array:
    """Return counts in which each named source points at the category as often as it is right, else anywhere."""
    rng = np.random.default_rng(seed)
    counts = np.zeros((len(category), *SHAPE), np.float32)
    for name, right in rights.items():
        pointed = np.where(rng.random(len(category)) < right, category, rng.integers(0, len(CATEGORIES), len(category)))
        counts[np.arange(len(category)), SOURCES.index(name), pointed] = 5.0
    return counts


@given(npst.arrays(np.float32, (3, *SHAPE), elements=st.integers(0, 1000).map(float)), st.integers(0, 99))
def test_every_row_is_a_distribution(counts: Float32Array, seed: int) -> None:
    weights = np.random.default_rng(seed).dirichlet(np.ones(len(NAMES)))
    p = CategoryMixture(dict(zip(NAMES, weights.tolist(), strict=True))).distribution(counts)
    assert p.shape == (3, len(CATEGORIES))
    assert (p > 0).all()
    assert np.allclose(p.sum(axis=1), 1.0)


def test_where_nothing_speaks_every_category_is_as_likely() -> None:
    assert np.allclose(PRIOR.distribution(np.zeros((2, *SHAPE))), 1 / len(CATEGORIES))


def test_a_source_that_says_nothing_gives_its_weight_to_the_others() -> None:
    counts = evidence_of(np.array([3]), {"own": 1.0, "hour": 1.0})
    rest = 1.0 - PRIOR.weights["now"] - PRIOR.weights["tenant"]
    shared = {name: PRIOR.weights[name] / rest for name in ("own", "hour", FLOOR)}
    assert np.allclose(PRIOR.distribution(counts), CategoryMixture(shared).distribution(counts))


@given(st.sampled_from([name for name in NAMES if name != FLOOR]), st.integers(0, 99))
def test_the_source_that_tells_right_gets_the_weight(best: str, seed: int) -> None:
    category = np.random.default_rng(seed).integers(0, len(CATEGORIES), 400)
    rights = {name: 0.9 if name == best else 0.1 for name in NAMES if name != FLOOR}
    fitted = fit_mixture(PRIOR, evidence_of(category, rights, seed), category, np.ones(400))
    assert fitted.weights[best] > 0.7


@pytest.mark.parametrize(("n", "moved"), [(0, 1e-4), (1, 0.1)])
def test_few_incidents_leave_the_weights_near_the_prior(n: int, moved: float) -> None:
    category = np.arange(n)
    counts = evidence_of(category, {"hour": 1.0, "own": 0.0, "tenant": 0.0, "now": 0.0})
    fitted = fit_mixture(PRIOR, counts, category, np.ones(n))
    assert max(abs(fitted.weights[name] - PRIOR.weights[name]) for name in NAMES) <= moved


def test_rows_of_one_incident_count_once() -> None:
    category = np.array([0, 1, 2])
    counts = evidence_of(category, {"hour": 1.0, "own": 0.5})
    once = fit_mixture(PRIOR, counts, category, np.ones(3))
    often = fit_mixture(PRIOR, counts.repeat(60, axis=0), category.repeat(60), np.full(180, 1 / 60))
    assert np.allclose(list(once.weights.values()), list(often.weights.values()), atol=1e-4)


def test_no_other_weights_do_better() -> None:
    category = np.random.default_rng(5).integers(0, len(CATEGORIES), 60)
    counts = evidence_of(category, {"now": 0.6, "own": 0.4, "tenant": 0.2}, 5)
    counts[::2, SOURCES.index("now")] = 0.0

    def penalised(weights: FloatArray) -> float:
        p = CategoryMixture(dict(zip(NAMES, weights.tolist(), strict=True))).distribution(counts)
        told = np.log(p[np.arange(60), category]).sum()
        return float(told + 10.0 * sum(PRIOR.weights[name] * np.log(w) for name, w in zip(NAMES, weights, strict=True)))

    fitted = np.array(list(fit_mixture(PRIOR, counts, category, np.ones(60)).weights.values()))
    best = penalised(fitted)
    rng = np.random.default_rng(0)
    near = [0.95 * fitted + 0.05 * rng.dirichlet(np.ones(len(NAMES))) for _ in range(200)]
    far = [rng.dirichlet(np.ones(len(NAMES))) for _ in range(200)]
    assert best >= max(penalised(weights) for weights in (*near, *far)) - 1e-6


@pytest.mark.parametrize(
    "weights", [{"own": 1.0}, {"own": 0.5, FLOOR: 0.4}, {"own": 1.2, FLOOR: -0.2}, {"moon": 0.5, FLOOR: 0.5}]
)
def test_weights_that_are_no_shares_are_refused(weights: dict[str, float]) -> None:
    with pytest.raises(InvalidValue):
        CategoryMixture(weights)
