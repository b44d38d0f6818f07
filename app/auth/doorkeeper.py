"""Who shows a token, and for which tenant: asked for every request of REST, OTLP/HTTP and OTLP/gRPC.

It reads the watch of `app.auth.tokens`, so nothing is asked of the store for a request, and a token that was revoked anywhere is refused
here as soon as the watch knows.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from app.auth.principal import ANYONE, Principal, Scope
from app.auth.refusals import NotAllowed, NotAuthenticated
from app.auth.token import Token, Written, password_of, read_token
from app.auth.tokens import token_of
from app.store.contract import Watch
from features.errors import InvalidValue

__all__ = ["OPEN", "Doorkeeper", "require", "require_tenant", "sender_of", "tenant_for"]

logger = logging.getLogger(__name__)

_NONE_SHOWN = "a token must be shown, as Bearer or as the password of Basic, and there is none"
_NOT_VALID = "the token is not valid: it is mistyped, has ended, or was revoked"  # which of them is nobody's business


class Doorkeeper:
    """Finds out who asks.

    Parameters
    ----------
    tokens : Watch or None
        Of the bucket of tokens; None where none are demanded.
    now : callable
        The clock; aware UTC.
    """

    def __init__(self, tokens: Watch | None, now: Callable[[], datetime]) -> None:
        self._tokens = tokens
        self._now = now
        self._known: dict[str, tuple[int, Token, Principal]] = {}

    @property
    def demands(self) -> bool:
        """Whether a token must be shown."""
        return self._tokens is not None

    def principal(self, authorization: str | None) -> Principal:
        """Return who shows a header ``Authorization``.

        Raises
        ------
        NotAuthenticated
            When there is none, or it shows no valid token.
        """
        if self._tokens is None:
            return ANYONE
        if not authorization:
            raise NotAuthenticated(_NONE_SHOWN)
        password = password_of(authorization)
        written = None if password is None else read_token(password)
        holder = None if written is None else self.holder(written)
        if holder is None:
            raise NotAuthenticated(_NOT_VALID)
        return holder

    def holder(self, written: Written) -> Principal | None:
        """Return who holds a token, None where it is not taken now; sessions go by it, whose token was shown earlier."""
        found = None if self._tokens is None else self._kept(self._tokens, written.id)
        return found[1] if found is not None and found[0].accepts(written.sha256, self._now()) else None

    def _kept(self, tokens: Watch, own_id: str) -> tuple[Token, Principal] | None:
        document = tokens.get(own_id)
        if document is None:
            self._known.pop(own_id, None)
            return None
        known = self._known.get(own_id)
        if known is None or known[0] != document.revision:
            try:
                token = token_of(document)
            except InvalidValue as exc:  # of another version; it opens nothing
                logger.warning("%s", exc)
                return None
            known = self._known[own_id] = document.revision, token, token.principal
        return known[1], known[2]


def require(principal: Principal, scope: Scope) -> None:
    """Raise NotAllowed where a principal lacks a scope.

    Examples
    --------
    >>> require(ANYONE, Scope.ADMIN)
    """
    if not principal.may(scope):
        has = ", ".join(sorted(principal.scopes)) or "none"
        raise NotAllowed(f"the scope {scope.value!r} is needed for this, and {principal.name!r} has {has}")


def tenant_for(principal: Principal, named: str, default: str) -> str:
    """Return for which tenant a principal asks.

    Parameters
    ----------
    principal : Principal
        Who asks.
    named : str
        ``X-Scope-OrgID``, empty when absent.
    default : str
        Whose requests are that name none, where the principal reaches it and has more than one.

    Raises
    ------
    NotAllowed
        When the principal does not reach that tenant.

    Examples
    --------
    >>> shop = Principal("collector", frozenset({Scope.INGEST}), frozenset({"shop"}))
    >>> tenant_for(shop, "", "default"), tenant_for(ANYONE, "", "default"), tenant_for(ANYONE, "bank", "default")
    ('shop', 'default', 'bank')
    """
    tenant = named or principal.only_tenant or default
    if not principal.reaches(tenant):
        said = f"tenant {tenant[:200]!r}" if named else f"tenant {tenant!r}, which is meant where X-Scope-OrgID is missing"
        raise NotAllowed(f"{principal.name!r} may not use {said}")
    return tenant


def require_tenant(principal: Principal, tenant: str) -> None:
    """Raise NotAllowed where a principal does not reach a tenant that it named, or that was meant.

    Examples
    --------
    >>> require_tenant(ANYONE, "shop")
    """
    tenant_for(principal, tenant, tenant)


def sender_of(doorkeeper: Doorkeeper, authorization: str | None) -> Principal:
    """Return who sends telemetry.

    Raises
    ------
    NotAuthenticated, NotAllowed
        When it may not.
    """
    principal = doorkeeper.principal(authorization)
    require(principal, Scope.INGEST)
    return principal


OPEN = Doorkeeper(None, datetime.now)
"""Lets everybody in."""
