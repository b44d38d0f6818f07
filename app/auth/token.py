"""A token as it is kept, and as the one who holds it shows it.

`app.auth.tokens` makes and changes them, `app.auth.doorkeeper` looks for the one that a request shows. What is shown is
``fsk_``, the id and 256 random bits; what is kept is its SHA-256. A slow hash, as passwords need, would add nothing: nobody
guesses 256 bits however fast the hash is, and every request would pay for it (RFC 6819, 5.1.4.1.3 asks for one or the other).
"""

from __future__ import annotations

import binascii
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from hmac import compare_digest

from app.auth.principal import Principal, Scope
from features.errors import InvalidValue

__all__ = ["MARK", "Secret", "Token", "Written", "password_of", "read_token", "token_id", "write_token"]

MARK = "fsk_"
"""What every token begins with, so that scanners of code and logs find one that got out."""

SECRET_BYTES = 32
_ID_CHARS = 12
_MAX_NAME_CHARS = 128


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret of a token by its hash, and until when it is taken; None for as long as the token."""

    sha256: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it is kept.

    Parameters
    ----------
    id : str
        From `token_id`.
    name : str
        1 to 128 printable characters; one token has it at a time.
    scopes : tuple of Scope
        At least one.
    tenants : tuple of str
        At least one; see `Principal`.
    created_at : datetime
        Aware UTC.
    created_by : str
        The principal that made it.
    secrets : tuple of Secret
        The newest first; the others of rotations.
    expires_at, rotated_at, revoked_at : datetime or None
        When it ends or ended, and when its secret was last changed.

    Raises
    ------
    InvalidValue
        When a value breaks its bound.
    """

    id: str
    name: str
    scopes: tuple[Scope, ...]
    tenants: tuple[str, ...]
    created_at: datetime
    created_by: str
    secrets: tuple[Secret, ...]
    expires_at: datetime | None = None
    rotated_at: datetime | None = None
    revoked_at: datetime | None = None

    def __post_init__(self) -> None:
        if not 1 <= len(self.name) <= _MAX_NAME_CHARS or not self.name.isprintable() or self.name != self.name.strip():
            bound = f"1 to {_MAX_NAME_CHARS} printable characters without space at its ends"
            raise InvalidValue(f"the name of a token must be {bound}, got {self.name[:200]!r}")
        if not self.scopes:
            raise InvalidValue(f"a token must have at least 1 scope of {', '.join(Scope)}, got 0")
        self.principal  # noqa: B018 - which checks the tenants
        if self.expires_at is not None and self.expires_at <= self.created_at:
            now, end = self.created_at.isoformat(), self.expires_at.isoformat()
            raise InvalidValue(f"a token must expire after it is made at {now}, got {end}")

    @property
    def principal(self) -> Principal:
        """Who shows it."""
        return Principal(self.name, frozenset(self.scopes), frozenset(self.tenants))

    def is_valid(self, now: datetime) -> bool:
        """Say whether it has neither ended nor been revoked."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def accepts(self, digest: str, now: datetime) -> bool:
        """Say whether a secret with this hash opens; all are compared, each in constant time."""
        matches = [compare_digest(one.sha256, digest) and (one.until is None or now < one.until) for one in self.secrets]
        return any(matches) and self.is_valid(now)


@dataclass(frozen=True, slots=True)
class Written:
    """What a token says of itself: its id, and the hash of the whole."""

    id: str
    sha256: str


def token_id(name: str) -> str:
    """Return the id of the token with a name, so that the store lets a name stand for one token only.

    Examples
    --------
    >>> token_id("collector")
    '0736fd5b7cc7'
    """
    return sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_ID_CHARS]


def write_token(own_id: str, random: Callable[[int], bytes]) -> str:
    """Return a new token, to be shown once.

    Parameters
    ----------
    own_id : str
        From `token_id`.
    random : callable
        Returns so many bytes that nobody can guess, as `secrets.token_bytes` does.

    Examples
    --------
    >>> write_token("0736fd5b7cc7", bytes)
    'fsk_0736fd5b7cc7_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'
    """
    return f"{MARK}{own_id}_{urlsafe_b64encode(random(SECRET_BYTES)).rstrip(b'=').decode()}"


def read_token(text: str) -> Written | None:
    """Read a token that was shown, None where it cannot be one.

    Examples
    --------
    >>> read_token("fsk_0736fd5b7cc7_AAAA").id
    '0736fd5b7cc7'
    >>> read_token("hunter2")
    """
    own_id = text[len(MARK) : len(MARK) + _ID_CHARS]
    if not text.startswith(MARK) or text[len(MARK) + _ID_CHARS :][:1] != "_":
        return None
    return Written(own_id, sha256(text.encode("utf-8", "surrogatepass")).hexdigest())


def password_of(authorization: str) -> str | None:
    """Return the token in a header ``Authorization``: of Bearer (RFC 6750), or the password of Basic (RFC 7617) with any name.

    Examples
    --------
    >>> password_of("Bearer fsk_1"), password_of("Basic YW55Om5hbWU="), password_of("Digest x")
    ('fsk_1', 'name', None)
    """
    scheme, _, rest = authorization.partition(" ")
    match scheme.lower():
        case "bearer":
            return rest.strip(" ")
        case "basic":
            try:
                name, colon, password = (
                    b64decode(rest.strip(" "), validate=True).decode("utf-8", "surrogateescape").partition(":")
                )
            except (binascii.Error, ValueError):
                return None
            return password if colon else name
        case _:
            return None
