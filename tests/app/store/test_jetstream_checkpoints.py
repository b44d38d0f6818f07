"""What is particular to the checkpoints of a cluster: state in parts, and batches of a bounded number of messages."""

from __future__ import annotations

import random
from collections.abc import Generator, Mapping
from typing import Any

import pytest

from app.store.contract import Commit, Output
from app.store.jetstream import JetStreamStore
from app.store.jetstream_answers import Stored
from features.errors import Fenced, StoreFailed
from tests.app.store.jetstreams import an_account, opened


@pytest.fixture
def store() -> Generator[JetStreamStore]:
    made = opened(an_account())
    yield made
    made.close()


def test_state_larger_than_a_message_comes_back_and_may_shrink(store: JetStreamStore) -> None:
    rng = random.Random(4)
    head = store.checkpoints.acquire(0, "one")
    token = head.token
    for size in (5_000_000, 2_100_000, 3_000_000, 0, 10):
        value = rng.randbytes(size)
        token = store.checkpoints.commit(0, token, 1, {"large": value, "small": b"s"})
        after = store.checkpoints.acquire(0, "two")
        token = after.token
        assert dict(after.state) == {"large": value, "small": b"s"}


def test_more_documents_than_a_batch_holds_are_all_published(store: JetStreamStore) -> None:
    watch = store.documents.watch("predictions")
    heads = [store.checkpoints.acquire(n, "one") for n in range(2)]
    outputs = [[Output("predictions", f"{n}/{i}", b"%d" % i) for i in range(1300)] for n in range(2)]
    tokens = store.checkpoints.commit_all([Commit(n, heads[n].token, 5, {"a": b"1"}, outputs[n]) for n in range(2)])
    assert len(list(watch.items())) == 2600
    assert len(store.documents.items("predictions")) == 2600
    assert store.checkpoints.commit_all([Commit(n, tokens[n], 6, {}) for n in range(2)]) > tokens


def test_of_two_outputs_with_one_key_the_last_counts(store: JetStreamStore) -> None:
    head = store.checkpoints.acquire(0, "one")
    store.checkpoints.commit(0, head.token, 1, {}, [Output("predictions", "k", b"1"), Output("predictions", "k", b"2")])
    there = store.documents.get("predictions", "k")
    assert there is not None
    assert there.value == b"2"


def test_a_commit_too_large_for_one_batch_is_refused_before_anything_is_written(store: JetStreamStore) -> None:
    head = store.checkpoints.acquire(0, "one")
    with pytest.raises(StoreFailed, match="at most 1000 messages, got 1001"):
        store.checkpoints.commit(0, head.token, 1, {f"k{n}": b"" for n in range(1000)})
    assert store.checkpoints.commit(0, head.token, 1, {f"k{n}": b"" for n in range(999)})


def test_who_never_acquired_here_is_fenced(store: JetStreamStore) -> None:
    with pytest.raises(Fenced, match="at token 0, got 7"):
        store.checkpoints.commit(1, 7, 1, {})


def test_state_is_waited_for_while_a_replica_is_behind(store: JetStreamStore, monkeypatch: pytest.MonkeyPatch) -> None:
    head = store.checkpoints.acquire(0, "one")
    store.checkpoints.commit(0, head.token, 1, {"a": b"1"})
    link = store.checkpoints._link  # pyright: ignore[reportPrivateUsage]
    some, behind = link.some, iter(range(21))

    async def late(stream: str, asked: Mapping[str, Any]) -> tuple[list[Stored], Mapping[str, str]]:
        """Answer at first as a replica that has got nothing yet."""
        return ([], {}) if next(behind, None) is not None else await some(stream, asked)

    monkeypatch.setattr(link, "some", late)
    assert store.checkpoints.acquire(0, "two").state == {"a": b"1"}
