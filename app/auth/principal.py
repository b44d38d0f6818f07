"""Who asks, and what that lets them do.

A token or a login becomes a `Principal`; what guards a route asks it, and what writes down who did something reads its name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from features.errors import InvalidValue

__all__ = ["ADDRESS", "ANYONE", "EVERY_TENANT", "PLACE", "Principal", "Scope", "principal_of"]

PLACE = "foreshock.principal"
"""Where an ASGI scope holds its principal. Nothing that a client sends comes there; what stands before the guard of a route may put
one there that it knows by itself, as a login does."""

ADDRESS = "foreshock.address"
"""Where an ASGI scope holds the address of a client that a trusted proxy names; without it that of the connection counts."""

EVERY_TENANT = "*"
"""Stands among the tenants of a principal for all there are and will be; no tenant can have this name."""
_TENANT = re.compile(r"[A-Za-z0-9_.\-]{1,128}")


class Scope(StrEnum):
    """What a principal may do. None of them holds another: a token gets each by name."""

    INGEST = "ingest"
    """Send telemetry, over OTLP."""
    READ = "read"
    """Read what the service says."""
    FEEDBACK = "feedback"
    """Say what happened, and act on alerts and plans."""
    TRAIN = "train"
    """Ask for training runs and backtests, and choose which model serves."""
    ADMIN = "admin"
    """Tokens, the audit log, deletion: what concerns the service itself."""


@dataclass(frozen=True, slots=True)
class Principal:
    """One who asks, by the name of a token or of a login.

    Parameters
    ----------
    name : str
        As the audit log shows it; at least one character.
    scopes : frozenset of Scope
        What it may do.
    tenants : frozenset of str
        Whose data it may do that with, at least one; `EVERY_TENANT` among them stands for all.

    Raises
    ------
    InvalidValue
        If the name or the tenants are empty, or a tenant could not be one.

    Examples
    --------
    >>> shop = Principal("collector", frozenset({Scope.INGEST}), frozenset({"shop"}))
    >>> shop.may(Scope.INGEST), shop.may(Scope.READ), shop.reaches("shop"), shop.reaches("bank"), shop.only_tenant
    (True, False, True, False, 'shop')
    """

    name: str
    scopes: frozenset[Scope]
    tenants: frozenset[str]

    def __post_init__(self) -> None:
        if not self.name:
            raise InvalidValue("the name of a principal must have at least 1 character, got 0")
        if not self.tenants:
            raise InvalidValue(f"a principal must have at least 1 tenant, got 0; {EVERY_TENANT!r} stands for every one")
        for tenant in self.tenants - {EVERY_TENANT}:
            if not _TENANT.fullmatch(tenant) or not tenant.strip("."):  # dots alone have a meaning to paths
                bound = f"1 to 128 of A-Z a-z 0-9 _ . - and not dots alone, or {EVERY_TENANT!r}"
                raise InvalidValue(f"a tenant must be {bound}, got {tenant[:200]!r}")

    def may(self, scope: Scope) -> bool:
        """Say whether it has a scope."""
        return scope in self.scopes

    def reaches(self, tenant: str) -> bool:
        """Say whether a tenant's data is among what it may use."""
        return tenant in self.tenants or EVERY_TENANT in self.tenants

    @property
    def reaches_all(self) -> bool:
        """Whether it may use what no tenant owns alone."""
        return EVERY_TENANT in self.tenants

    @property
    def only_tenant(self) -> str | None:
        """The tenant that it means where it names none; None where it has several."""
        (first, *others) = self.tenants
        return None if others or first == EVERY_TENANT else first


ANYONE = Principal("anyone", frozenset(Scope), frozenset({EVERY_TENANT}))
"""Who asks where no token is demanded: whoever reaches the port, who may do everything."""


def principal_of(scope: Mapping[str, Any]) -> Principal:
    """Return who asks in an ASGI scope, `ANYONE` where no guard has looked.

    Examples
    --------
    >>> principal_of({}).name
    'anyone'
    """
    found = scope.get(PLACE)
    return found if isinstance(found, Principal) else ANYONE
