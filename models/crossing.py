"""When a forecast with bounds meets a limit, and how likely it is to.

`models.trend` gives forecasts, `app.trends` the limits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.arrays import FloatArray

__all__ = ["Crossing", "chance_beyond", "crossing", "first_at"]

_TENTH = float(np.log(10.0))


@dataclass(frozen=True, slots=True, eq=False)
class Crossing:
    """When limits will be met.

    Parameters
    ----------
    earliest_s, expected_s, latest_s : FloatArray, shape (n,)
        Seconds until the upper bound, the forecast and the lower bound are at the limit; 0 where they are now, NaN where they are not
        within the horizon.
    """

    earliest_s: FloatArray
    expected_s: FloatArray
    latest_s: FloatArray


def crossing(at_s: FloatArray, lower: FloatArray, middle: FloatArray, upper: FloatArray, limit: FloatArray) -> Crossing:
    """Return when bounds and forecast first meet a limit.

    Parameters
    ----------
    at_s : FloatArray, shape (k,)
        Seconds from now, ascending, the first 0.
    lower, middle, upper, limit : FloatArray, shape (n, k)
        At these times.

    Examples
    --------
    >>> met = crossing(np.array([0.0, 60.0]), np.array([[0.0, 1.0]]), np.array([[1.0, 4.0]]), np.array([[1.0, 9.0]]), np.full((1, 2), 3.0))
    >>> met.earliest_s.tolist(), met.expected_s.tolist(), met.latest_s.tolist()
    ([15.0], [40.0], [nan])
    """
    return Crossing(*(first_at(at_s, line - limit) for line in (upper, middle, lower)))


def first_at(at_s: FloatArray, over: FloatArray) -> FloatArray:
    """Return when a line through points is first at least 0, NaN where it never is, shape (n,).

    Examples
    --------
    >>> first_at(np.array([0.0, 10.0, 20.0]), np.array([[-1.0, -1.0, 1.0], [2.0, -1.0, -1.0], [-1.0, -1.0, -1.0]])).tolist()
    [15.0, 0.0, nan]
    """
    met = over >= 0.0
    place = met.argmax(1)
    row, before = np.arange(len(over)), np.maximum(place - 1, 0)
    rise = over[row, place] - over[row, before]
    share = np.divide(-over[row, before], rise, out=np.zeros(len(over)), where=(place > 0) & (rise > 0))
    found = at_s[before] + share * (at_s[place] - at_s[before])
    return np.where(met.any(1), np.where(place == 0, at_s[0], found), np.nan)


def chance_beyond(distance: FloatArray, lower: FloatArray, upper: FloatArray) -> FloatArray:
    """Return how likely an error is at least as large as a distance, where a twentieth lies beyond each of two bounds.

    Between and beyond the bounds errors are taken to fall off exponentially to both sides of the middle (Laplace): what begins suddenly
    is likelier than a normal distribution would have it.

    Parameters
    ----------
    distance, lower, upper : FloatArray, shape (n,)
        In one unit.

    Examples
    --------
    >>> chance_beyond(np.array([-1.0, 0.0, 1.0, 2.0]), np.full(4, -1.0), np.ones(4)).round(4).tolist()
    [0.95, 0.5, 0.05, 0.005]
    """
    middle, scale = (lower + upper) / 2.0, np.maximum((upper - lower) / 2.0 / _TENTH, 1e-9)
    half = 0.5 * np.exp(-np.abs(distance - middle) / scale)
    return np.where(distance >= middle, half, 1.0 - half)
