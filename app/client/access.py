"""Calls about tokens and the audit log, for who has the scope `admin`.

Each function describes one route of the API; `app.client.foreshock` makes them methods.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TypedDict, Unpack

import pandas as pd

from app.api.token_schemas import DeedOut, MadeOut, TokenOut
from app.client.exchange import Request, Steps, document
from app.client.pages import listed

__all__ = ["DeedsWanted", "audit", "create_token", "revoke_token", "rotate_token", "tokens"]

_HOUR_S = 3600.0


class DeedsWanted(TypedDict, total=False):
    """Which deeds to list; all that are kept without any."""

    limit: int | None
    action: str | None
    principal: str | None
    tenant: str | None
    since: datetime | None
    """Deeds that were begun at this time or later."""
    until: datetime | None
    """Deeds that were begun before this time."""


def tokens(*, limit: int | None = None) -> Steps[pd.DataFrame]:
    """List tokens by name, those that ended lately too; never what shows them."""
    return listed(TokenOut, "GET /api/v1/tokens", {}, limit)


def create_token(
    name: str, scopes: Sequence[str], tenants: Sequence[str], *, expires_at: datetime | None = None
) -> Steps[MadeOut]:
    """Make a token; what shows it is in the answer, this once.

    Sent again after an answer that was lost it is refused, since the name is taken then; `rotate_token` gives a new secret.

    Parameters
    ----------
    name : str
        Of which there is no valid token.
    scopes : sequence of str
        At least one of ``ingest``, ``read``, ``feedback``, ``train`` and ``admin``.
    tenants : sequence of str
        At least one; ``*`` stands for all.
    expires_at : datetime, optional
        Aware; without it the token is taken until it is revoked.
    """
    said = {"name": name, "scopes": list(scopes), "tenants": list(tenants), "expires_at": expires_at}
    return document(MadeOut, Request("POST /api/v1/tokens", body=said, harmless=True))


def rotate_token(name: str, *, overlap_s: float = _HOUR_S) -> Steps[MadeOut]:
    """Give a token a new secret; the one before is taken for `overlap_s` seconds more."""
    route = "POST /api/v1/tokens/{name}:rotate"
    return document(MadeOut, Request(route, {"name": name}, body={"overlap_s": overlap_s}, harmless=True))


def revoke_token(name: str) -> Steps[TokenOut]:
    """End a token at once, on all nodes."""
    return document(TokenOut, Request("DELETE /api/v1/tokens/{name}", {"name": name}))


def audit(**wanted: Unpack[DeedsWanted]) -> Steps[pd.DataFrame]:
    """List who changed what, newest first.

    Parameters
    ----------
    **wanted
        See `DeedsWanted`.
    """
    chosen = {name: value for name, value in wanted.items() if name != "limit"}
    return listed(DeedOut, "GET /api/v1/audit", chosen, wanted.get("limit"))
