"""What is let in."""

from __future__ import annotations

import contextlib
import gzip
import random
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Gauge

from app.ingest.admit import Room, UnknownContentType, admit_encoding, admit_tenant, inflate
from features.errors import BodyTooLarge, InvalidValue, MalformedBody, Overloaded


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/grpc", "application/jsonl", "x" * 5000])
def test_another_content_type_is_unknown(content_type: str) -> None:
    with pytest.raises(UnknownContentType, match="content type must be application/x-protobuf or application/json"):
        admit_encoding(content_type)


@pytest.mark.parametrize("tenant", ["a b", "a/b", "é", "x" * 129, "a\n", "*"])
def test_a_tenant_that_could_be_another_key_is_refused(tenant: str) -> None:
    with pytest.raises(InvalidValue, match="X-Scope-OrgID"):
        admit_tenant(tenant, "default")


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=5))
def test_all_members_of_a_gzip_body_come_out_in_order(members: list[bytes]) -> None:
    body = b"".join(gzip.compress(member) for member in members)
    assert inflate(body, "GZIP", 10_000) == b"".join(members)


def test_large_bodies_of_many_steps_come_out_whole() -> None:
    members = [bytes(range(256)) * 2000, b"", b"x" * 300_000]
    body = b"".join(gzip.compress(member, 0) for member in members)
    assert inflate(body, "gzip", 2_000_000) == b"".join(members)


@pytest.mark.parametrize("encoding", ["", "identity", " Identity "])
def test_a_plain_body_stays_as_it_is(encoding: str) -> None:
    assert inflate(b"body", encoding, 1) == b"body"


@pytest.mark.parametrize("encoding", ["zstd", "deflate", "gzip, gzip", "br"])
def test_another_encoding_is_malformed(encoding: str) -> None:
    with pytest.raises(MalformedBody, match="content encoding must be gzip or identity"):
        inflate(b"body", encoding, 100)


@pytest.mark.parametrize(
    "body",
    [b"no gzip", gzip.compress(b"x" * 99)[:-1], zlib.compress(b"x"), gzip.compress(b"x") + b"tail", gzip.compress(b"x")[:5]],
)
def test_corrupt_or_short_gzip_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedBody):
        inflate(body, "gzip", 100)


@given(st.binary(max_size=100))
def test_arbitrary_bytes_raise_nothing_but_malformed_body(body: bytes) -> None:
    with contextlib.suppress(MalformedBody):
        assert inflate(body, "gzip", 1000) == gzip.decompress(body)


@pytest.mark.parametrize("n_members", [1, 2])
def test_a_bomb_is_refused_at_the_limit(n_members: int) -> None:
    body = gzip.compress(bytes(60_000)) * n_members
    assert len(inflate(body, "gzip", 60_000 * n_members)) == 60_000 * n_members
    with pytest.raises(BodyTooLarge, match="body must be <= "):
        inflate(body, "gzip", 60_000 * n_members - 1)


@pytest.mark.parametrize("n_bytes", [2**18 - 1, 2**18, 2**18 + 1, 3 * 2**18, 5 * 2**20 + 3])
def test_what_comes_out_is_counted_as_it_grows_and_comes_out_whole(n_bytes: int) -> None:
    body, counted = random.Random(n_bytes).randbytes(n_bytes // 64) * 64, list[int]()
    assert inflate(gzip.compress(body) + gzip.compress(b"end"), "gzip", 2**23, counted.append) == body + b"end"
    assert counted == sorted(counted)
    assert counted[-1] == len(body) + 3
    assert max(later - earlier for earlier, later in pairwise([0, *counted])) <= 2**18


def test_small_bombs_together_stay_within_the_room() -> None:
    registry = CollectorRegistry()
    room, bomb = Room(2**20, Gauge("held", "Held.", registry=registry)), gzip.compress(bytes(2**25))
    assert len(bomb) < 2**15
    with room.hold() as hold, pytest.raises(Overloaded, match="bytes in flight must be <= 1048576"):
        inflate(bomb, "gzip", 2**26, hold.grow_to)
    assert registry.get_sample_value("held") == 0


def test_members_without_end_are_malformed() -> None:
    member = gzip.compress(b"")
    assert inflate(member * 4096, "gzip", 10) == b""
    with pytest.raises(MalformedBody, match="at most 4096 members"):
        inflate(member * 4097, "gzip", 10)


def test_room_is_bounded_and_comes_back() -> None:
    registry = CollectorRegistry()
    room = Room(100, Gauge("held", "Held.", registry=registry))
    with room.hold() as first:
        first.grow_to(60)
        first.grow_to(50)
        with room.hold() as second, pytest.raises(Overloaded, match="bytes in flight must be <= 100, got 110"):
            second.grow_to(50)
        assert registry.get_sample_value("held") == 60
    with room.hold() as third:
        third.grow_to(100)
    assert registry.get_sample_value("held") == 0
