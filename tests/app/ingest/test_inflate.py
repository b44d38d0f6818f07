"""What comes out of compressed bodies, and what is refused."""

from __future__ import annotations

import contextlib
import gzip
import random
import sys
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Gauge

from app.ingest.admit import Room, RoomFull
from app.ingest.inflate import CONTENT_ENCODINGS, InflatedTooLarge, expected_bytes, inflate
from features.errors import MalformedBody

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PACK = {"gzip": gzip.compress, "x-gzip": gzip.compress, "zstd": zstd.compress, "deflate": zlib.compress, "zlib": zlib.compress}


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


@pytest.mark.parametrize("encoding", ["snappy", "lz4", "gzip, gzip", "identity, gzip", "br", "gzip;q=1"])
def test_another_encoding_or_more_than_one_is_malformed(encoding: str) -> None:
    with pytest.raises(MalformedBody, match="content encoding must be one of gzip, x-gzip, zstd, deflate, zlib, identity, got"):
        inflate(b"body", encoding, 100)


@pytest.mark.parametrize(
    "body",
    [
        b"no gzip",
        gzip.compress(b"x" * 99, mtime=0)[:-1],
        zlib.compress(b"x"),
        gzip.compress(b"x", mtime=0) + b"tail",
        gzip.compress(b"x", mtime=0)[:5],
    ],
)
def test_corrupt_or_short_gzip_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedBody):
        inflate(body, "gzip", 100)


@pytest.mark.parametrize("encoding", CONTENT_ENCODINGS)
@given(body=st.binary(max_size=100))
def test_arbitrary_bytes_raise_nothing_but_malformed_body_or_too_large(encoding: str, body: bytes) -> None:
    with contextlib.suppress(MalformedBody, InflatedTooLarge):
        assert len(inflate(body, encoding, 1000)) <= 1000


@given(st.binary(max_size=100))
def test_gzip_says_what_the_standard_library_says(body: bytes) -> None:
    with contextlib.suppress(MalformedBody):
        assert inflate(body, "gzip", 1000) == gzip.decompress(body)


@pytest.mark.parametrize("encoding", PACK)
@pytest.mark.parametrize("body", [b"", b"x", random.Random(1).randbytes(1000) * 900, bytes(3 * 2**20)])
def test_what_was_compressed_comes_out(encoding: str, body: bytes) -> None:
    assert inflate(PACK[encoding](body), encoding, 2**22) == body


@pytest.mark.parametrize("encoding", PACK)
@pytest.mark.parametrize("body", [b"", b"x", bytes(3 * 2**20)])
def test_a_body_that_ends_early_or_goes_on_is_malformed(encoding: str, body: bytes) -> None:
    packed = PACK[encoding](body)
    for wrong in (packed[:-1], packed + b"tail", b""):
        with pytest.raises(MalformedBody):
            inflate(wrong, encoding, 2**22)


def test_deflate_without_its_frame_is_taken() -> None:
    body = random.Random(2).randbytes(1000) * 900
    assert inflate(zlib.compress(body)[2:-4], "deflate", 2**20) == body


def test_zstd_frames_one_after_another_come_out_whole() -> None:
    assert inflate(zstd.compress(b"one ") + zstd.compress(b"two"), "zstd", 100) == b"one two"


def test_zstd_that_asks_for_a_large_window_is_malformed() -> None:
    packer = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 24})
    body = packer.compress(random.Random(3).randbytes(2**20) * 9) + packer.flush()
    with pytest.raises(MalformedBody, match=r"the body is no zstd: .*memory"):
        inflate(body, "zstd", 2**24)


@pytest.mark.parametrize(("encoding", "n_members"), [(name, 1) for name in PACK] + [("gzip", 2), ("zstd", 2)])
def test_a_bomb_is_refused_at_the_limit(encoding: str, n_members: int) -> None:
    body = PACK[encoding](bytes(600_000)) * n_members
    assert len(inflate(body, encoding, 600_000 * n_members)) == 600_000 * n_members
    counted = list[int]()
    with pytest.raises(InflatedTooLarge, match=r"body must be <= .* after decompression"):
        inflate(body, encoding, 600_000 * n_members - 1, counted.append)
    assert counted[-1] < 600_000 * n_members


def test_how_much_comes_out_is_known_of_gzip_and_guessed_of_others() -> None:
    body = bytes(70_000)
    assert expected_bytes(gzip.compress(body), " GZIP ") == 70_000
    assert expected_bytes(b"", "gzip") == 0
    assert expected_bytes(bytes(10), "zstd") == 80
    assert expected_bytes(body, "identity") == 70_000


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
    with room.hold() as hold, pytest.raises(RoomFull, match="bytes in flight must be <= 1048576"):
        inflate(bomb, "gzip", 2**26, hold.grow_to)
    assert registry.get_sample_value("held") == 0


def test_members_without_end_are_malformed() -> None:
    member = gzip.compress(b"")
    assert inflate(member * 4096, "gzip", 10) == b""
    with pytest.raises(MalformedBody, match="at most 4096 members"):
        inflate(member * 4097, "gzip", 10)
