"""Through which offset an absorbed part of the log may go: by its age, and earlier the fuller the log is.

`app.worker` asks after each checkpoint, for each partition; what the checkpoint has not passed is never among it.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

__all__ = ["Marker", "passed", "pressing"]

Marker = tuple[int, int]
"""A tick marker that a checkpoint has passed: unix seconds, offset."""

ROOMY, TIGHT = 0.5, 0.9
"""Fullness up to which age alone decides, and from which nothing absorbed is kept. Guessed: half of the log for what comes in between two
checkpoints, and while the worker stands still."""


def passed(markers: Sequence[Marker], retention_s: float, fullness: float) -> tuple[int, list[Marker]]:
    """Return the offset through which a partition's log may go, and the markers that are kept.

    Parameters
    ----------
    markers : sequence of Marker
        Oldest first; the newest is the one that the checkpoint stands at.
    retention_s : float
        Seconds before the newest marker for which entries are kept.
    fullness : float
        Of the log, as `Log.fullness` returns it.

    Returns
    -------
    offset : int
        0 where nothing may go.
    kept : list of Marker
        The newest one is always among them.

    Examples
    --------
    >>> passed([(0, 10), (60, 20), (120, 30)], 60.0, 0.2)
    (10, [(60, 20), (120, 30)])
    >>> passed([(0, 10), (60, 20), (120, 30)], 3600.0, 0.95)
    (30, [(120, 30)])
    """
    if not markers:
        return 0, []
    newest_s = markers[-1][0]
    by_age = sum(tick_s < newest_s - retention_s for tick_s, _ in markers)
    share = min(max((fullness - ROOMY) / (TIGHT - ROOMY), 0.0), 1.0)
    gone = max(by_age, ceil(share * len(markers)))
    return (markers[gone - 1][1] if gone else 0), list(markers[gone:] or markers[-1:])


def pressing(fullness: float) -> bool:
    """Return whether a checkpoint is worth it before its time: senders are refused soon, and only a checkpoint makes room.

    Examples
    --------
    >>> pressing(0.8), pressing(1.0)
    (False, True)
    """
    return fullness >= TIGHT
