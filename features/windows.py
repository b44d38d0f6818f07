"""Counts of every series by window, in two grains: 60 x 1 tick and 60 x 5 ticks.

`add` gathers what was received during a tick, `advance` closes the tick: it returns what came in as an
`Increment` (the row of history) and applies it to the rings. Live code, replay and training all go
through `apply`, so they see the same windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from features.arrays import BoolArray, Float32Array, FloatArray, IntArray
from features.batch import channel
from features.gathering import WIDTH, Gathering
from features.planes import Planes, Rings
from features.rings import chronological

__all__ = ["AHEAD", "COARSE", "FINE", "SPAN", "WIDTH", "Increment", "Windows"]

FINE = 60
"""Closed windows of one tick that are kept."""

COARSE = 60
"""Windows of `SPAN` ticks that are kept, all older than the fine ones."""

SPAN = 5
"""Ticks of a coarse window."""

AHEAD = 3
"""Windows ahead of the last closed one that take data."""

_SLOTS = FINE + AHEAD + 1
_MAX = channel("duration_max_s")
_FOR_METERS = (channel("served"),)  # told apart before counts come here
_IN_FINE = (*_FOR_METERS, channel("duration_sum_s"), _MAX)  # nothing that lasts hours is made of them but the histogram
_ALL = slice(None)
_TIDY = 60  # guessed: ticks between two looks for planes that hold nothing any more


@dataclass(frozen=True, slots=True, eq=False)
class Increment:
    """What was received during one tick, by series and window.

    Parameters
    ----------
    tick : int
        Number of the tick at whose end it became known.
    rows, windows : IntArray, shape (r,)
        Row of the directory, and number of the window that the counts belong to.
    values : FloatArray, shape (r, WIDTH)
        Counts and histogram to add.
    """

    tick: int
    rows: IntArray
    windows: IntArray
    values: FloatArray


class Windows:
    """Rings of windows over all series.

    Parameters
    ----------
    lateness : int
        Ticks for which a closed window still takes data, at most 60.

    Examples
    --------
    >>> from features.batch import N_BUCKETS, N_CHANNELS
    >>> windows = Windows(lateness=5)
    >>> windows.columns.grow(1)
    >>> windows.begin(100)
    >>> counts, histogram = np.zeros((1, N_CHANNELS)), np.zeros((1, N_BUCKETS)); counts[0, 0] = 7
    >>> windows.add([0], np.array([0]), np.array([100]), counts, histogram)
    0
    >>> len(windows.advance(101).rows), float(windows.fine()[0, -1, 0])
    (1, 7.0)
    """

    def __init__(self, lateness: int = 5) -> None:
        self.lateness = min(lateness, FINE - 1)
        self.tick = -1
        self.columns = Rings(fine=Planes(WIDTH, _SLOTS, _MAX, _FOR_METERS), coarse=Planes(WIDTH, _SLOTS, _MAX, _IN_FINE))
        self._gathering = Gathering()

    def begin(self, tick: int) -> None:
        """Open the first window; later calls change nothing."""
        if self.tick < 0:
            self.tick = tick

    def add(self, rows: Sequence[int], places: IntArray, windows: IntArray, counts: FloatArray, histogram: FloatArray) -> int:
        """Gather counts until the tick ends.

        Parameters
        ----------
        rows : sequence of int
            Rows that `places` points into; groups of row -1 are left out.
        places, windows : IntArray, shape (g,)
            Where the counts belong: place of the row, and number of the window.
        counts, histogram : FloatArray, shapes (g, N_CHANNELS) and (g, N_BUCKETS)
            The counts.

        Returns
        -------
        int
            How many groups were refused as later than the lateness allows.
        """
        oldest, late = self.tick - self.lateness, 0
        if min(windows.tolist(), default=oldest) < oldest:
            kept = windows >= oldest
            late = int((~kept & (np.array(rows, np.int64)[places] >= 0)).sum())
            places, windows, counts, histogram = places[kept], windows[kept], counts[kept], histogram[kept]
        self._gathering.add(rows, places, windows, counts, histogram)
        return late

    def put(self, row: int, window: int, column: int, value: float) -> None:
        """Gather one value of a column that counts, unless it is too late."""
        if window >= self.tick - self.lateness:
            self._gathering.put(row, window, column, value)

    def advance(self, tick: int, whole: IntArray | None = None) -> Increment:
        """Close every window before `tick` and return what came in since the last call.

        Parameters
        ----------
        tick : int
            The tick that begins.
        whole : IntArray, shape (n,), optional
            For every row the row of its whole service, to which its counts belong too.
        """
        increment = self._gathered(tick, whole)
        self.apply(increment)
        return increment

    def apply(self, increment: Increment) -> None:
        """Add an increment and move the rings to its tick.

        What lies further ahead than `features.clock.place` lets through, or behind the coarse ring, is left out.
        """
        self.begin(increment.tick - 1)
        self.turn(increment.tick - 1)  # ticks may have been missed: their slots still hold what was there before
        age = self.tick - increment.windows
        buckets = increment.windows // SPAN
        kept = buckets > (self.tick - FINE - 1) // SPAN - COARSE
        self._put("fine", increment, (age >= -AHEAD) & (age <= FINE), increment.windows)
        self._put("coarse", increment, (age > FINE) & kept, buckets)
        self.turn(increment.tick)

    def turn(self, tick: int, rows: IntArray | slice = _ALL, since: int | None = None) -> None:
        """Move closed windows that fall out of the fine ring into the coarse one, and clear their slots.

        Parameters
        ----------
        tick : int
            The tick to move to; an earlier one changes nothing.
        rows : IntArray or slice
            Which rows; all by default.
        since : int, optional
            The tick at which the rows stand, where it is not that of the rings.
        """
        since = self.tick if since is None else since
        self.tick = max(tick, self.tick)
        fine, coarse = self.columns["fine"], self.columns["coarse"]
        some = None if isinstance(rows, slice) else np.isin(np.arange(len(fine)), rows)
        if tick - since >= (FINE + COARSE) * SPAN:  # nothing that is kept reaches that far back
            for slot in range(_SLOTS):
                fine.clear(slot, some)
                coarse.clear(slot, some)
            return
        for leaving in range(since - FINE, tick - FINE):
            if leaving % SPAN == 0:
                coarse.clear(leaving // SPAN % _SLOTS, some)
            fine.move(leaving % _SLOTS, coarse, leaving // SPAN % _SLOTS, some)
            if leaving % _TIDY == 0:
                fine.tidy()
                coarse.tidy()

    def fine(self, columns: slice = _ALL) -> Float32Array:
        """Return the last 60 closed windows, oldest first, shape (n, 60, WIDTH) or as many columns as asked for."""
        return self.recent(FINE, columns)

    def coarse(self, rows: IntArray | None = None, columns: slice = _ALL) -> Float32Array:
        """Return the 60 five-tick windows before the fine ones, oldest first, shape (n, 60, WIDTH), without sums and maxima of durations.

        Of all rows and columns or of some. The newest may still be filling: a fine window moves here when it is 60 ticks old.
        """
        return self.columns["coarse"].dense(self._before(), columns, rows)

    def recent(self, length: int, columns: slice = _ALL, rows: IntArray | None = None) -> Float32Array:
        """Return the last `length` closed windows, oldest first, shape (n, length, WIDTH), of the rows and columns asked for."""
        return self.columns["fine"].dense(chronological(self.tick - 1, length, _SLOTS), columns, rows)

    def channel(self, number: int, rows: slice = _ALL) -> FloatArray:
        """Return one column of the last 60 closed windows, oldest first, of a range of rows, shape (n, 60)."""
        fine, slots = self.columns["fine"], chronological(self.tick - 1, FINE, _SLOTS)
        return fine.dense(slots, slice(number, number + 1), np.arange(len(fine))[rows])[:, :, 0].astype(float)

    def silence(self, columns: Sequence[int]) -> IntArray:
        """Return how many windows closed since the last with a number in any of some columns, at most 60, shape (n,)."""
        return FINE - 1 - self.columns["fine"].newest(chronological(self.tick - 1, FINE, _SLOTS), columns)

    def sums(self, length: int, skip: int = 0) -> FloatArray:
        """Return the sums of all columns over the last closed windows but the newest `skip`, shape (n, WIDTH).

        For a length of 0 over all that is kept from before the fine windows.
        """
        if not length:
            return self.columns["coarse"].sums(self._before())
        return self.columns["fine"].sums(chronological(self.tick - 1 - skip, length, _SLOTS))

    def _before(self) -> IntArray:
        return chronological((self.tick - FINE - 1) // SPAN, COARSE, _SLOTS)

    def _gathered(self, tick: int, whole: IntArray | None) -> Increment:
        rows, windows, values = self._gathering.take()
        if whole is None or not len(rows):
            return Increment(tick, rows, windows, values)
        # An operation's counts are those of its whole service too; one row a (series, window), ordered.
        parts = np.flatnonzero(whole[rows] != rows)
        rows, windows = np.concatenate([rows, whole[rows[parts]]]), np.concatenate([windows, windows[parts]])
        values = np.concatenate([values, values[parts]])
        pairs, place = np.unique(np.stack([rows, windows]), axis=1, return_inverse=True)
        place = place.ravel()
        total = np.zeros((pairs.shape[1], WIDTH))
        np.add.at(total, place, values)
        total[:, _MAX] = 0.0
        np.maximum.at(total[:, _MAX], place, values[:, _MAX])
        return Increment(tick, pairs[0], pairs[1], total)

    def _put(self, grain: str, increment: Increment, chosen: BoolArray, places: IntArray) -> None:
        """Add the chosen rows of an increment to the slots of one ring."""
        self.columns[grain].add(increment.rows[chosen], places[chosen] % _SLOTS, increment.values[chosen])
