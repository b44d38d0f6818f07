"""What surprises a series every day at about the same time, and so is no anomaly: a nightly job, a morning's rush.

`models.judge` and `app.combinations` ask it about every window that they found surprising. The judge learns levels by the hour and keeps known incidents
out; a job that begins within an hour, or breaks the incident rule each night, would surprise it for ever.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from features.arrays import BoolArray, FloatArray, IntArray
from features.rings import Columns
from models.anomaly import ANOMALY

__all__ = ["REPEATS", "Routine"]

_Bits = NDArray[np.uint8]

_DAY_S, _SLOT_S = 86_400, 1_800
_SLOTS = _DAY_S // _SLOT_S

_DAYS_AGO = (1, 2, 3, 7)
REPEATS = 2
"""Days, of the last three and the same one last week, that make a routine. One would let yesterday's failure hide today's; of failures
at random times, one a day, two of these fall into the same hour once in a hundred days. A job of working days is known on Mondays."""

_USUAL_TAIL = 1e-2
"""Least tail of what is routine. Guessed, as for few errors: a job that a series does every night is never an emergency by its size."""

_ASKED = np.uint8(sum(1 << ago for ago in _DAYS_AGO))
_REACH = 1.5  # guessed: how much further than before a routine may go
_EVERY_BIT = 8  # days that a byte holds: today and seven before


class Routine:
    """Times of the day at which a series was surprising, and how far it went.

    Notes
    -----
    48 half hours of the day (UTC), each with a bit for today and for each of the seven days before, and the level that was reached, as
    the mean of the newest and what was reached before. A window belongs to its half hour and the nearer of the two beside it, so that a
    job may begin a quarter of an hour early or late.

    Examples
    --------
    >>> routine = Routine()
    >>> routine.columns.grow(1)
    >>> job, one = np.array([30.0]), np.ones(1)
    >>> [routine.advance(job, one, one * (86_400.0 * day + 7_200.0), job > 9.0).tolist() for day in range(4)]
    [[False], [False], [True], [True]]
    """

    def __init__(self) -> None:
        self.columns = Columns(
            days=("u1", (_SLOTS,), 0),  # bit k: k days ago
            level=("f2", (_SLOTS,), 0),
            day=("u4", (), 0),
            slot=("u1", (), 0),
            peak=("f4", (), np.nan),  # of the surprising windows in this half hour
        )

    def advance(self, value: FloatArray, expected: FloatArray, time_s: FloatArray, surprising: BoolArray) -> BoolArray:
        """Return which surprises are routine, then note them all.

        Parameters
        ----------
        value, expected : FloatArray, shape (n,)
            What was, and what was expected.
        time_s : FloatArray, shape (n,)
            When, in seconds since the epoch; it does not go back.
        surprising : BoolArray, shape (n,)
            Which values are unlikely enough for an anomaly. Those of known incidents belong to them: a job that breaks the incident
            rule every night is a routine all the same.
        """
        c = self.columns
        self._tell_time(time_s)
        routine = np.zeros(len(value), np.bool_)
        rows = np.flatnonzero(surprising)
        if len(rows):
            routine[rows] = self._known(rows, value[rows], expected[rows], time_s[rows])
            c["days"][rows, c["slot"][rows]] |= 1
            peak = c["peak"][rows].astype(float)
            further = ~(np.abs(peak - expected[rows]) >= np.abs(value[rows] - expected[rows]))
            c["peak"][rows] = np.where(further, value[rows], peak)
        return routine

    def excused(self, tail: FloatArray, value: FloatArray, expected: FloatArray, time_s: FloatArray) -> FloatArray:
        """Return tails of which none that is routine is an anomaly, then note all that are; parameters as of `advance`."""
        return np.where(self.advance(value, expected, time_s, tail <= ANOMALY), np.maximum(tail, _USUAL_TAIL), tail)

    def _known(self, rows: IntArray, value: FloatArray, expected: FloatArray, time_s: FloatArray) -> BoolArray:
        """Return where surprises came on enough of the days before, and went about as far."""
        c = self.columns
        slot = c["slot"][rows].astype(np.int64)
        step = np.where(time_s % _SLOT_S < _SLOT_S / 2, -1, 1)
        beside = (slot + step) % _SLOTS
        days = c["days"][rows, beside]
        of_day_before, of_day_after = (slot == 0) & (step < 0), (slot == _SLOTS - 1) & (step > 0)
        days = np.where(of_day_before, days >> 1, np.where(of_day_after, days << 1, days)) & _ASKED
        own = c["days"][rows, slot] & _ASKED
        enough = np.bitwise_count(own | days) >= REPEATS
        gone = np.maximum(
            np.where(own > 0, np.abs(_far(c["level"][rows, slot]) - expected), 0.0),
            np.where(days > 0, np.abs(_far(c["level"][rows, beside]) - expected), 0.0),
        )
        return enough & (np.abs(value - expected) <= _REACH * gone)

    def _tell_time(self, time_s: FloatArray) -> None:
        """End the half hour and the day of the rows for which another began."""
        c = self.columns
        day, slot = (time_s // _DAY_S).astype(np.int64), (time_s % _DAY_S // _SLOT_S).astype(np.uint8)
        passed = day - c["day"]
        rows = np.flatnonzero(((slot != c["slot"]) | (passed != 0)) & ~np.isnan(c["peak"]))
        if len(rows):
            before = c["slot"][rows]
            reached = _near(c["peak"][rows].astype(float))
            known = c["days"][rows, before] > 1
            c["level"][rows, before] = np.where(known, 0.5 * (c["level"][rows, before] + reached), reached)
            c["peak"][rows] = np.nan
        rows = np.flatnonzero(passed != 0)
        if len(rows):
            c["days"][rows] = _shifted(c["days"][rows], passed[rows])
            c["day"][rows] = day[rows]
        c["slot"][:] = slot


def _shifted(days: _Bits, passed: IntArray) -> _Bits:
    """Return bits of days as they are seen some days later."""
    return (days.astype(np.uint16) << np.clip(passed, 0, _EVERY_BIT).astype(np.uint16)[:, None]).astype(np.uint8)


def _near(value: FloatArray) -> FloatArray:
    """Return values as half precision can hold them, by their logarithm: in it millions are told to a hundredth."""
    return np.sign(value) * np.log1p(np.abs(value))


def _far(level: FloatArray) -> FloatArray:
    return np.sign(level) * np.expm1(np.abs(level.astype(float)))
