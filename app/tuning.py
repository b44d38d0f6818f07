"""What the process asks of Python and the system for a service that runs for months: when to collect garbage, and open files.

`app.cli` settles the collector once a node has started. What it gains, and what was tried beside it and gains nothing, is in
`docs/operations.md`.
"""

from __future__ import annotations

import gc
import resource
from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["COLLECTOR", "let_open", "settled_collector"]

COLLECTOR = (50_000, 20, 50)
"""Allocations until the young are looked through, and how many such looks until the next two generations are.

Python's default of 700 looks through the young after every request or two. Nearly nothing of a request is in a cycle:
counting frees it. Measured: 10,000 is nearly as good, and off is no better than 50,000.
"""


@contextmanager
def settled_collector() -> Generator[None]:
    """Leave what exists out of every later collection, and collect seldom, until the block ends.

    What was loaded at the start (modules, rules, tables) lives as long as the process, and the collector would go
    through it again and again.

    Examples
    --------
    >>> before = gc.get_threshold()
    >>> with settled_collector():
    ...     gc.get_threshold()
    (50000, 20, 50)
    >>> gc.get_threshold() == before
    True
    """
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTOR)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def let_open(wanted: int) -> int:
    """Raise the number of files that the process may have open to what is wanted, or as far as the system lets it.

    Every connection is one, and usual shells begin with 1,024.

    Parameters
    ----------
    wanted : int
        Files, connections among them.

    Returns
    -------
    int
        How many there may be now.

    Examples
    --------
    >>> let_open(64) >= 64
    True
    """
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
    if now != resource.RLIM_INFINITY and allowed > now:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, most))
        return allowed
    return now
