"""Bytes of a stream become events, however they are cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.client import events
from app.client.events import Block, Blocks, DroppedEvent, ModelEvent, event_of
from app.client.failures import UnknownAnswer

STREAM = (
    "retry: 2000\nid: e-16\n\n"
    ": heartbeat\nid: e-17\n\n"
    "\n"
    'id: e-18\nevent: dropped\ndata: {"lost": 3,\ndata:  "why": "\u2028 slow"}\n\n'
    "event: other\r\ndata:x\r\n\r\n"
    "data: cut off\n"
).encode()
BLOCKS = [
    Block("e-16", "", "", 2.0),
    Block("e-17", "", "", None),
    Block("e-18", "dropped", '{"lost": 3,\n "why": "\u2028 slow"}', None),
    Block(None, "other", "x", None),
]


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_a_stream_says_the_same_however_it_is_cut(cuts: list[int]) -> None:
    blocks, places = Blocks(), [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[start:end] for start, end in pairwise(places)]
    assert [block for piece in pieces for block in blocks.feed(piece)] == BLOCKS


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(piece: bytes) -> None:
    assert all(isinstance(block, Block) for block in Blocks().feed(piece + b"\n\n"))


def test_a_line_without_an_end_is_not_kept_for_ever() -> None:
    blocks = Blocks()
    with pytest.raises(UnknownAnswer, match="a line of a stream must have at most 16777216 bytes"):
        list(blocks.feed(b"data: " + b"x" * 2**24))


def test_an_event_has_the_type_of_its_kind() -> None:
    step = '{"action": "promoted", "version": "v2", "before": "v1", "at": "2026-11-24T00:00:00Z", "who": "ana", "why": ""}'
    event = event_of(Block("e-1", "model", step, None))
    assert isinstance(event, ModelEvent)
    assert (event.id, event.kind, event.data.action, event.data.before) == ("e-1", "model", "promoted", "v1")
    dropped = event_of(BLOCKS[2])
    assert isinstance(dropped, DroppedEvent)
    assert (dropped.data.lost, dropped.data.why) == (3, "\u2028 slow")


@pytest.mark.parametrize("block", [BLOCKS[0], BLOCKS[1], BLOCKS[3]])
def test_what_is_no_known_event_is_none(block: Block) -> None:
    assert event_of(block) is None


def test_data_of_another_shape_are_named_with_the_kind() -> None:
    with pytest.raises(UnknownAnswer, match="event 'dropped': lost: Field required"):
        event_of(Block("e-1", "dropped", '{"why": ""}', None))


def test_every_kind_has_an_event_that_says_it() -> None:
    named = [name for name in events.__all__ if name.endswith("Event")]
    kinds = {getattr(events, name)("e-1", None).kind for name in named if name != "Event"}
    assert kinds == {"prediction", "anomaly", "incident", "group", "alert", "model", "dropped"}
