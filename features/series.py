"""The key of a series: who sent it, which service, which operation.

Keys come from `app.ingest`; `partition_of` sends everything of one service to one partition, so
that events of one service stay in order.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from features.errors import InvalidValue

__all__ = ["OTHER", "WHOLE", "SeriesKey", "partition_of"]

WHOLE = "*"
"""Operation name of the whole service."""

OTHER = "_other"
"""Operation name that takes what exceeds a service's limit of operations."""


@dataclass(frozen=True, slots=True, order=True)
class SeriesKey:
    """(tenant, service, operation).

    Parameters
    ----------
    tenant : str
        Leads every key, subject and table; series of two tenants never meet.
    service : str
        The OpenTelemetry ``service.name``.
    operation : str
        The name of an entry span, ``*`` for the whole service, or ``_other``.

    Raises
    ------
    InvalidValue
        When a part is empty.

    Examples
    --------
    >>> str(SeriesKey("default", "payment", "POST /charge"))
    'default/payment/POST /charge'
    """

    tenant: str
    service: str
    operation: str

    def __post_init__(self) -> None:
        if not (self.tenant and self.service and self.operation):
            raise InvalidValue(
                f"tenant, service and operation must not be empty, got {self.tenant!r}, {self.service!r}, {self.operation!r}"
            )

    def __str__(self) -> str:
        return f"{self.tenant}/{self.service}/{self.operation}"


def partition_of(tenant: str, name: str, n_partitions: int) -> int:
    """Return the partition of a service (or of a trace id) of a tenant.

    Parameters
    ----------
    tenant : str
        The tenant.
    name : str
        A service's name, or the hexadecimal trace id for the join of span ends.
    n_partitions : int
        How many partitions the data folder has, at least 1.

    Returns
    -------
    int
        In ``[0, n_partitions)``; the same on every machine and in every release.

    Examples
    --------
    >>> partition_of("default", "payment", 8) == partition_of("default", "payment", 8)
    True
    >>> partition_of("default", "payment", 1)
    0
    """
    digest = blake2b(f"{tenant}\0{name}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % n_partitions
