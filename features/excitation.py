"""How errors of a series call for more: what is kept of every series' errors for as long as it lives, tick by tick.

`features.memory.Memory` feeds it what each tick received; the intensity features read it. Windows reach back for hours: a
service whose check fails once a day is empty in them, and here it is not. `features.intensity` does the same for data frames.
"""

from __future__ import annotations

import numpy as np

from features.arrays import FloatArray, IntArray
from features.batch import channel
from features.onsets import Pools
from features.rates import pooled, ratio
from features.rings import Columns
from features.windows import AHEAD, Increment

__all__ = ["AROUND_MIN", "DECAYS_MIN", "LONG_AGO_MIN", "SHOWN", "Excitation"]

DECAYS_MIN = (15.0, 60.0, 360.0, 1440.0, 10_080.0)
"""Time constants in minutes of the decayed sums of events."""

AROUND_MIN = DECAYS_MIN[:3]
"""Those of the events of others."""

SHOWN = (1, 2, 3, 5)
"""Which of the last events are told of, counted from the newest."""

LONG_AGO_MIN = 28 * 1440.0
"""Minutes after which longer is no more; guessed."""

_FAILURES = [channel("errors"), channel("failed")]
_LAST = max(SHOWN)
_GAP_FADE = 0.9  # guessed: of gaps the last ten count
_POISSON_GAPS = 2.0  # guessed: gaps after which what they say of their spread weighs as much as Poisson's 1
_BORROW_HOURS = 24.0 * 7  # guessed: a series with a week of history weighs as much as what it borrows
_UNSEEN = 0.1  # guessed: an intensity is at most ten times what was seen
_FEW = 5.0  # guessed: events of which a history is half of one


