"""What is published of a measure's trend: `models.trend` in numbers that people read, a row of them for each series.

`app.trends` gives outlooks and limits as arrays; `app.cache.trend_records` has the order of the numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app.cache.trend_records import POINT, SINGLE
from features.arrays import FloatArray
from models.bounds import NORMAL
from models.crossing import crossing
from models.trend import Outlook

__all__ = ["Told", "measure_rows", "rounded"]

_DIGITS = 4
_HOUR_MIN = 60.0


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """What is said of one measure of some rows, in the measure's unit.

    Parameters
    ----------
    outlook : Outlook
        Level, slope and forecasts.
    limit : FloatArray, shape (m, 1 + n_horizons)
        What is too much now and at every horizon.
    probability : FloatArray, shape (m,)
        That the limit is met within the last horizon.
    any_hour : FloatArray, shape (m,)
        What is usual over all hours.
    """

    outlook: Outlook
    limit: FloatArray
    probability: FloatArray
    any_hour: FloatArray


def measure_rows(told: Told, tick_s: int, in_s: FloatArray, unit: float) -> FloatArray:
    """Return the numbers of each row, NaN where there is none, shape (m, len(SINGLE) + n_horizons * len(POINT)).

    Parameters
    ----------
    told : Told
        What is said.
    tick_s : int
        Seconds of a tick, in which changes are dated.
    in_s : FloatArray, shape (n_horizons,)
        Seconds from now of every horizon.
    unit : float
        What values are multiplied by.
    """
    said, reach = told.outlook, NORMAL * told.outlook.error
    met = crossing(np.array([0.0, *in_s]), said.lower, said.middle, said.upper, told.limit)
    changed = said.change.ago >= 0
    values = [said.middle[:, 0], said.usual[:, 0], told.any_hour, told.limit[:, 0]]
    slopes = [_HOUR_MIN * one for one in (said.slope, said.slope - reach, said.slope + reach)]
    levels = [np.where(changed, level, np.nan) for level in (said.change.before, said.change.after)]
    ago_s = np.where(changed, said.change.ago * float(tick_s), np.nan)
    dates = [np.round(s) for s in (met.earliest_s, met.expected_s, met.latest_s)]
    single = [*(rounded(one * unit) for one in (*values, *slopes)), ago_s, *(rounded(one * unit) for one in levels)]
    single = np.stack([*single, rounded(told.probability), *dates], axis=1)
    curves = np.stack([said.middle, said.lower, said.upper, said.usual, told.limit], axis=2)[:, 1:]
    points = np.empty((*curves.shape[:2], len(POINT)))
    points[:, :, 0], points[:, :, 1:] = in_s, rounded(curves * unit)
    assert single.shape[1] == len(SINGLE)
    return np.concatenate([single, points.reshape(len(points), len(in_s) * len(POINT))], axis=1)


def rounded(values: FloatArray) -> FloatArray:
    """Return values with four significant digits: documents are many.

    Examples
    --------
    >>> rounded(np.array([0.0, 1234567.0, -0.000123456])).tolist()
    [0.0, 1235000.0, -0.0001235]
    """
    size = np.floor(np.log10(np.maximum(np.abs(values), 1e-12)))
    places = _DIGITS - 1 - size
    unit = 10.0 ** np.abs(places)
    return np.where(places >= 0, np.round(values * unit) / unit, np.round(values / unit) * unit)
