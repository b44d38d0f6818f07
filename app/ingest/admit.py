"""What is let in: the content type, the tenant, how many bytes, and which limit refused what was not.

`app.ingest.http` and `app.ingest.grpc_server` ask here before a body is decoded; `app.ingest.receive` for what
can only be known afterwards.
"""

from __future__ import annotations

import re
from threading import Lock
from typing import Self

from prometheus_client import Gauge

from app.ingest.census import TooManyRecords
from app.ingest.inflate import InflatedTooLarge
from app.ingest.signals import Encoding
from features.errors import BodyTooLarge, ForeshockError, InvalidValue, LogFull, Overloaded

__all__ = [
    "FallenBehind",
    "Hold",
    "Room",
    "RoomFull",
    "TenantRoomFull",
    "TooManyCalls",
    "UnknownContentType",
    "admit_encoding",
    "admit_lag",
    "admit_tenant",
    "limit_of",
]

_ENCODINGS: dict[str, Encoding] = {"application/x-protobuf": "protobuf", "application/json": "json"}

_TENANT = re.compile(r"[A-Za-z0-9_.\-]{1,128}")


class TooManyCalls(Overloaded):
    """More requests are under way than may be."""


class FallenBehind(Overloaded):
    """The log holds more than the worker will absorb soon."""


class RoomFull(Overloaded):
    """All requests together hold as many bytes as they may."""


class TenantRoomFull(Overloaded):
    """The requests of one tenant hold as many bytes as one tenant's may, while others have room."""


_LIMITS: dict[type[ForeshockError], str] = {
    InflatedTooLarge: "inflated_bytes",
    TooManyRecords: "records",
    BodyTooLarge: "body_bytes",
    TooManyCalls: "calls",
    FallenBehind: "lag",
    RoomFull: "in_flight_bytes",
    TenantRoomFull: "tenant_in_flight_bytes",
    LogFull: "log_size",
    Overloaded: "log_bytes",  # the log's bound of bytes that wait for it
}


def limit_of(error: ForeshockError) -> str:
    """Return which limit refused a request, as `foreshock_limited_total` names it; empty when none did.

    Examples
    --------
    >>> limit_of(FallenBehind("")), limit_of(BodyTooLarge("")), limit_of(InvalidValue(""))
    ('lag', 'body_bytes', '')
    """
    return _LIMITS.get(type(error), "")


class UnknownContentType(InvalidValue):
    """A body is neither protobuf nor JSON by its content type."""


def admit_encoding(content_type: str) -> Encoding:
    """Return how a body is written, by its media type; letters' case and parameters do not matter.

    Parameters
    ----------
    content_type : str
        The header, empty when absent.

    Returns
    -------
    {"protobuf", "json"}

    Raises
    ------
    UnknownContentType
        When it is another one.

    Examples
    --------
    >>> admit_encoding("APPLICATION/JSON; charset=utf-8")
    'json'
    """
    encoding = _ENCODINGS.get(content_type.partition(";")[0].strip().lower())
    if encoding is None:
        raise UnknownContentType(f"content type must be application/x-protobuf or application/json, got {content_type[:100]!r}")
    return encoding


def admit_tenant(tenant: str, default: str) -> str:
    """Return the tenant of a request.

    Parameters
    ----------
    tenant : str
        ``X-Scope-OrgID``, empty when absent.
    default : str
        The tenant of a request without it.

    Raises
    ------
    InvalidValue
        When it is not 1 to 128 letters, digits, ``_``, ``.`` or ``-``.

    Examples
    --------
    >>> admit_tenant("", "default"), admit_tenant("team-a", "default")
    ('default', 'team-a')
    """
    if not tenant:
        return default
    if not _TENANT.fullmatch(tenant):
        raise InvalidValue(f"X-Scope-OrgID must be 1 to 128 letters, digits, '_', '.' or '-', got {tenant[:100]!r}")
    return tenant


def admit_lag(lag: int, max_lag: int) -> None:
    """Refuse new requests while too much of what was taken waits for the worker.

    Parameters
    ----------
    lag : int
        Log messages that are not absorbed.
    max_lag : int
        The bound.

    Raises
    ------
    FallenBehind
        When there are more.
    """
    if lag > max_lag:
        raise FallenBehind(f"log messages not yet absorbed must be <= {max_lag}, got {lag}; send the request again")


class Room:
    """The bytes that all requests hold together, bounded, for all and for each tenant.

    Parameters
    ----------
    max_bytes : int
        The bound of all.
    gauge : prometheus_client.Gauge
        Shows how many are held.
    max_tenant_bytes : int, optional
        The bound of one tenant; that of all when absent.
    """

    def __init__(self, max_bytes: int, gauge: Gauge, max_tenant_bytes: int | None = None) -> None:
        self._max_bytes = max_bytes
        self._max_tenant_bytes = max_bytes if max_tenant_bytes is None else max_tenant_bytes
        self._lock = Lock()
        self._held = 0
        self._of_tenant: dict[str, int] = {}
        gauge.set_function(lambda: self._held)

    def hold(self, tenant: str = "") -> Hold:
        """Give a request its share, which returns when its context ends."""
        return Hold(self, tenant)

    def move(self, tenant: str, n_bytes: int) -> None:
        """Take bytes for a tenant, or give them back when negative.

        Raises
        ------
        RoomFull, TenantRoomFull
            When a bound would be passed; nothing was taken.
        """
        with self._lock:
            held, of_tenant = self._held + n_bytes, self._of_tenant.get(tenant, 0) + n_bytes
            if n_bytes > 0 and held > self._max_bytes:
                raise RoomFull(f"bytes in flight must be <= {self._max_bytes}, got {held}")
            if n_bytes > 0 and of_tenant > self._max_tenant_bytes:
                raise TenantRoomFull(f"bytes in flight of a tenant must be <= {self._max_tenant_bytes}, got {of_tenant}")
            self._held = held
            if of_tenant:
                self._of_tenant[tenant] = of_tenant
            else:
                self._of_tenant.pop(tenant, None)


class Hold:
    """The bytes that one request holds, until its context ends.

    Parameters
    ----------
    room : Room
        Whose bytes they are.
    tenant : str
        Who holds them.
    """

    __slots__ = ("_room", "_tenant", "n_bytes")

    def __init__(self, room: Room, tenant: str) -> None:
        self._room = room
        self._tenant = tenant
        self.n_bytes = 0

    def __enter__(self) -> Self:
        """Begin with nothing held."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give everything back."""
        self.release()

    def release(self) -> None:
        """Give everything back."""
        self._room.move(self._tenant, -self.n_bytes)
        self.n_bytes = 0

    def grow_to(self, n_bytes: int) -> None:
        """Hold at least so many bytes.

        Raises
        ------
        RoomFull, TenantRoomFull
            When there is no room.
        """
        if n_bytes > self.n_bytes:
            self._room.move(self._tenant, n_bytes - self.n_bytes)
            self.n_bytes = n_bytes
