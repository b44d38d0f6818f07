"""Calls about who may do what, and who did: tokens and the audit log, for tokens of the scope `admin`.

Each describes one route of the API and is a method of both clients.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TypedDict, Unpack

import pandas as pd

from app.api.token_schemas import DeedOut, MadeOut, TokenOut
from app.auth.principal import Scope
from app.client.exchange import Request, Steps, document
from app.client.methods import Method
from app.client.pages import listed

__all__ = ["Access", "DeedsWanted"]


class DeedsWanted(TypedDict, total=False):
    """Which deeds to list; all without any."""

    limit: int | None
    action: str | None
    principal: str | None
    tenant: str | None
    since: datetime | None
    """Deeds that were begun at this time or later."""
    until: datetime | None
    """Deeds that were begun before this time."""


class Access:
    """Calls about tokens and the audit log."""

    @Method
    @staticmethod
    def tokens(*, limit: int | None = None) -> Steps[pd.DataFrame]:
        """List tokens by name, those that ended lately too; none shows its secret."""
        return listed(TokenOut, "GET /api/v1/tokens", {"limit": limit})

    @Method
    @staticmethod
    def make_token(
        name: str, *, scopes: Sequence[Scope | str], tenants: Sequence[str], expires_at: datetime | None = None
    ) -> Steps[MadeOut]:
        """Make a token; its `token` is told this once, and the call is not made again where the answer was lost.

        Parameters
        ----------
        name : str
            One valid token has it at a time.
        scopes : sequence of str
            What it allows, such as ``read``; none of them holds another.
        tenants : sequence of str
            With whose data; ``*`` stands for all tenants.
        expires_at : datetime, optional
            Without, it is taken until it is revoked.
        """
        body = {"name": name, "scopes": [str(scope) for scope in scopes], "tenants": list(tenants), "expires_at": expires_at}
        return document(MadeOut, Request("POST /api/v1/tokens", body=body))

    @Method
    @staticmethod
    def rotate_token(name: str, *, overlap_s: float = 3600.0) -> Steps[MadeOut]:
        """Give a token a new secret, told this once; the one before is taken for `overlap_s` seconds more."""
        return document(MadeOut, Request("POST /api/v1/tokens/{name}:rotate", {"name": name}, body={"overlap_s": overlap_s}))

    @Method
    @staticmethod
    def revoke_token(name: str) -> Steps[TokenOut]:
        """End a token at once, on all nodes."""
        return document(TokenOut, Request("DELETE /api/v1/tokens/{name}", {"name": name}))

    @Method
    @staticmethod
    def deeds(**wanted: Unpack[DeedsWanted]) -> Steps[pd.DataFrame]:
        """List who changed what, newest first.

        Parameters
        ----------
        **wanted
            See `DeedsWanted`.
        """
        return listed(DeedOut, "GET /api/v1/audit", wanted)
