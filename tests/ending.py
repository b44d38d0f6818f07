"""What a process of tests has started and must end: a worker of pytest-xdist may go without `atexit`, where a thread of it lingers."""

from __future__ import annotations

import atexit
from collections.abc import Callable

__all__ = ["at_end", "end_all"]

_ends: list[Callable[[], None]] = []


def at_end(end: Callable[[], None]) -> None:
    """Call something once when the tests are over, or at the end of the process where there are none."""
    _ends.append(end)
    atexit.register(end)


def end_all() -> None:
    """End everything, the newest first."""
    while _ends:
        end = _ends.pop()
        atexit.unregister(end)
        end()
