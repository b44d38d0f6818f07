"""The scanner in C takes the bytes that upb takes, and refuses those that upb refuses."""

from __future__ import annotations

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError

from app.ingest.limits import Limits
from app.ingest.otlp import ENGINE, decoder
from tests.fuzz.compare import LIMITS, difference, outcome
from tests.fuzz.mutate import nested
from tests.fuzz.seeds import MESSAGES, REQUESTS
from tests.fuzz.wire import delimited, varint

if ENGINE != "c":
    pytest.skip("the scanner in C is not built", allow_module_level=True)

LENGTH, GROUP, GROUP_END = 2, 3, 4
UNKNOWN = 99


def group(inner: bytes, number: int = UNKNOWN) -> bytes:
    return varint(number << 3 | GROUP) + inner + varint(number << 3 | GROUP_END)


def groups(depth: int) -> bytes:
    return varint(UNKNOWN << 3 | GROUP) * depth + varint(UNKNOWN << 3 | GROUP_END) * depth


def in_a_record(part: bytes) -> bytes:
    """Return a request whose one span, or log record, holds these bytes."""
    return delimited(1, delimited(2, delimited(2, part)))


def taken(body: bytes, signal: str = "traces") -> bool:
    """Return whether upb takes a body, having checked that both engines agree with it."""
    try:
        REQUESTS[signal].FromString(body)
    except DecodeError:
        expected = False
    else:
        expected = True
    for limits in LIMITS.values():
        found = outcome(decoder("c"), body, signal, limits)
        assert difference(found, outcome(decoder("python"), body, signal, limits)) == ""
        assert (not isinstance(found, str)) == expected
    return expected


@pytest.mark.parametrize(
    "part",
    [
        "3082808080808080808000",  # a kind of ten bytes
        "30ffffffffffffffffff7f",  # whose bits beyond 64 are lost
        "308280808010",  # a kind beyond 32 bits
        "b08080800002",  # a tag of five bytes
        "f8ffffff0f02",  # the largest field number
        "2a8380808000616263",  # a length of five bytes
        "9b069c06",  # an empty group
        "9b0600019c06",  # the field number 0, in a group
        "9b062a01ff9c06",  # a text that is no UTF-8, in a group
        "2b18022c",  # a group in place of a text
        "2805",  # a number in place of a text
        "320102",  # a text in place of a number
        "3805",  # a varint in place of a fixed number
        "3d01000000",  # 32 bits in place of 64
        "7801",  # a number in place of a message
        "2a0100",  # a NUL
        "2a04f09f9880",  # four bytes of UTF-8
        "2a02c280",
        "2a03e0a080",
        "2a03ed9fbf",
        "2a03ee8080",
        "2a04f0908080",
        "2a04f48fbfbf",
    ],
)
def test_odd_bytes_that_protobuf_allows_are_taken(part: str) -> None:
    assert taken(in_a_record(bytes.fromhex(part)))


@pytest.mark.parametrize(
    "part",
    [
        "308080808080808080808001",  # a varint of eleven bytes
        "b0808080800002",  # a tag of six bytes
        "f8ffffff1f02",  # a tag beyond 32 bits
        "2a838080808000616263",  # a length of six bytes
        "2a8380808010616263",  # a length beyond 31 bits
        "2a04616263",  # a length beyond its message
        "2a",
        "30",
        "3080",
        "3901020304050607",  # fixed numbers that end early
        "8501010203",
        "0001",  # the field number 0, as every wire type
        "010000000000000000",
        "0200",
        "0304",
        "04",
        "0500000000",
        "2e00",  # wire types that are none
        "2f00",
        "0c",  # the end of no group
        "9b06a406",  # a group with the end of another
        "9b06",  # a group without an end
        "9b06089c06",  # a group whose end is a value
        "9b062a059c06",  # a length beyond its group
        "2a01ff",  # no UTF-8: no lead byte, overlong, surrogate, too large, cut off, a lead in the middle
        "2a02c080",
        "2a02c1bf",
        "2a03e09f80",
        "2a03eda080",
        "2a04f08f8080",
        "2a04f4908080",
        "2a04f5808080",
        "2a02e282",
        "2a03f09f98",
        "2a03e28261",
        "2a0161ff",
        "2a0c616161616161616161616180",
        "2a0980616161616161616161",
    ],
)
def test_bytes_that_protobuf_forbids_are_refused(part: str) -> None:
    assert not taken(in_a_record(bytes.fromhex(part)))


@pytest.mark.parametrize("end", ["", "0a", "0a05", "0a80", "12", "0b", "0b0c", "0c", "00"])
def test_the_request_itself_is_held_to_the_same(end: str) -> None:
    for signal in REQUESTS:
        taken(bytes.fromhex(end), signal)


@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize("depth", range(28, 53))
def test_nesting_ends_where_it_ends_in_protobuf(depth: int, *, pairs: bool) -> None:
    value = nested(depth, pairs=pairs)
    for number, signal in ((9, "traces"), (6, "logs")):
        taken(in_a_record(delimited(number, delimited(1, b"k") + delimited(2, value))), signal)
    taken(in_a_record(delimited(5, value)), "logs")


def test_depths_around_the_limit_are_both_taken_and_refused() -> None:
    assert [taken(in_a_record(groups(depth))) for depth in (96, 97, 98)] == [True, True, False]
    assert [taken(groups(depth)) for depth in (100, 101)] == [True, False]
    assert taken(in_a_record(group(group(b"") + delimited(5, b"\xff"))))


def paths(message: Descriptor, depth: int = 0) -> list[tuple[int, ...]]:
    """Return the ways to every text of a schema, into values only a little."""
    found: list[tuple[int, ...]] = []
    for known in message.fields:
        if known.type == FieldDescriptor.TYPE_STRING:
            found.append((known.number,))
        elif known.message_type is not None and depth < 9:
            found += [(known.number, *rest) for rest in paths(known.message_type, depth + 1)]
    return found


@pytest.mark.parametrize("signal", sorted(REQUESTS))
def test_every_text_of_the_schema_must_be_utf8(signal: str) -> None:
    ways = paths(MESSAGES[signal])
    assert len(ways) > 40
    for way in ways:
        for text, expected in ((b"\xc3\xa9", True), (b"\xff", False)):
            body = text
            for number in reversed(way):
                body = delimited(number, body)
            assert taken(body, signal) == expected


def test_messages_that_come_in_parts_are_merged() -> None:
    status = delimited(15, delimited(2, b"it failed")) + delimited(15, b"\x18\x02")
    listed = delimited(
        9, delimited(1, b"k") + b"".join(delimited(2, delimited(5, delimited(1, b"\x18" + varint(i)))) for i in range(9))
    )
    switched = delimited(
        9, delimited(1, b"s") + delimited(2, delimited(5, delimited(1, b"\x18\x01"))) + delimited(2, b"\x18\x07\x2a\x00")
    )
    assert taken(in_a_record(status + listed + switched))
    found = decoder("c")(in_a_record(status + listed + switched), "traces", "protobuf", limits=Limits())
    assert [(error.message, dict(error.attributes)) for error in found.errors] == [
        ("it failed", {"k": "[0, 1, 2, 3, 4, 5, 6, 7, 8]", "s": "[]"})
    ]
