"""Each interval is served by the ensemble where it is better beyond doubt, by the best baseline elsewhere."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from training.bootstrap import blocks_of
from training.choice import BASELINES, choose, serves_of

N = 1440
HORIZONS = ["1h", "6h", "24h"]
BLOCKS = blocks_of(np.arange(N) * 60, block_s=7200, n_resamples=100, seed=0)
EVERYWHERE = np.ones((N, 3), dtype=bool)


def losses(**means: tuple[float, float, float]) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    even = (0.5, 0.5, 0.5)
    return {name: np.array(means.get(name, even)) + rng.normal(0, 0.02, (N, 3)) for name in ("ensemble", *BASELINES)}


def test_every_interval_is_chosen_for_itself() -> None:
    found = choose(losses(ensemble=(0.3, 0.5, 0.6), rate=(0.4, 0.5, 0.4)), EVERYWHERE, BLOCKS, HORIZONS)
    assert [choice.kind for choice in found.values()] == ["better", "even", "worse"]
    assert found["1h"].best == found["24h"].best == "rate"
    assert serves_of(found) == {"1h": "ensemble", "6h": found["6h"].best, "24h": "rate"}


@given(st.integers(0, 2), st.integers(0, 2**32 - 1))
def test_rows_that_are_not_at_risk_decide_nothing(interval: int, seed: int) -> None:
    at_risk = np.random.default_rng(seed).random((N, 3)) < 0.5
    plain = losses(ensemble=(0.48, 0.5, 0.52))
    wild = {name: np.where(at_risk, loss, 100.0 * (name == "ensemble")) for name, loss in plain.items()}
    horizon = HORIZONS[interval]
    one, other = (choose(each, at_risk, BLOCKS, HORIZONS)[horizon] for each in (plain, wild))
    assert one == other
    rows = at_risk[:, interval]
    assert np.isclose(one.difference, (plain["ensemble"] - plain[one.best])[rows, interval].mean())


def test_an_interval_without_rows_is_left_to_a_baseline() -> None:
    found = choose(losses(ensemble=(0.1, 0.1, 0.1)), np.array([[True, True, False]]).repeat(N, 0), BLOCKS, HORIZONS)
    assert found["24h"].kind == "unknown"
    assert found["24h"].serves in BASELINES
