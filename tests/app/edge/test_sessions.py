"""A session is what the store says it is: for so long, and for no longer than the token that opened it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.auth import Principal, Scope
from app.auth.token import Written
from app.edge.sessions import BUCKET, Sessions, cookies_of, set_cookie
from app.store.contract import Documents

KEY = bytes(range(32))
READER = Principal("reader", frozenset({Scope.READ}), frozenset({"shop"}))


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


def sessions_of(documents: Documents, clock: Clock, holders: dict[Written, Principal] | None = None) -> Sessions:
    return Sessions(documents, KEY, clock, 12.0, (holders or {}).get)


def test_who_logged_in_is_known_on_every_node_until_the_session_ends(documents: Documents) -> None:
    clock = Clock()
    one, other = sessions_of(documents, clock), sessions_of(documents, clock)
    shown = one.open(READER)
    assert one.principal(shown) == other.principal(shown) == other.stored_principal(shown) == READER
    other.end(shown)
    assert one.principal(shown) is one.stored_principal(shown) is None
    other.end(shown)
    other.end("made up")


def test_a_session_ends_by_itself(documents: Documents) -> None:
    clock = Clock()
    sessions = sessions_of(documents, clock)
    shown = sessions.open(READER)
    clock.now += timedelta(hours=11.9)
    assert sessions.principal(shown) == READER
    clock.now += timedelta(hours=0.2)
    assert sessions.principal(shown) is None


def test_a_session_by_token_may_what_the_token_may_at_that_moment_and_ends_with_it(documents: Documents) -> None:
    token = Written("0736fd5b7cc7", "ab" * 32)
    holders = {token: READER}
    sessions = sessions_of(documents, Clock(), holders)
    shown = sessions.open(READER, token)
    holders[token] = more = Principal("reader", frozenset({Scope.READ, Scope.TRAIN}), frozenset({"shop"}))
    assert sessions.principal(shown) == more
    del holders[token]
    assert sessions.principal(shown) is None


def test_nothing_opens_that_was_not_signed_here_nor_what_another_version_wrote(documents: Documents) -> None:
    sessions = sessions_of(documents, Clock())
    shown = sessions.open(READER)
    stranger = Sessions(documents, bytes(32), Clock(), 12.0, lambda _: None)
    for text in ("", "x", shown[:-1], shown + "x", "é" * 10, "x" * 10_000, stranger.open(READER)):
        assert sessions.principal(text) is sessions.stored_principal(text) is None


def test_the_store_holds_no_name_that_a_browser_could_show(documents: Documents) -> None:
    shown = sessions_of(documents, Clock()).open(READER)
    (document,) = documents.items(BUCKET)
    assert shown.partition(".")[0] not in document.key + document.value.decode()
    documents.put(BUCKET, document.key, b"{}")
    assert sessions_of(documents, Clock()).principal(shown) is None


def test_no_script_reads_the_cookie_and_no_other_page_sends_it() -> None:
    name, value = set_cookie("a", "b", 60, secure=False)
    assert name == b"set-cookie"
    assert value == b"a=b; Max-Age=60; Path=/; HttpOnly; SameSite=Strict"


@pytest.mark.parametrize(
    ("cookie", "found"),
    [
        (b"b=2; a=1", "1"),
        (b'a="1"', "1"),
        (b"a=1;", "1"),
        (b"x={[,]}; \xff=\x00; a=1", "1"),  # what other programs of the same host set
        (b"b=2", None),
        (b"a", None),
        (b"", None),
    ],
)
def test_cookies_are_read_whatever_they_hold(cookie: bytes, found: str | None) -> None:
    assert cookies_of([(b"cookie", cookie), (b"host", b"a=4")]).get("a") == found
