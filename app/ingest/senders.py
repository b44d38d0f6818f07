"""Who sends a request, whether they may, and by which token and address it counts where that is limited.

`app.ingest.http` and `app.ingest.grpc_server` ask before they read a body.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from app.auth.doorkeeper import sender_of
from app.auth.principal import Principal
from app.auth.refusals import NotAuthenticated
from app.edge.throttle import Throttle
from app.ingest.heads import Head, ordinary_head, read_shown
from app.ingest.receive import Receiver
from features.errors import ForeshockError
from features.values import hot_value

__all__ = ["COUNTED", "Counted", "Ordinary", "admit_sender", "charge_sender", "ordinary_request"]

COUNTED = "foreshock.counted"
"""Where an ASGI scope says by what a request counted before its body was collected."""

Counted: TypeAlias = tuple[str, str]
"""The token, empty where none is demanded, and the address that a request counts by."""


@hot_value()
class Ordinary:
    """An ordinary request: what its head says, and by what it counts; None where nothing is limited."""

    head: Head
    counted: Counted | None = None


def admit_sender(
    receiver: Receiver, shown: str | None, address_of: Callable[[Throttle], str], counted: Counted | None = None
) -> tuple[Principal, Counted | None]:
    """Return who sends, and by what the request counts; None where nothing is limited.

    Parameters
    ----------
    receiver : Receiver
        Knows the tokens and limits.
    shown : str or None
        The header ``Authorization``.
    address_of : callable
        Returns by which address the request counts.
    counted : Counted or None
        By what it counted already, when it came as an ordinary one; it does not count again.

    Raises
    ------
    NotAuthenticated, NotAllowed
        When it shows no token that may send.
    TooOften
        When its token or address comes too often, or shows too many wrong ones.
    """
    doorkeeper, throttle, logins = receiver.doorkeeper, receiver.throttle, receiver.logins
    try:
        sender = sender_of(doorkeeper, shown)
    except NotAuthenticated:
        if logins is not None and shown is not None:
            logins.failed_login(address_of(logins))
        raise
    if throttle is None or counted is not None:
        return sender, counted
    counted = _token_of(receiver, sender), address_of(throttle)
    throttle.admit(*counted)
    return sender, counted


def charge_sender(receiver: Receiver, counted: Counted | None, n_bytes: int) -> None:
    """Count the bytes of a body that was let in, where they are limited.

    Parameters
    ----------
    receiver : Receiver
        Knows the limits.
    counted : Counted or None
        From `admit_sender` or `ordinary_request`.
    n_bytes : int
        As received.
    """
    if counted is not None and (throttle := receiver.throttle) is not None:
        throttle.charge(*counted, n_bytes)


def ordinary_request(
    receiver: Receiver, default_tenant: str, path: str, pairs: Iterable[tuple[bytes, bytes]], client: Sequence[Any] | None
) -> Ordinary | None:
    """Return what the head of a POST says where nothing about it or its sender asks for a closer look, None otherwise.

    Parameters
    ----------
    receiver : Receiver
        Knows the tokens and limits.
    default_tenant : str
        The tenant of a request that names none.
    path : str
        Of the request.
    pairs : iterable of (name, value)
        The headers, names in lower case.
    client : sequence or None
        Address and port of the connection.
    """
    doorkeeper, throttle = receiver.doorkeeper, receiver.throttle
    if not doorkeeper.demands and throttle is None:
        head = ordinary_head(path, pairs, default_tenant)
        return None if head is None else Ordinary(head)
    pairs = list(pairs)
    try:
        sender = sender_of(doorkeeper, read_shown(pairs))
    except ForeshockError:
        return None  # it is refused on the ordinary way
    head = ordinary_head(path, pairs, sender.only_tenant or default_tenant)
    if head is None or not sender.reaches(head.tenant):
        return None
    if throttle is None:
        return Ordinary(head)
    address = throttle.of_connection(str(client[0]) if client else "", pairs)
    return Ordinary(head, (_token_of(receiver, sender), address))


def _token_of(receiver: Receiver, sender: Principal) -> str:
    return sender.name if receiver.doorkeeper.demands else ""