class Excitation:
    """Events of all series: windows with an error or a failed request.

    Parameters
    ----------
    tick_s : int
        Seconds of a window.

    Notes
    -----
    An event weighs the logarithm of one more than its failures, so that a burst is more than an error and not a hundred times
    as much; what comes late to a window that is an event already adds a weight of its own. A failure that is both an error and a
    failed request counts once, and so do services that tell only of one of them. What is received counts from the tick of its
    receipt on, at the age of its window.

    Decayed sums stand as of the newest event of their series, and age when they are read. So what a tick does depends on its
    events alone: missed ticks, and rows restored from an earlier tick than others, need no care.

    References
    ----------
    Hawkes (1971), Spectra of some self-exciting and mutually exciting point processes, Biometrika 58.
    Ogata (1981), On Lewis' simulation method for point processes, IEEE Transactions on Information Theory 27 (the recursion).

    Examples
    --------
    >>> from features.windows import WIDTH
    >>> excitation = Excitation()
    >>> excitation.columns.grow(2)
    >>> values = np.zeros((1, WIDTH)); values[0, channel("errors")] = 1
    >>> excitation.advance(Increment(101, np.array([1]), np.array([100]), values))
    >>> excitation.decayed(115)[:, 0].round(3).tolist(), excitation.since(115)[:, 0].tolist()
    ([0.0, 0.255], [40320.0, 15.0])
    """

    def __init__(self, tick_s: int = 60) -> None:
        self.tick_s = tick_s
        self.columns = Columns(
            decayed=("f4", (len(DECAYS_MIN),), 0),
            last=("i4", (_LAST,), -1),  # windows, newest first
            gaps=("f4", (3,), 0),  # faded number, sum and sum of squares of minutes
            events=("u4", (), 0),
            ticks=("u4", (), 0),  # seen
        )

    def advance(self, increment: Increment) -> None:
        """Add what was received during a tick.

        Parameters
        ----------
        increment : Increment
            Of the tick; windows too far ahead are left out, as in `features.windows.Windows`.
        """
        self.columns["ticks"][:] += 1
        failures = increment.values[:, _FAILURES].max(1)
        kept = (failures > 0) & (increment.windows < increment.tick + AHEAD)
        rows, windows, failures = increment.rows[kept], increment.windows[kept], failures[kept]
        for window in np.unique(windows).tolist():  # one or two, and never more than the lateness allows
            at = windows == window
            sums = np.bincount(rows[at], failures[at])
            hit = np.flatnonzero(sums)
            self._add(hit, window, np.log1p(sums[hit]))

    def decayed(self, window: int) -> FloatArray:
        """Return the decayed sums of weights at a window, shape (n, len(DECAYS_MIN))."""
        c = self.columns
        return c["decayed"] * self._fade(self._minutes(c["last"][:, :1], window))

    def intensity(self, window: int) -> FloatArray:
        """Return the decayed sums as an old series would have them at its rate so far, shape (n, len(DECAYS_MIN)).

        A sum over a week grows for a week, whatever the rate. It is divided by the share of it that was seen, and a tenth more,
        so that the first error of a young series is no storm.
        """
        minutes = self.columns["ticks"][:, None] * (self.tick_s / 60.0)
        return self.decayed(window) / (1.0 - self._fade(minutes) + _UNSEEN)

    def since(self, window: int) -> FloatArray:
        """Return minutes since the last events of `SHOWN`, at most `LONG_AGO_MIN`, shape (n, len(SHOWN))."""
        last = self.columns["last"][:, [k - 1 for k in SHOWN]]
        return np.where(last >= 0, np.minimum(self._minutes(last, window), LONG_AGO_MIN), LONG_AGO_MIN)

    def gaps(self, usual_min: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the mean of the minutes between events, and their deviation in units of it.

        Parameters
        ----------
        usual_min : FloatArray, shape (n,)
            The gap to expect before any is seen; it weighs as much as one. Of the deviation 1 is expected, a Poisson process's.
        """
        number, total, squares = self.columns["gaps"].astype(float).T
        own = ratio(total, number)
        spread = ratio(np.sqrt(np.maximum(ratio(squares, number) - own**2, 0.0)), own)
        return (total + usual_min) / (number + 1.0), (number * spread + _POISSON_GAPS) / (number + _POISSON_GAPS)

    def familiarity(self) -> FloatArray:
        """Return how much of a history a series' events are, in [0, 1), shape (n,).

        The number of events itself only ever grows, and what a model learned of it would hold for no later row.
        """
        events = self.columns["events"].astype(float)
        return events / (events + _FEW)

    def rates(self, pools: Pools) -> FloatArray:
        """Return events per hour, pooled over service and tenant, shape (n,)."""
        c = self.columns
        hours = c["ticks"] * (self.tick_s / 3600.0)
        beyond = pools.beyond and pools.beyond.events
        return pooled(c["events"].astype(float), hours, (pools.tenant, pools.whole), _BORROW_HOURS, beyond)[1]

    def around(self, window: int, pools: Pools) -> tuple[FloatArray, FloatArray]:
        """Return the intensities of those around a series, shape (n, len(AROUND_MIN)) each.

        Parameters
        ----------
        window : int
            When.
        pools : Pools
            Who belongs together.

        Returns
        -------
        beside : FloatArray
            Of the other operations of the service; of a whole service, of all its operations.
        beyond : FloatArray
            Of the tenant's other services.
        """
        own = self.intensity(window)[:, : len(AROUND_MIN)]
        is_part = (pools.whole != np.arange(len(own)))[:, None]
        of_parts = _sums(np.where(is_part, own, 0.0), pools.whole)
        of_services = _sums(np.where(is_part, 0.0, own), pools.tenant)
        if pools.beyond is not None:
            of_services[: len(pools.beyond.values)] += pools.beyond.intensity[: len(of_services)]
        beside, beyond = of_parts[pools.whole] - np.where(is_part, own, 0.0), of_services[pools.tenant] - own[pools.whole]
        return np.maximum(beside, 0.0), np.maximum(beyond, 0.0)

    def _add(self, rows: IntArray, window: int, weight: FloatArray) -> None:
        """Add the failures of one window to rows that differ from each other."""
        c = self.columns
        last = c["last"][rows]
        newest = last[:, 0]
        later = window > newest
        apart = np.where(newest >= 0, np.abs(window - newest), 0) * (self.tick_s / 60.0)
        fade = self._fade(apart[:, None])
        old, new = c["decayed"][rows], weight[:, None]
        c["decayed"][rows] = np.where(later[:, None], old * fade + new, old + new * fade)
        following = rows[later & (newest >= 0)]
        gap = np.minimum(apart[later & (newest >= 0)], LONG_AGO_MIN)
        c["gaps"][following] = c["gaps"][following] * _GAP_FADE + np.stack([np.ones_like(gap), gap, gap**2], axis=1)
        # Of what is older than the last that are kept nobody knows whether it was an event before: a series with so many has enough.
        fresh = (window > last[:, -1]) & (last != window).all(1)
        last[fresh, -1] = window
        c["last"][rows] = np.sort(last, axis=1)[:, ::-1]
        c["events"][rows[fresh]] += 1

    def _minutes(self, last: IntArray, window: int) -> FloatArray:
        """Return how long ago windows were; those ahead are now."""
        return np.maximum(window - last, 0) * (self.tick_s / 60.0)

    def _fade(self, minutes: FloatArray) -> FloatArray:
        return np.exp(-minutes / np.array(DECAYS_MIN))


def _sums(values: FloatArray, group: IntArray) -> FloatArray:
    """Return the sums of columns by group, shape (n, k)."""
    return np.stack([np.bincount(group, column, len(group)) for column in values.T], axis=1).astype(float)
