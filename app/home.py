"""Which node decides for a tenant whose services several nodes share: its home, the holder of the lowest partition in which one of them lies.

Nobody agrees on it: each node finds it in the bucket ``services`` and in what it holds. `app.supervision` and `app.learning` ask, so that one
node judges the tenant's models and tells of its learning. While partitions change hands two nodes may both be home for a moment, or none;
what a home does is safe to be done twice, and is done again.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import unquote

from app.cache.documents import tenant_key
from app.store.contract import Watch
from features.series import partition_of

__all__ = ["Home", "everywhere"]


def everywhere(_tenant: str) -> bool:
    """Say that this is every tenant's home, as where there is one node."""
    return True


class Home:
    """Says whether this node is a tenant's home.

    Parameters
    ----------
    services : Watch
        Of the bucket ``services``.
    n_partitions : int
        Of the log.
    holds : callable
        Whether this node holds a partition.
    """

    def __init__(self, services: Watch, n_partitions: int, holds: Callable[[int], bool]) -> None:
        self._services = services
        self._n_partitions = n_partitions
        self._holds = holds
        self._partitions: dict[str, dict[str, int]] = {}  # of known services by key, by tenant: hashing 10,000 takes 20 ms

    def __call__(self, tenant: str) -> bool:
        """Return whether this node is home; of a tenant without services nobody is."""
        prefix = tenant_key(tenant, "")
        before = self._partitions.get(tenant, {})
        # Made anew each time, so that services that are gone leave no trace.
        found = {d.key: before.get(d.key, -1) for d in self._services.items(prefix)}
        for key in [key for key, partition in found.items() if partition < 0]:
            found[key] = partition_of(tenant, unquote(key.removeprefix(prefix)), self._n_partitions)
        if not found:
            self._partitions.pop(tenant, None)
            return False
        self._partitions[tenant] = found
        return self._holds(min(found.values()))
