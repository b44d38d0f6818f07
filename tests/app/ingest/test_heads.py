"""Heads that say nothing unusual are known again; all others are read with care."""

from __future__ import annotations

import pytest

from app.ingest.heads import Head, head_of, ordinary_head, read_headers

PAIRS = [
    (b"content-type", b"application/x-protobuf; v=1"),
    (b"content-encoding", b" GZIP"),
    (b"accept-encoding", b"gzip"),
    (b"x-scope-orgid", b"team-a"),
]


def test_an_ordinary_head_says_the_same_as_one_that_is_read_with_care() -> None:
    expected = Head("team-a", "traces", "protobuf", "gzip", "gzip")
    assert head_of("traces", read_headers(PAIRS), "default") == expected
    assert ordinary_head("/v1/traces", PAIRS, "default") == expected


def test_what_differs_between_requests_is_not_part_of_what_is_remembered() -> None:
    first = ordinary_head("/v1/logs", [*PAIRS, (b"content-length", b"5")], "default")
    assert first is ordinary_head("/v1/logs", [(b"content-length", b"7"), *PAIRS], "default")
    assert first is not ordinary_head("/v1/logs", PAIRS[:-1], "default")


@pytest.mark.parametrize(
    ("path", "pairs"),
    [
        ("/v1/profiles", PAIRS),
        ("/v1/logs", PAIRS[1:]),
        ("/v1/logs", [*PAIRS[:-1], (b"x-scope-orgid", b"a b")]),
        ("/v1/logs", [*PAIRS, (b"x-scope-orgid", b"team-b")]),
        ("/v1/logs", [(b"content-type", b"application/json"), *PAIRS[1:], (b"content-type", b"text/plain")]),
    ],
)
def test_a_head_that_must_be_refused_is_not_ordinary(path: str, pairs: list[tuple[bytes, bytes]]) -> None:
    assert ordinary_head(path, pairs, "default") is None
