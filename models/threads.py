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
from joblib import parallel_config
from threadpoolctl import ThreadpoolController

__all__ = ["by_itself", "one_thread"]

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


def by_itself() -> AbstractContextManager[object]:
    """Return a context in which nothing that scikit-learn does is spread by joblib, whatever backend is chosen around it.

    A forest adds its trees up in the order in which they answer, so the last bits of a sum would differ from run to run.

    Examples
    --------
    >>> from joblib import effective_n_jobs
    >>> with by_itself():
    ...     effective_n_jobs()
    1
    """
    return cast("AbstractContextManager[object]", parallel_config(backend="sequential", n_jobs=1))
