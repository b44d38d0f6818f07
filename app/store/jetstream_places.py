"""Where partitions lie in the streams of a cluster, what an offset is, and what a process knows of entries and bytes without asking.

`app.store.jetstream_log` keeps one `Counts` a partition and one `Fill` a stream up to date.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

__all__ = ["GATHERED", "PLACES", "Counts", "Fill", "Layout", "offset_before", "sequence_above"]

PLACES = 12
"""Bits of an offset for the place within a message."""

GATHERED = 2**PLACES - 1
"""Entries of a message at most, and the largest place."""

_COUNTED = 2048  # messages of a partition that are counted, at least; guessed: seconds of a busy one, and little memory
_MARGIN = 0.25  # guessed: markers of days, and what other nodes append before they hear that it is full
_AROUND_BYTES = 160  # of subject, headers and the server's own, beside the data (measured: 150 to 170)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where partitions lie.

    Parameters
    ----------
    partitions, streams : int
        How many partitions the cluster was made with, and over how many streams they are spread.
    """

    partitions: int
    streams: int

    def stream(self, partition: int) -> str:
        """Return the stream that holds a partition."""
        return f"FS_LOG_{partition % self.streams}"

    def subject(self, partition: int) -> str:
        """Return the subject of a partition; the stream takes all subjects that begin alike."""
        return f"fs.log.{partition % self.streams}.{partition}"

    def share(self, n_bytes: int) -> int:
        """Return the even share of a stream that holds partitions.

        Examples
        --------
        >>> Layout(64, 8).share(800), Layout(2, 8).share(800)
        (100, 400)
        """
        return n_bytes // min(self.streams, self.partitions)


class Counts:
    """How many entries the newest messages of a partition hold: offsets are far apart, and say nothing of it."""

    def __init__(self, start: int = 0) -> None:
        self._ends, self._totals = [start], [0]  # nothing was counted before the first one

    def add(self, end: int) -> None:
        """Count a message by the offset of its last entry."""
        self._ends.append(end)
        self._totals.append(self._totals[-1] + (end & GATHERED) + 1)
        if len(self._ends) > 2 * _COUNTED:
            del self._ends[:_COUNTED]
            first, *_ = self._totals = self._totals[_COUNTED:]
            self._totals = [total - first for total in self._totals]

    def above(self, after: int) -> int:
        """Return how many entries lie above an offset; what is older than what was counted is taken for as dense."""
        if after < self._ends[0]:
            messages = (self._ends[-1] >> PLACES) - (self._ends[0] >> PLACES)
            return max(1, self._totals[-1] * ((self._ends[-1] >> PLACES) - (after >> PLACES)) // max(messages, 1))
        at = bisect_right(self._ends, after)  # the first message that is not read, or not wholly
        if at == len(self._ends):
            return 0
        begun = (after & GATHERED) + 1 if after >> PLACES == self._ends[at] >> PLACES else 0
        return self._totals[-1] - self._totals[at - 1] - begun


class Fill:
    """How full a stream is, as this process knows: asked now and then, and added to in between.

    Parameters
    ----------
    max_bytes : int
        How many it may hold; 0 for any number.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.n_bytes = 0
        self._whole = self._newest = 0  # up to where all messages are known, and where the stream ended when last looked at
        self._heard: set[int] = set()  # above that

    def add(self, n_bytes: int) -> None:
        """Count a message that somebody appended."""
        self.n_bytes += n_bytes + _AROUND_BYTES

    def hear(self, sequence: int) -> None:
        """Know of a message."""
        if sequence > self._whole:
            self._heard.add(sequence)

    def missed(self, newest: int) -> bool:
        """Return whether a message was there at the last look already that nobody told of until now.

        Parameters
        ----------
        newest : int
            Sequence at which the stream ends now. Of what came since the last look the word may be on its way.

        Examples
        --------
        >>> fill = Fill(0)
        >>> fill.hear(2)  # of the first one the word was lost
        >>> fill.missed(2), fill.missed(2)
        (False, True)
        """
        before, self._newest = self._newest, newest
        missed = sum(sequence <= before for sequence in self._heard) < before - self._whole
        if not missed:
            self.complete(before)
        return missed

    def complete(self, sequence: int) -> None:
        """Know of all messages up to a sequence."""
        self._whole = max(self._whole, sequence)
        self._heard = {heard for heard in self._heard if heard > self._whole}

    @property
    def share(self) -> float:
        """How much of what it may hold it does, 0 where there is no bound."""
        return self.n_bytes / self.max_bytes if self.max_bytes else 0.0

    @staticmethod
    def hard_bytes(max_bytes: int) -> int:
        """Return the bound that servers keep, -1 for none: above the one that this side keeps, so that markers always have room.

        Examples
        --------
        >>> Fill.hard_bytes(1000), Fill.hard_bytes(0)
        (1250, -1)
        """
        return int(max_bytes * (1.0 + _MARGIN)) if max_bytes else -1


def sequence_above(offset: int) -> int:
    """Return the first sequence of a stream all of whose entries lie above an offset."""
    return (offset >> PLACES) + 1


def offset_before(sequence: int) -> int:
    """Return the greatest offset that no entry of a message or of one after it has.

    Examples
    --------
    >>> offset_before(sequence_above(5000)) >= 5000
    True
    """
    return (sequence << PLACES) - 1
