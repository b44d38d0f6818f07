"""``foreshock tokens``: makes, lists, rotates and revokes tokens, in a store or through a running node.

A folder that a node holds has one writer, so there `--url` asks the node; a cluster's store can be gone to beside its nodes.
`app.commands.tokens_cli` holds the options.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import httpx
import msgspec

from app.api.prefix import PREFIX
from app.auth import EVERY_TENANT, AuditLog, Deed, Made, Principal, Scope, Tokens, Wanted
from app.auth.token import Token
from app.clock import utc_now
from app.opening import made, open_alone
from app.operator import operator
from app.settings import Settings, load_settings
from features.errors import InvalidValue

__all__ = ["Asked", "Place", "asked_of", "in_store", "line", "over_rest", "seconds_of", "tell"]

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_TIMEOUT_S = 30.0
_OK = 400
_ONCE = "This is the token. It is shown this once; only its SHA-256 is kept."


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command was told to change tokens.

    Parameters
    ----------
    config, data : Path or None
        As every command takes them.
    url : str or None
        REST of a running node, which is asked instead.
    token : str
        That is shown to it; empty shows none.
    """

    config: Path | None = None
    data: Path | None = None
    url: str | None = None
    token: str = ""


class Asked(Protocol):
    """Where tokens are changed. Each method returns what REST answers."""

    def add(self, wanted: Wanted) -> dict[str, Any]:
        """Make a token."""
        ...

    def all(self) -> list[dict[str, Any]]:
        """List tokens."""
        ...

    def rotate(self, name: str, overlap_s: float) -> dict[str, Any]:
        """Change a secret."""
        ...

    def revoke(self, name: str) -> dict[str, Any]:
        """End a token."""
        ...


class _Store:
    def __init__(self, tokens: Tokens, audit: AuditLog) -> None:
        self._tokens = tokens
        self._audit = audit
        self._by = Principal(f"command line, {operator()}", frozenset(Scope), frozenset({EVERY_TENANT}))

    def add(self, wanted: Wanted) -> dict[str, Any]:
        return self._made("token.create", wanted.name, lambda: self._tokens.add(wanted, self._by))

    def all(self) -> list[dict[str, Any]]:
        return [_plain(token) for token in self._tokens.all(self._by)]

    def rotate(self, name: str, overlap_s: float) -> dict[str, Any]:
        return self._made("token.rotate", name, lambda: self._tokens.rotate(name, overlap_s, self._by))

    def revoke(self, name: str) -> dict[str, Any]:
        return _plain(self._audited("token.revoke", name, lambda: self._tokens.revoke(name, self._by)))

    def _made(self, action: str, name: str, change: Callable[[], Made]) -> dict[str, Any]:
        found: Made = self._audited(action, name, change)
        return _plain(found.token) | {"token": found.text}

    def _audited(self, action: str, name: str, change: Callable[[], Any]) -> Any:
        with self._audit.during(Deed(action, self._by.name, "", "", f"{PREFIX}/tokens/{quote(name, safe='')}")):
            return change()


class _Rest:
    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def add(self, wanted: Wanted) -> dict[str, Any]:
        end = None if wanted.expires_at is None else wanted.expires_at.isoformat()
        said = {"name": wanted.name, "scopes": list(wanted.scopes), "tenants": list(wanted.tenants), "expires_at": end}
        return self._ask("POST", "", said)

    def all(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        page = self._ask("GET", "?limit=1000")
        while page["next"]:
            found += page["items"]
            page = self._ask("GET", f"?limit=1000&cursor={quote(page['next'])}")
        return found + page["items"]

    def rotate(self, name: str, overlap_s: float) -> dict[str, Any]:
        return self._ask("POST", f"/{quote(name, safe='')}:rotate", {"overlap_s": overlap_s})

    def revoke(self, name: str) -> dict[str, Any]:
        return self._ask("DELETE", f"/{quote(name, safe='')}")

    def _ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        try:
            answer = self._client.request(method, f"{PREFIX}/tokens{path}", json=body)
            said: dict[str, Any] = answer.json()
        except (httpx.HTTPError, ValueError) as exc:
            raise InvalidValue(f"{self._client.base_url} does not answer as a node of Foreshock: {exc}") from exc
        if answer.status_code >= _OK:
            raise InvalidValue(f"{self._client.base_url} answered {answer.status_code}: {said.get('detail')}")
        return said


@contextmanager
def in_store(settings: Settings) -> Generator[Asked]:
    """Change tokens in the store that settings name: a folder that nobody holds, or a cluster."""
    store = open_alone(settings)
    with closing(store):
        audit = AuditLog(store.documents, utc_now, settings.security.audit_s)
        yield _Store(Tokens(store.documents, utc_now), audit)


@contextmanager
def over_rest(url: str, token: str) -> Generator[Asked]:
    """Change tokens through a running node.

    Raises
    ------
    InvalidValue
        When it is not there, or refuses; with its own words.
    """
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        client = httpx.Client(base_url=url, headers=headers, timeout=_TIMEOUT_S)
    except (httpx.InvalidURL, ValueError) as exc:
        raise InvalidValue(f"--url must be an address such as http://127.0.0.1:8318, got {url!r}: {exc}") from exc
    with client:
        yield _Rest(client)


def seconds_of(text: str) -> float:
    """Return the seconds of a length of time: a number and s, m, h or d.

    Raises
    ------
    InvalidValue
        When it is none.

    Examples
    --------
    >>> seconds_of("90"), seconds_of("1.5h"), seconds_of("7d")
    (90.0, 5400.0, 604800.0)
    """
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([smhd]?)", text)
    if found is None:
        raise InvalidValue(f"a length of time must be a number and s, m, h or d, such as 90s or 1.5h, got {text[:50]!r}")
    return float(found[1]) * _UNITS[found[2]]


@contextmanager
def asked_of(place: Place, *, new: bool = False) -> Generator[Asked]:
    """Change tokens where a command said.

    Parameters
    ----------
    place : Place
        A running node, or settings.
    new : bool
        Whether a folder may be made.

    Raises
    ------
    InvalidValue
        When there is no such folder, or the node is not there or refuses.
    DataInUse
        When a node holds the folder.
    """
    if place.url is not None:
        with over_rest(place.url, place.token) as asked:
            yield asked
        return
    settings = load_settings(place.config, data=place.data)
    with in_store(settings if new else made(settings)) as asked:
        yield asked


def tell(made_token: dict[str, Any], as_json: bool) -> None:
    """Print a token alone on standard output, so that a script can take it from there, and what it is beside it.

    Parameters
    ----------
    made_token : dict
        As REST answers, with what shows it.
    as_json : bool
        Print all of it as one JSON object instead.
    """
    if as_json:
        print(json.dumps(made_token))
        return
    print(f"{line(made_token)}\n{_ONCE}", file=sys.stderr)
    print(made_token["token"])


def line(token: dict[str, Any]) -> str:
    """Return what a list says of a token."""
    end = token["revoked_at"] or token["expires_at"]
    state = "revoked" if token["revoked_at"] else "ended" if not token["valid"] else "ends" if end else "valid"
    scopes, tenants = ",".join(token["scopes"]), ",".join(token["tenants"])
    return f"{token['name']:24}  {scopes:20}  {tenants:20}  {state}{f' {end}' if end else ''}"


def _plain(token: Token) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(token)
    return {name: value for name, value in found.items() if name != "secrets"} | {"valid": token.is_valid(utc_now())}
