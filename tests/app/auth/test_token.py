"""A token is read from what clients send, and opens only with the secret whose hash is kept."""

from __future__ import annotations

import secrets
from base64 import b64encode
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.auth import Scope
from app.auth.token import MARK, Secret, Token, password_of, read_token, token_id, write_token
from features.errors import InvalidValue
from tests.api_builders import NOON

TEXT = write_token(token_id("collector"), secrets.token_bytes)


def a_token(**changes: object) -> Token:
    written = read_token(TEXT)
    assert written is not None
    token = Token(written.id, "collector", (Scope.INGEST,), ("shop",), NOON, "ann", (Secret(written.sha256),))
    return replace(token, **changes)  # pyright: ignore[reportArgumentType] - named by the tests


def digest(text: str) -> str:
    written = read_token(text)
    return "" if written is None else written.sha256


def test_a_token_holds_256_random_bits_behind_a_mark_and_its_id() -> None:
    mark, own_id, secret = TEXT.split("_", 2)
    assert f"{mark}_" == MARK
    assert own_id == token_id("collector")
    assert len(secret) == 43  # base64 of 32 bytes
    assert write_token(own_id, secrets.token_bytes) != TEXT


def test_only_the_secret_that_was_made_opens() -> None:
    token = a_token()
    assert token.accepts(digest(TEXT), NOON)
    for wrong in (TEXT[:-1] + ("A" if TEXT[-1] != "A" else "B"), TEXT + "A", TEXT[:-1], TEXT.upper(), ""):
        assert not token.accepts(digest(wrong), NOON)
    assert TEXT not in repr(token)


def test_a_token_that_has_ended_or_was_revoked_opens_no_more() -> None:
    ends = a_token(expires_at=NOON + timedelta(seconds=10))
    assert ends.accepts(digest(TEXT), NOON + timedelta(seconds=9))
    assert not ends.accepts(digest(TEXT), NOON + timedelta(seconds=10))
    assert not a_token(revoked_at=NOON).accepts(digest(TEXT), NOON)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, "1 to 128"),
        ({"name": "x" * 129}, "1 to 128"),
        ({"name": "a\nb"}, "printable"),
        ({"name": " a"}, "without space"),
        ({"scopes": ()}, "at least 1 scope"),
        ({"tenants": ()}, "at least 1 tenant"),
        ({"tenants": ("..",)}, "dots alone"),
        ({"expires_at": NOON}, "must expire after"),
    ],
)
def test_what_no_token_can_be_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        a_token(**changes)


def basic(login: str) -> str:
    return "Basic " + b64encode(login.encode()).decode()


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (f"Bearer {TEXT}", TEXT),
        (f"bearer  {TEXT} ", TEXT),
        (basic(f"anyone:{TEXT}"), TEXT),
        (basic(f":{TEXT}"), TEXT),
        (basic(TEXT), TEXT),
        (TEXT, None),
        ("Digest x", None),
        ("Basic !!!", None),
        ("", None),
    ],
    ids=[
        "bearer",
        "spaces",
        "basic",
        "nobody",
        "no colon",
        "no word",
        "digest",
        "no base64",
        "empty",
    ],  # the token is another each time
)
def test_a_token_is_found_in_bearer_and_as_the_password_of_basic(header: str, found: str | None) -> None:
    assert password_of(header) == found


@given(st.text(max_size=200))
def test_no_text_from_outside_breaks_the_reading(text: str) -> None:
    shown = password_of(text)
    assert shown is None or read_token(shown) is None or shown.startswith(MARK)
