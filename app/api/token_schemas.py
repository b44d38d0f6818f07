"""The wire models of tokens and of the audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from app.api.bodies import In, UtcTime
from app.api.schemas import Out
from app.auth import Scope
from app.auth.tokens import MOST_OVERLAP_S

__all__ = ["DeedOut", "MadeOut", "RotateIn", "TokenIn", "TokenOut"]


class TokenIn(In):
    """A token to make."""

    name: Annotated[str, Field(min_length=1, max_length=128)]
    """One valid token has it at a time."""
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=len(Scope))]
    """What it allows; none of them holds another."""
    tenants: Annotated[list[str], Field(min_length=1, max_length=1000)]
    """With whose data; `*` stands for all tenants."""
    expires_at: UtcTime | None = None
    """When it ends; without, it is taken until it is revoked."""


class RotateIn(In):
    """How a token changes its secret."""

    overlap_s: Annotated[float, Field(ge=0, le=MOST_OVERLAP_S)] = 3600.0
    """Seconds for which the secret before is still taken."""


class TokenOut(Out):
    """A token, without what shows it: only a hash of that is kept."""

    id: str
    """What it holds after `fsk_`."""
    name: str
    scopes: list[Scope]
    tenants: list[str]
    created_at: datetime
    created_by: str
    """Name of the token or login that made it."""
    expires_at: datetime | None
    rotated_at: datetime | None
    revoked_at: datetime | None
    valid: bool
    """Whether it is taken now."""


class MadeOut(TokenOut):
    """A token that was made or rotated."""

    token: str
    """What shows it, told this once."""


class DeedOut(Out):
    """Something that somebody did or tried."""

    id: str
    at: datetime
    action: str
    """See the table in docs/security.md."""
    principal: str
    """Name of the token or login; `anyone` where none is demanded."""
    tenant: str
    """Whose data it is about; empty where it is of no tenant."""
    address: str
    """Where the request came from; empty for commands."""
    object: str
    """What it was done to."""
    outcome: str
    """The status that was answered, or what a command says; `begun` where nothing more is known."""
