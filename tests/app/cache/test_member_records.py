"""What nodes say of themselves, and what follows from it."""

from __future__ import annotations

import pytest

from app.cache.member_records import ALIVE, DEAD, LEAVING, WORKER, Member, Nodes, NodeState, decode_member, encode_member
from features.errors import InvalidValue


def test_a_member_is_read_back_as_it_was_written() -> None:
    member = Member(
        "a",
        "x",
        "0.1.0",
        1.5,
        (WORKER,),
        "weighted",
        2.0,
        10.0,
        {3: 0.5},
        7,
        60.0,
        (1, 2),
        (3,),
        True,
        True,
        "http://n1",
        "ab",
        9,
    )
    assert decode_member(encode_member(member)) == member


def test_a_member_of_a_newer_or_older_version_is_read() -> None:
    assert decode_member(b'{"id":"a","zone":{"name":"east"},"held":[1]}') == Member("a", held=(1,))
    assert decode_member(b'{"id":"a"}') == Member("a")


@pytest.mark.parametrize("value", [b"", b"?", b"[]", b"{}", b'{"id":""}', b'{"id":"a","weight":0}', b'{"id":"a","held":"1"}'])
def test_what_is_no_member_is_refused(value: bytes) -> None:
    with pytest.raises(InvalidValue):
        decode_member(value)


def test_a_weight_must_be_a_number_above_0() -> None:
    for weight in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InvalidValue, match="weight of member 'a' must be a number above 0, got"):
            Member("a", weight=weight)


def test_who_leads_and_what_nobody_holds_goes_by_those_whose_heartbeat_goes() -> None:
    dead, leaving, alive = Member("a", held=(0, 1)), Member("b", held=(0,)), Member("c", held=(2,), claimed=(3,))
    nodes = Nodes(4, (NodeState(dead, 9.0, DEAD), NodeState(leaving, 0.0, LEAVING), NodeState(alive, 0.0, ALIVE)))
    assert (nodes.leader, nodes.unheld) == ("b", [1, 3])
    assert Nodes(2, ()).leader is None
