"""What is particular to the log of a cluster: many entries share a message."""

from __future__ import annotations

from collections.abc import Generator
from itertools import pairwise

import pytest

from app.store.jetstream import JetStreamStore
from features.errors import Overloaded
from tests.app.store.jetstreams import an_account, opened


@pytest.fixture
def store() -> Generator[JetStreamStore]:
    made = opened(an_account())
    yield made
    made.close()


def test_more_entries_than_a_message_holds_keep_their_order(store: JetStreamStore) -> None:
    answers = [store.log.append_later([(1, "", b"%d" % n)]) for n in range(10_000)]
    offsets = [answer.result(60)[0] for answer in answers]
    assert all(one < other for one, other in pairwise(offsets))
    found, after = list[bytes](), 0
    while entries := store.log.read(1, after, 1000):
        found += [entry.data for entry in entries]
        after = entries[-1].offset
    assert found == [b"%d" % n for n in range(10_000)]
    assert len({offset >> 12 for offset in offsets}) < 1000, "callers that come together share messages"


def test_what_is_trimmed_within_a_message_is_not_read_again(store: JetStreamStore) -> None:
    answers = [store.log.append_later([(1, "", b"%d" % n)]) for n in range(50)]
    offsets = [answer.result(60)[0] for answer in answers]
    for place in (17, 48):
        store.log.trim(1, offsets[place])
        assert [entry.data for entry in store.log.read(1, 0)] == [b"%d" % n for n in range(place + 1, 50)]


def test_bytes_under_way_are_bounded_and_one_large_message_goes_alone(store: JetStreamStore) -> None:
    large = store.log.append_later([(0, "", bytes(2_000_000))])
    with pytest.raises(Overloaded, match="1000000 may"):
        store.log.append_later([(0, "", b"x")])
    assert large.result(60)
    assert store.log.append(0, "", b"x")


def test_a_reader_elsewhere_learns_of_entries_also_when_the_word_was_lost(store: JetStreamStore) -> None:
    account = an_account()
    one, other = opened(account), opened(account)
    other.log.told = lambda _: None  # type: ignore[method-assign]
    offset = one.log.append(2, "", b"x")
    assert other.log.end(2) == 0
    other.log.refresh()
    assert other.log.end(2) == offset
    assert [entry.data for entry in other.log.read(2, 0)] == [b"x"]
    one.close()
    other.close()
