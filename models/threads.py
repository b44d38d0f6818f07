"""How many threads a numeric library may take while members are fitted or asked.

`models.trees` and `models.linear` hold it to one: they run beside ingest and beside each other, and threads
that wait for each other at every split cost more than they give (measured on 2 busy cores: finding splits
took ten times as long with two threads as with one).
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import cast

import sklearn.ensemble
import sklearn.linear_model
from threadpoolctl import ThreadpoolController

__all__ = ["one_thread"]

_LOADED_BEFORE = (sklearn.ensemble, sklearn.linear_model)
"""The controller only knows libraries that are loaded when it is made."""

_CONTROLLER = ThreadpoolController()


def one_thread() -> AbstractContextManager[object]:
    """Return a context in which OpenMP and BLAS take one thread.

    Examples
    --------
    >>> with one_thread():
    ...     sum(range(4))
    6
    """
    return cast("AbstractContextManager[object]", _CONTROLLER.limit(limits=1))
