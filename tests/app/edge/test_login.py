"""The pages to log in on: what a provider says becomes a session or a plain answer; `test_gate.py` and a browser try the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message

from app.auth import Doorkeeper, NotAllowed, NotAuthenticated, Principal, Scope
from app.auth.tokens import BUCKET
from app.clock import utc_now
from app.edge.login import Login, Request, local_path
from app.edge.oidc import ProviderAway
from app.edge.sessions import Sessions
from app.edge.throttle import Throttle
from app.edge_settings import LimitSettings
from app.store.contract import Documents
from app.telemetry import Telemetry
from features.errors import ForeshockError

ANNA = Principal("oidc:anna", frozenset({Scope.READ}), frozenset({"shop"}))


@dataclass
class Says:
    """A provider that says one thing."""

    said: Principal | ForeshockError

    async def begin(self, next_path: str) -> tuple[str, str]:
        if isinstance(self.said, ProviderAway):
            raise self.said
        return f"https://provider.example/authorize?next={next_path}", "kept"

    async def end(self, query: Mapping[str, str], kept: str) -> tuple[Principal, str]:
        assert (query["code"], kept) == ("c", "kept")
        if isinstance(self.said, ForeshockError):
            raise self.said
        return self.said, "/incidents"


def asked(login: Login, path: str) -> tuple[int, dict[bytes, list[bytes]], str]:
    """Return status, headers and text of an answer to a GET."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    parts = urlsplit(path)
    headers = [(b"cookie", b"foreshock-login=kept")]
    scope: dict[str, Any] = {"method": "GET", "path": parts.path, "query_string": parts.query.encode(), "headers": headers}
    asyncio.run(login.answer(Request(scope, "203.0.113.9", secure=False), receive, send))
    found: dict[bytes, list[bytes]] = {}
    for name, value in sent[0]["headers"]:
        found.setdefault(name, []).append(value)
    return sent[0]["status"], found, sent[1]["body"].decode()


def login_of(documents: Documents, said: Principal | ForeshockError) -> tuple[Login, Sessions]:
    doorkeeper = Doorkeeper(documents.watch(BUCKET), utc_now)
    sessions = Sessions(documents, bytes(32), utc_now, 12.0, doorkeeper.holder)
    return Login(doorkeeper, sessions, Throttle(LimitSettings(), Telemetry()), Says(said)), sessions


def test_a_browser_goes_to_the_provider_and_comes_back_with_a_session(documents: Documents) -> None:
    login, sessions = login_of(documents, ANNA)
    assert "Log in with OpenID Connect" in asked(login, "/login?next=/incidents")[2]
    status, headers, _ = asked(login, "/login/oidc?next=/incidents")
    assert (status, headers[b"location"]) == (303, [b"https://provider.example/authorize?next=/incidents"])
    # Lax: a strict cookie would stay behind when the provider sends the browser back.
    assert headers[b"set-cookie"] == [b"foreshock-login=kept; Max-Age=600; Path=/; HttpOnly; SameSite=Lax"]
    status, headers, text = asked(login, "/login/oidc/callback?code=c&state=s")
    assert status == 200
    assert "content='0;url=/incidents'" in text
    session, forgotten = headers[b"set-cookie"]
    assert forgotten.startswith(b"foreshock-login=; Max-Age=0;")
    assert sessions.principal(session.decode().partition("=")[2].partition(";")[0]) == ANNA


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (NotAuthenticated("the provider's token does not hold"), 401),
        (NotAllowed("<b>anna</b> may do nothing here"), 403),
        (ProviderAway("the provider does not answer"), 503),
        (Principal("oidc:anna", frozenset({Scope.INGEST}), frozenset({"shop"})), 403),
    ],
)
def test_who_does_not_get_in_is_told_why_and_gets_no_session(
    documents: Documents, said: Principal | ForeshockError, status: int
) -> None:
    login, _ = login_of(documents, said)
    found, headers, text = asked(login, "/login/oidc/callback?code=c")
    assert found == status
    assert not [cookie for cookie in headers[b"set-cookie"] if b"session" in cookie]
    assert "<b>" not in text
    assert documents.items("sessions") == []


def test_a_provider_that_is_away_is_said_on_the_page(documents: Documents) -> None:
    login, _ = login_of(documents, ProviderAway("the provider does not answer"))
    status, _, text = asked(login, "/login/oidc")
    assert (status, "the provider does not answer" in text) == (503, True)


def test_a_query_of_too_many_fields_is_none(documents: Documents) -> None:
    login, _ = login_of(documents, ANNA)
    assert asked(login, "/login?" + "&".join(f"next{n}=/x" for n in range(100)))[0] == 200


@given(st.text(max_size=60))
def test_every_path_is_one_of_this_node(text: str) -> None:
    found = local_path(text)
    assert found.startswith("/")
    assert not found.startswith(("//", "/\\"))
    assert found.isprintable()
    assert urlsplit(found).netloc == ""
