"""A belief is a distribution: what is larger is less likely."""

from __future__ import annotations

import numpy as np
import pytest

from models.beliefs import Belief, Heavy, Light
from models.experts import BELIEFS, EXPERTS


@pytest.mark.parametrize("belief", [Heavy(0.5, 1.6), Heavy(0.1, 1.4, share=0.005), Light(0.3, 0.8)])
def test_what_is_larger_is_less_likely(belief: Belief) -> None:
    tail = belief.tail(np.array([0.0, 0.1, 1.0, 10.0]))
    assert (np.diff(tail) < 0.0).all()
    assert 0.0 < tail[-1] < tail[0] <= 1.0


def test_something_is_believed_of_every_expert() -> None:
    assert list(BELIEFS) == list(EXPERTS)
