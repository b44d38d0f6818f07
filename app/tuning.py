"""What the process asks of Python for a service that runs for months: when to look for cycles of garbage.

`app.cli` enters it once a node has started. What it gains, and what was tried beside it and gains nothing, is in
`docs/operations.md`.
"""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["COLLECTOR", "settled_collector"]

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
