"""Which series there are and in which row of every array they live.

`features.memory.Memory` asks for the rows of the names that a Batch brings; limits fold operations
beyond a service's quota into ``_other``, and refuse rows beyond the bound of all series or of a tenant's.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from features.arrays import BoolArray, IntArray
from features.errors import InvalidValue
from features.series import OTHER, WHOLE, SeriesKey

__all__ = ["Directory"]


class Directory:
    """Rows by key, in order of first appearance.

    Parameters
    ----------
    max_operations : int
        Operations of a service that get rows of their own.
    max_series, max_series_per_tenant : int
        Rows at most, of all tenants and of one. Rows are never given up: names that fell silent keep theirs until
        the process starts without a checkpoint.

    Examples
    --------
    >>> directory = Directory(max_operations=1, max_series=10)
    >>> directory.row("default", "cart", "GET /", partition=0), directory.row("default", "cart", "PUT /", partition=0)
    (1, 2)
    >>> [str(key) for key in directory.keys]
    ['default/cart/*', 'default/cart/GET /', 'default/cart/_other']
    """

    def __init__(self, max_operations: int = 64, max_series: int = 20_000, max_series_per_tenant: int = 10_000) -> None:
        bounds = max_operations, max_series, max_series_per_tenant
        if min(bounds) < 1:
            raise InvalidValue(f"max_operations, max_series and max_series_per_tenant must be >= 1, got {bounds}")
        self.max_operations = max_operations
        self.max_series = max_series
        self.max_series_per_tenant = max_series_per_tenant
        self.keys: list[SeriesKey] = []
        self.partition: IntArray = np.zeros(0, np.int64)
        self.whole: IntArray = np.zeros(0, np.int64)  # row of the whole service, for every row
        self.folded = 0
        self.refused = 0
        self._rows: dict[tuple[str, str, str], int] = {}
        self._operations: dict[tuple[str, str], int] = {}
        self._taken: Counter[str] = Counter()  # rows by tenant

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def is_whole(self) -> BoolArray:
        """Which rows are whole services, shape (n,)."""
        return self.whole == np.arange(len(self.keys))

    def find(self, tenant: str, service: str, operation: str = WHOLE) -> int | None:
        """Return the row of a key, None when there is none."""
        return self._rows.get((tenant, service, operation))

    def operations(self, tenant: str, service: str) -> list[str]:
        """Return the operations of a service that have rows."""
        return [k.operation for k in self.keys if k.tenant == tenant and k.service == service and k.operation != WHOLE]

    def row(self, tenant: str, service: str, operation: str, partition: int) -> int | None:
        """Return the row of a key, making it and its service's where there is room.

        Returns
        -------
        int or None
            The row of the operation, of ``_other`` past the quota, of the whole service past the bounds of
            series, or None where there is no room for the service either.
        """
        known = self._rows.get((tenant, service, operation))
        if known is not None:
            return known
        if (tenant, service, WHOLE) not in self._rows and not self._add(tenant, service, WHOLE, partition):
            return None
        if operation == WHOLE:
            return self._rows[tenant, service, WHOLE]
        if operation != OTHER and self._operations[tenant, service] >= self.max_operations:
            self.folded += 1
            return self.row(tenant, service, OTHER, partition)
        if not self._add(tenant, service, operation, partition):
            return self._rows[tenant, service, WHOLE]  # the service's own counts stay complete
        self._operations[tenant, service] += operation != OTHER
        return self._rows[tenant, service, operation]

    def restore(self, key: SeriesKey, partition: int) -> int:
        """Return the row of a key that a snapshot names; a quota that shrank since does not drop it.

        Raises
        ------
        InvalidValue
            When an operation comes before its service.
        """
        known = self._rows.get((key.tenant, key.service, key.operation))
        if known is not None:
            return known
        if key.operation != WHOLE and (key.tenant, key.service, WHOLE) not in self._rows:
            raise InvalidValue(f"{key} came before its whole service")
        self._append(key, partition)
        if key.operation not in (WHOLE, OTHER):
            self._operations[key.tenant, key.service] += 1
        return len(self.keys) - 1

    def _add(self, tenant: str, service: str, operation: str, partition: int) -> bool:
        if len(self.keys) >= self.max_series or self._taken[tenant] >= self.max_series_per_tenant:
            self.refused += 1
            return False
        self._append(SeriesKey(tenant, service, operation), partition)
        return True

    def _append(self, key: SeriesKey, partition: int) -> None:
        row = len(self.keys)
        self._rows[key.tenant, key.service, key.operation] = row
        self.keys.append(key)
        self._taken[key.tenant] += 1
        if key.operation == WHOLE:
            self._operations.setdefault((key.tenant, key.service), 0)
        self.partition = np.append(self.partition, partition)
        self.whole = np.append(self.whole, self._rows[key.tenant, key.service, WHOLE])
