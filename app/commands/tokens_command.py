"""``foreshock tokens``: makes, lists, rotates and revokes tokens, in a store or through a running node.

A folder that a node holds has one writer, so there `--url` asks the node; a cluster's store can be gone to beside its nodes.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Protocol
from urllib.parse import quote

import httpx
import msgspec
import typer

from app.api.parts import PREFIX
from app.auth import EVERY_TENANT, AuditLog, Deed, Made, Principal, Scope, Tokens, Wanted
from app.auth.token import Token
from app.commands.terminal import TIMES, ConfigOption, JsonOption
from app.folder import made
from app.main import open_alone
from app.operator import operator
from app.parts import utc_now
from app.settings import Settings, load_settings
from features.errors import InvalidValue

__all__ = ["Asked", "app", "in_store", "over_rest", "seconds_of"]

app = typer.Typer(help="Make, list, rotate and revoke tokens.", no_args_is_help=True)

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_TIMEOUT_S = 30.0
_OK = 400
_ONCE = "This is the token. It is shown this once; only its SHA-256 is kept."

DataOption = Annotated[Path | None, typer.Option("--data", help="Data folder that no node holds.")]
UrlOption = Annotated[str | None, typer.Option("--url", help="REST of a running node, such as http://127.0.0.1:8318.")]
TokenOption = Annotated[
    str, typer.Option("--token", envvar="FORESHOCK_TOKEN", help="With the scope admin, for --url; better in the environment.")
]
NameArgument = Annotated[str, typer.Argument(help="Of the token.")]


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


@app.command("create")
def create(
    name: Annotated[str, typer.Option("--name", help="What lists and the audit log call it.")],
    scope: Annotated[list[Scope], typer.Option("--scope", help="What it allows; may come again.")],
    tenant: Annotated[list[str], typer.Option("--tenant", help="With whose data; may come again. '*' is all tenants.")],
    expires: Annotated[datetime | None, typer.Option("--expires", formats=TIMES, help="End; UTC without a zone.")] = None,
    config: ConfigOption = None,
    data: DataOption = None,
    url: UrlOption = None,
    token: TokenOption = "",
    as_json: JsonOption = False,
) -> None:
    """Make a token and print it, this once."""
    end = expires if expires is None or expires.tzinfo else expires.replace(tzinfo=UTC)
    with _asked(config, data, url, token, new=True) as asked:
        _tell(asked.add(Wanted(name, scope, tenant, end)), as_json)


@app.command("list")
def list_tokens(
    config: ConfigOption = None,
    data: DataOption = None,
    url: UrlOption = None,
    token: TokenOption = "",
    as_json: JsonOption = False,
) -> None:
    """List tokens, those that ended lately too; never what shows them."""
    with _asked(config, data, url, token) as asked:
        found = asked.all()
    print(json.dumps({"items": found}) if as_json else "\n".join(map(_line, found)) or "no token yet")


@app.command("rotate")
def rotate(
    name: NameArgument,
    overlap: Annotated[str, typer.Option("--overlap", help="For how long the secret before is taken: 90s, 1h, 7d.")] = "1h",
    config: ConfigOption = None,
    data: DataOption = None,
    url: UrlOption = None,
    token: TokenOption = "",
    as_json: JsonOption = False,
) -> None:
    """Give a token a new secret and print it, this once."""
    overlap_s = seconds_of(overlap)
    with _asked(config, data, url, token) as asked:
        _tell(asked.rotate(name, overlap_s), as_json)


@app.command("revoke")
def revoke(
    name: NameArgument,
    config: ConfigOption = None,
    data: DataOption = None,
    url: UrlOption = None,
    token: TokenOption = "",
    as_json: JsonOption = False,
) -> None:
    """End a token at once."""
    with _asked(config, data, url, token) as asked:
        found = asked.revoke(name)
    print(json.dumps(found) if as_json else _line(found))


@contextmanager
def _asked(config: Path | None, data: Path | None, url: str | None, token: str, *, new: bool = False) -> Generator[Asked]:
    if url is not None:
        with over_rest(url, token) as asked:
            yield asked
        return
    settings = load_settings(config, data=data)
    with in_store(settings if new else made(settings)) as asked:
        yield asked


def _plain(token: Token) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(token)
    return {name: value for name, value in found.items() if name != "secrets"} | {"valid": token.is_valid(utc_now())}


def _tell(made_token: dict[str, Any], as_json: bool) -> None:
    """Print a token alone on standard output, so that a script can take it from there."""
    if as_json:
        print(json.dumps(made_token))
        return
    print(f"{_line(made_token)}\n{_ONCE}", file=sys.stderr)
    print(made_token["token"])


def _line(token: dict[str, Any]) -> str:
    end = token["revoked_at"] or token["expires_at"]
    state = "revoked" if token["revoked_at"] else "ended" if not token["valid"] else "ends" if end else "valid"
    scopes, tenants = ",".join(token["scopes"]), ",".join(token["tenants"])
    return f"{token['name']:24}  {scopes:20}  {tenants:20}  {state}{f' {end}' if end else ''}"
