"""What HTTP adds to an answer."""

from __future__ import annotations

import gzip
from http import HTTPStatus

import pytest

from app.ingest.admit import FallenBehind, TenantRoomFull, UnknownContentType
from app.ingest.replies import Reply, failed, packed, status_of
from features.errors import BodyTooLarge, ForeshockError, MalformedBody, StoreFailed

LONG = Reply(HTTPStatus.BAD_REQUEST, b"x" * 2000, "json", ((b"retry-after", b"1"),))
TYPE = (b"content-type", b"application/json")


def test_a_long_reply_is_compressed_for_who_takes_that_and_says_so_to_caches() -> None:
    small = packed(LONG, "gzip")
    assert gzip.decompress(small.body) == LONG.body
    length = (b"content-length", str(len(small.body)).encode())
    packing = ((b"vary", b"accept-encoding"), (b"content-encoding", b"gzip"))
    assert small.all_headers == (*LONG.headers, *packing, TYPE, length)
    plain = packed(LONG, "br, gzip;q=0")
    assert (plain.body, plain.all_headers) == (LONG.body, (*LONG.headers, packing[0], TYPE, (b"content-length", b"2000")))


def test_a_reply_without_a_body_says_nothing_of_one() -> None:
    nothing = Reply(HTTPStatus.NO_CONTENT, b"", None, ((b"allow", b"POST"),))
    assert packed(nothing, "gzip").all_headers == nothing.headers


@pytest.mark.parametrize(
    ("error", "status", "again"),
    [
        (UnknownContentType(""), 415, False),
        (BodyTooLarge(""), 413, False),
        (MalformedBody(""), 400, False),
        (TenantRoomFull(""), 429, True),
        (FallenBehind(""), 503, True),
        (StoreFailed(""), 503, True),
    ],
)
def test_errors_have_their_status_and_say_whether_to_come_again(error: ForeshockError, status: int, again: bool) -> None:
    assert status_of(error) == status
    reply = failed(status_of(error), "why", "json")
    assert dict(reply.headers) == ({b"retry-after": b"1"} if again else {})
    assert b"why" in reply.body
