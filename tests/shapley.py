"""Shapley values by their definition, over all coalitions of groups, for tests of explanations."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from math import factorial

import numpy as np

__all__ = ["enumerated"]


def enumerated(
    output: Callable[[np.ndarray], np.ndarray], x: np.ndarray, background: np.ndarray, groups: np.ndarray
) -> np.ndarray:
    """Return the Shapley values (n, outputs, n_groups) of a function from rows to outputs."""
    k = int(groups.max()) + 1
    n = len(x)

    def value(coalition: tuple[int, ...]) -> np.ndarray:
        return output(np.where(np.isin(groups, coalition), x, background).astype(np.float32)).reshape(n, -1)

    found = np.zeros((n, value(()).shape[1], k))
    for group in range(k):
        others = [other for other in range(k) if other != group]
        for size in range(k):
            weight = factorial(size) * factorial(k - size - 1) / factorial(k)
            for held in combinations(others, size):
                found[:, :, group] += weight * (value((*held, group)) - value(held))
    return found
