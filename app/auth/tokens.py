"""The tokens that a store holds: made, listed, rotated and revoked.

The command line and the routes of `app.api.tokens` call it; `app.auth.doorkeeper` reads what is written here from its watch.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import msgspec

from app.auth.principal import Principal, Scope
from app.auth.refusals import NotAllowed
from app.auth.token import Secret, Token, read_token, token_id, write_token
from app.store.contract import Document, Documents
from features.errors import Conflict, InvalidValue

__all__ = ["BUCKET", "KEPT_S", "MOST_OVERLAP_S", "MOST_SECRETS", "Made", "NoSuchToken", "Tokens", "Wanted", "token_of"]

BUCKET = "members.tokens"
"""Their bucket. Below `members`, which nodes that only ingest follow too, and nothing else (`app.store.cluster`)."""

KEPT_S = 30 * 86_400.0
"""Seconds for which a token that was revoked or has ended stays in the list, a month; the audit log has it for longer. Guessed."""

MOST_OVERLAP_S = 30 * 86_400.0
"""Seconds for which the secret before may be taken after a rotation, a month at most. Guessed: longer is no rotation."""

MOST_SECRETS = 8
"""Secrets of one token that may be valid at a time. Guessed: one, or two while holders are changed."""


_OTHERS = re.compile(r"anyone|foreshock|(?:oidc:|command line,).*", re.IGNORECASE)
"""Who else is in the audit log and in the steps of models: who shows no token, the service, people who log in, and commands."""


class NoSuchToken(InvalidValue):
    """No token has this name, or none that the one who asks may see."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A token that somebody asks for.

    Parameters
    ----------
    name : str
        Of which there is no valid token.
    scopes : iterable of Scope
        At least one.
    tenants : iterable of str
        At least one.
    expires_at : datetime or None
        None for one that ends when it is revoked.
    """

    name: str
    scopes: Iterable[Scope]
    tenants: Iterable[str]
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """A token, and the text that shows it: this once, since only its hash is kept."""

    token: Token
    text: str


class Tokens:
    """The tokens of a store.

    Whoever is bound to tenants sees and changes only tokens that are bound to some of those, and can make no other.

    Parameters
    ----------
    documents : Documents
        Where they are kept.
    now : callable
        The clock; aware UTC.
    random : callable
        Returns so many bytes that nobody can guess.
    """

    def __init__(
        self, documents: Documents, now: Callable[[], datetime], random: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        self._documents = documents
        self._now = now
        self._random = random

    def add(self, wanted: Wanted, by: Principal) -> Made:
        """Make a token.

        Raises
        ------
        Conflict
            When a valid token has the name.
        InvalidValue
            When a value breaks its bound.
        NotAllowed
            When the tenants are not all among those of the one who asks.
        """
        if _OTHERS.fullmatch(wanted.name):
            raise InvalidValue(
                f"no token may be named as others are in the audit log ({_OTHERS.pattern}), got {wanted.name[:200]!r}"
            )
        own_id, now = token_id(wanted.name), self._now()
        text = write_token(own_id, self._random)
        scopes, tenants = tuple(sorted(set(wanted.scopes))), tuple(sorted(set(wanted.tenants)))
        token = Token(own_id, wanted.name, scopes, tenants, now, by.name, (_secret(text),), wanted.expires_at)
        if not _covers(by, token):
            raise NotAllowed(f"a token for {', '.join(tenants)} is made by one of these tenants, and {by.name!r} is not")
        found = self._documents.get(BUCKET, own_id)
        if found is not None and token_of(found).is_valid(now):
            raise Conflict(f"a valid token has the name {wanted.name!r}; revoke or rotate it, or take another name")
        self._write(token, 0 if found is None else found.revision)
        return Made(token, text)

    def all(self, by: Principal) -> list[Token]:
        """Return the tokens by name, those that ended lately too."""
        found = [token_of(document) for document in self._documents.items(BUCKET)]
        return sorted((token for token in found if _covers(by, token)), key=lambda token: token.name)

    def rotate(self, name: str, overlap_s: float, by: Principal) -> Made:
        """Give a token a new secret.

        Parameters
        ----------
        name : str
            Of the token.
        overlap_s : float
            Seconds for which the secret before is still taken, 0 to 30 days.
        by : Principal
            Who asks.

        Raises
        ------
        NoSuchToken
            When there is no valid one.
        InvalidValue
            When the overlap breaks its bound, or there are as many secrets as may be.
        """
        if not 0 <= overlap_s <= MOST_OVERLAP_S:
            raise InvalidValue(f"overlap_s must be in [0, {MOST_OVERLAP_S:g}], got {overlap_s:g}")
        document, token = self._find(name, by)
        now = self._now()
        until = now + timedelta(seconds=overlap_s)
        kept = [replace(one, until=until if one.until is None else min(one.until, until)) for one in token.secrets]
        kept = [one for one in kept if one.until is not None and now < one.until]
        if len(kept) >= MOST_SECRETS:
            raise InvalidValue(f"secrets of a token must be at most {MOST_SECRETS} at a time; rotate with an overlap of 0 s")
        text = write_token(token.id, self._random)
        rotated = replace(token, secrets=(_secret(text), *kept), rotated_at=now)
        self._write(rotated, document.revision)
        return Made(rotated, text)

    def revoke(self, name: str, by: Principal) -> Token:
        """End a token at once, on every node that follows the store.

        Raises
        ------
        NoSuchToken
            When there is no valid one.
        """
        document, token = self._find(name, by)
        revoked = replace(token, revoked_at=self._now(), secrets=())
        self._write(revoked, document.revision)
        return revoked

    def _write(self, token: Token, revision: int) -> None:
        """Write a token over a revision; one that ends stays in the list for a while after its end."""
        end, now = token.revoked_at or token.expires_at, self._now()
        ttl_s = None if end is None else max((end - now).total_seconds(), 0.0) + KEPT_S
        self._documents.swap(BUCKET, token.id, msgspec.json.encode(token), revision, ttl_s=ttl_s)

    def _find(self, name: str, by: Principal) -> tuple[Document, Token]:
        document = self._documents.get(BUCKET, token_id(name))
        if document is not None:
            token = token_of(document)
            if token.is_valid(self._now()) and _covers(by, token):
                return document, token
        raise NoSuchToken(f"no valid token has the name {name[:200]!r}")


def token_of(document: Document) -> Token:
    """Return the token that a document holds.

    Raises
    ------
    InvalidValue
        When it holds none.
    """
    try:
        return msgspec.json.decode(document.value, type=Token)
    except (msgspec.DecodeError, ValueError) as exc:
        raise InvalidValue(f"document {document.key} is no token: {exc}") from exc


def _secret(text: str) -> Secret:
    written = read_token(text)
    assert written is not None, "what was just written reads"
    return Secret(written.sha256)


def _covers(principal: Principal, token: Token) -> bool:
    return principal.reaches_all or all(principal.reaches(tenant) for tenant in token.tenants)
