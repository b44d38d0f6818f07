"""Sessions of browsers: who logged in, for how long, and in which cookie the browser shows it.

`app.edge.login` opens and ends them, `app.edge.gate` asks for every request. They lie in the store, so every node of a cluster knows
them and any can end one; the browser has a random name with a signature and nothing else.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

import msgspec
from starlette.requests import cookie_parser

from app.auth.principal import Principal
from app.auth.principal import Scope as Right
from app.auth.token import Written
from app.edge.signed import Seal
from app.store.contract import Document, Documents, Watch
from features.errors import InvalidValue

__all__ = ["BUCKET", "Session", "Sessions", "cookie_name", "cookies_of", "set_cookie"]

BUCKET = "sessions"
"""Their bucket."""

_NAME_BYTES = 32
_MAX_COOKIE_CHARS = 4096  # as browsers bound one


@dataclass(frozen=True, slots=True)
class Session:
    """One login.

    Parameters
    ----------
    name : str
        Who, as the audit log shows it.
    scopes : tuple of str
        What the login may do; of a login by token those of the token count, as they are at each request.
    tenants : tuple of str
        Whose data.
    token : Written or None
        The token that was shown, by its id and hash; None for a login by OpenID Connect.
    expires_at : datetime
        Aware UTC.
    """

    name: str
    scopes: tuple[str, ...]
    tenants: tuple[str, ...]
    token: Written | None
    expires_at: datetime

    @property
    def principal(self) -> Principal:
        """Who it is."""
        return Principal(self.name, frozenset(Right(scope) for scope in self.scopes), frozenset(self.tenants))


class Sessions:
    """The sessions of a store.

    Parameters
    ----------
    documents : Documents
        Where they are kept.
    key : bytes
        The secret that names are signed with.
    now : callable
        The clock; aware UTC.
    hours : float
        How long one lasts.
    holder : callable
        Returns who holds a token, None once it is not taken any more: another one may have its name, or it another secret.
    """

    def __init__(
        self,
        documents: Documents,
        key: bytes,
        now: Callable[[], datetime],
        hours: float,
        holder: Callable[[Written], Principal | None],
    ) -> None:
        self._documents = documents
        self._watch: Watch = documents.watch(BUCKET)
        self._seal = Seal(key, "session")
        self._now = now
        self._lasts = timedelta(hours=hours)
        self._holder = holder

    @property
    def lasts_s(self) -> int:
        """Seconds that a session lasts."""
        return int(self._lasts.total_seconds())

    def open(self, principal: Principal, token: Written | None = None) -> str:
        """Begin a session, and return what the browser is to show.

        Parameters
        ----------
        principal : Principal
            Who logged in.
        token : Written, optional
            That was shown.
        """
        name = secrets.token_urlsafe(_NAME_BYTES)
        scopes, tenants = tuple(sorted(principal.scopes)), tuple(sorted(principal.tenants))
        session = Session(principal.name, scopes, tenants, token, self._now() + self._lasts)
        self._documents.put(BUCKET, _key(name), msgspec.json.encode(session), ttl_s=self._lasts.total_seconds())
        return self._seal.signed(name)

    def principal(self, shown: str) -> Principal | None:
        """Return whose session a browser shows, None where it has ended or there never was one. Reads memory only."""
        key = self._key_shown(shown)
        return None if key is None else self._who(self._watch.get(key))

    def stored_principal(self, shown: str) -> Principal | None:
        """Return the same of the store, where another node may have opened the session a moment ago."""
        key = self._key_shown(shown)
        return None if key is None else self._who(self._documents.get(BUCKET, key))

    def end(self, shown: str) -> None:
        """End a session on every node; one that there is not is fine."""
        if (key := self._key_shown(shown)) is not None:
            self._documents.delete(BUCKET, key)

    def _key_shown(self, shown: str) -> str | None:
        """Return the key of the session that a browser shows, None where no node has signed it."""
        name = self._seal.opened(shown) if len(shown) <= _MAX_COOKIE_CHARS else None
        return None if name is None else _key(name)

    def _who(self, document: Document | None) -> Principal | None:
        if document is None:
            return None
        try:
            session = msgspec.json.decode(document.value, type=Session)
            if session.expires_at <= self._now():
                return None
            return self._holder(session.token) if session.token else session.principal
        except (msgspec.DecodeError, ValueError, InvalidValue):  # of another version; it opens nothing
            return None


def _key(name: str) -> str:
    """Return the key of a session: who reads the store learns no name that a browser could show."""
    return sha256(name.encode("utf-8", "surrogatepass")).hexdigest()


def cookie_name(what: str, *, secure: bool) -> str:
    """Return the name of a cookie; over TLS one that browsers let no other host and no page without TLS set.

    Examples
    --------
    >>> cookie_name("session", secure=True), cookie_name("session", secure=False)
    ('__Host-foreshock-session', 'foreshock-session')

    References
    ----------
    RFC 6265bis, 4.1.3: cookie name prefixes.
    """
    return f"__Host-foreshock-{what}" if secure else f"foreshock-{what}"


def cookies_of(headers: Iterable[tuple[bytes, bytes]]) -> Mapping[str, str]:
    """Return the cookies of a request by name, of its headers as pairs of bytes.

    Examples
    --------
    >>> cookies_of([(b"cookie", b"a=1; b=2")])
    {'a': '1', 'b': '2'}
    """
    found: dict[str, str] = {}
    for name, value in headers:
        if name == b"cookie":
            found |= cookie_parser(value.decode("latin-1"))  # the standard library's stops at what another program set oddly
    return found


def set_cookie(name: str, value: str, max_age_s: int, *, secure: bool, same_site: str = "Strict") -> tuple[bytes, bytes]:
    """Return the header that sets a cookie, which no script can read; an age of 0 takes it away.

    Examples
    --------
    >>> set_cookie("a", "b", 60, secure=True)
    (b'set-cookie', b'a=b; Max-Age=60; Path=/; HttpOnly; SameSite=Strict; Secure')
    """
    parts = [f"{name}={value}", f"Max-Age={max_age_s}", "Path=/", "HttpOnly", f"SameSite={same_site}"]
    return b"set-cookie", "; ".join([*parts, "Secure"] if secure else parts).encode()
