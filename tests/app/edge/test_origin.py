"""What changes something is refused when a page of another origin may have asked for it."""

from __future__ import annotations

import pytest

from app.edge.origin import is_forged

OWN = "node:8318"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("headers", "with_cookie", "without"),
    [
        ({b"sec-fetch-site": b"same-origin"}, False, False),
        ({b"sec-fetch-site": b"none"}, False, False),
        ({b"sec-fetch-site": b"same-site"}, True, True),
        ({b"sec-fetch-site": b"cross-site"}, True, True),
        ({b"sec-fetch-site": b"cross-site", b"origin": b"http://node:8318"}, True, True),
        ({b"origin": b"http://node:8318"}, False, False),
        ({b"origin": b"https://NODE:8318"}, False, False),  # TLS may end in front
        ({b"origin": b"http://node:3000"}, True, True),
        ({b"origin": b"http://node"}, True, True),
        ({b"origin": b"null"}, True, True),  # of a sandboxed frame
        ({b"origin": b""}, True, True),
        ({}, True, False),  # no browser of these years leaves both out
        ({b"authorization": b"Bearer fsk_1", b"origin": b"https://elsewhere.example"}, False, False),
        (
            {b"authorization": b"Basic eA==", b"origin": b"https://elsewhere.example"},
            True,
            True,
        ),  # browsers add it by themselves
    ],
)
def test_a_change_must_come_from_a_page_of_this_node(
    method: str, headers: dict[bytes, bytes], with_cookie: bool, without: bool
) -> None:
    assert is_forged(method, headers, OWN, has_cookie=True) is with_cookie
    assert is_forged(method, headers, OWN, has_cookie=False) is without


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_reading_is_nobodys_forgery(method: str) -> None:
    assert not is_forged(method, {b"sec-fetch-site": b"cross-site", b"origin": b"null"}, OWN, has_cookie=True)
