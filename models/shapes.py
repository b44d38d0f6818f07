"""How new the course of the last few values is: its distance from the nearest of a few courses that were seen before.

`models.experts` asks it every tick, for all series at once.
"""

from __future__ import annotations

import numpy as np

from features.arrays import BoolArray, Float32Array, FloatArray
from features.rings import Columns

__all__ = ["LENGTH", "Shapes"]

LENGTH = 6
"""Values of a course."""

_KEPT = 8
"""Courses of a series. Twice as many, or all that ever were (nearest neighbours), score no better on the files for choosing."""

_NEAR = 0.75  # guessed: deviations within which a course counts as one that was seen
_FADE = 0.9995
_WEIGHT = 50.0  # guessed: a course is the mean of the last so many that were near it


class Shapes:
    """Courses that were seen, by series.

    Notes
    -----
    Online clustering with a fixed number of means: a course near the nearest is averaged into it, another takes the place of the one
    that was met least of late.

    References
    ----------
    Carpenter, Grossberg, Rosen (1991), Fuzzy ART, Neural Networks 4 (a category resonates, or a new one is made).

    Examples
    --------
    >>> shapes = Shapes()
    >>> shapes.columns.grow(1)
    >>> for tick in range(40):
    ...     shapes.learn(np.full((1, LENGTH), float(tick % 2), np.float32), np.array([1.0]), np.array([True]))
    >>> shapes.distance(np.full((1, LENGTH), 4.0, np.float32)).tolist()
    [3.0]
    """

    def __init__(self) -> None:
        self.columns = Columns(shapes=("f4", (_KEPT, LENGTH), np.inf), met=("f4", (_KEPT,), 0))

    def distance(self, course: Float32Array) -> FloatArray:
        """Return the mean absolute difference from the nearest course, infinite before any was seen, shape (n,)."""
        return self._distances(course).min(1).astype(np.float64)

    def learn(self, course: Float32Array, deviation: FloatArray, rows: BoolArray) -> None:
        """Remember courses.

        Parameters
        ----------
        course : Float32Array, shape (n, LENGTH)
            The last values.
        deviation : FloatArray, shape (n,)
            Mean absolute deviation of the series' values.
        rows : BoolArray, shape (n,)
            Which to learn.
        """
        shapes, met = self.columns["shapes"], self.columns["met"]
        apart = self._distances(course)
        row, nearest = np.arange(len(course)), apart.argmin(1)
        near = apart[row, nearest] <= _NEAR * deviation
        met[rows] *= _FADE
        place = np.where(near, nearest, met.argmin(1))
        row, place, near, course = row[rows], place[rows], near[rows], course[rows]
        weight = np.where(near, 1.0 / np.minimum(met[row, place] + 1.0, _WEIGHT), 1.0)[:, None]
        old = np.where(near[:, None], shapes[row, place], 0.0)
        shapes[row, place] = old + weight * (course - old)
        met[row, place] = np.where(near, met[row, place] + 1.0, 1.0)

    def _distances(self, course: Float32Array) -> Float32Array:
        apart = np.abs(self.columns["shapes"] - course[:, None, :])
        total = apart[..., 0].copy()
        for place in range(1, LENGTH):
            total += apart[..., place]
        total /= LENGTH
        return total
