"""What every `Checkpoints` promises."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.store.contract import Commit, Output
from features.errors import Fenced, InvalidValue, StoreFailed
from tests.contracts.stores import PARTITIONS, Clock, OpenFamily, Store


def test_a_partition_starts_at_zero_without_state(store: Store) -> None:
    head = store.checkpoints.acquire(0, "one")
    assert (head.offset, dict(head.state)) == (0, {})


def test_state_offset_and_outputs_change_together(store: Store) -> None:
    head = store.checkpoints.acquire(0, "one")
    token = store.checkpoints.commit(0, head.token, 7, {"a": b"1", "b": b"2"}, [Output("predictions", "k", b"v")])
    store.checkpoints.commit(0, token, 9, {"a": None, "c": b"3"}, [Output("predictions", "k", None)])
    after = store.checkpoints.acquire(0, "one")
    assert (after.offset, dict(after.state)) == (9, {"b": b"2", "c": b"3"})
    assert store.documents.get("predictions", "k") is None


def test_partitions_do_not_share_state(store: Store) -> None:
    heads = [store.checkpoints.acquire(partition, "one") for partition in range(2)]
    store.checkpoints.commit(0, heads[0].token, 5, {"a": b"1"})
    assert dict(store.checkpoints.acquire(1, "one").state) == {}
    assert dict(store.checkpoints.acquire(0, "one").state) == {"a": b"1"}


def test_an_earlier_owner_is_refused_and_changes_nothing(store: Store) -> None:
    earlier = store.checkpoints.acquire(0, "earlier")
    token = store.checkpoints.commit(0, earlier.token, 3, {"a": b"1"})
    newer = store.checkpoints.acquire(0, "newer")
    with pytest.raises(Fenced):
        store.checkpoints.commit(0, token, 8, {"a": b"2", "b": b"3"}, [Output("predictions", "k", b"v")])
    assert store.documents.get("predictions", "k") is None
    assert (newer.offset, dict(newer.state)) == (3, {"a": b"1"})
    store.checkpoints.commit(0, newer.token, 4, {})
    again = store.checkpoints.acquire(0, "newer")
    assert (again.offset, dict(again.state)) == (4, {"a": b"1"})


def test_a_token_commits_once(store: Store) -> None:
    head = store.checkpoints.acquire(0, "one")
    token = store.checkpoints.commit(0, head.token, 1, {})
    with pytest.raises(Fenced):
        store.checkpoints.commit(0, head.token, 2, {})
    store.checkpoints.commit(0, token, 2, {})


def test_a_commit_without_an_owner_is_refused(store: Store) -> None:
    with pytest.raises(Fenced):
        store.checkpoints.commit(0, 1, 1, {})


def test_an_offset_never_goes_back(store: Store) -> None:
    head = store.checkpoints.acquire(0, "one")
    token = store.checkpoints.commit(0, head.token, 5, {"a": b"1"})
    with pytest.raises(InvalidValue, match="at least 5, got 4"):
        store.checkpoints.commit(0, token, 4, {"a": b"2"})
    assert dict(store.checkpoints.acquire(0, "one").state) == {"a": b"1"}


def test_an_output_that_cannot_be_stored_takes_the_whole_commit_back(store: Store) -> None:
    head = store.checkpoints.acquire(0, "one")
    watch = store.documents.watch("predictions")

    def outputs() -> Iterator[Output]:
        yield Output("predictions", "good", b"v")
        yield Output("predictions", None, b"v")  # pyright: ignore[reportArgumentType]  # what no engine can name

    with pytest.raises((StoreFailed, InvalidValue)):
        store.checkpoints.commit(0, head.token, 5, {"a": b"1"}, outputs())
    assert store.documents.get("predictions", "good") is None
    assert list(watch.items()) == []
    store.checkpoints.commit(0, head.token, 0, {})  # the token is still good
    after = store.checkpoints.acquire(0, "one")
    assert (after.offset, dict(after.state)) == (0, {})


def test_outputs_expire_and_are_seen_by_watches(store: Store, clock: Clock) -> None:
    watch = store.documents.watch("predictions")
    head = store.checkpoints.acquire(0, "one")
    store.checkpoints.commit(0, head.token, 1, {}, [Output("predictions", "k", b"v", ttl_s=10)])
    assert [document.value for document in watch.items()] == [b"v"]
    clock.pass_by(10)
    assert watch.get("k") is None
    assert store.documents.get("predictions", "k") is None


def test_a_commit_is_there_after_reopening(family: OpenFamily, tmp_path: Path, clock: Clock) -> None:
    store = family(tmp_path, clock)
    head = store.checkpoints.acquire(2, "one")
    token = store.checkpoints.commit(2, head.token, 6, {"a": bytes(200_000)})
    store.close()
    store = family(tmp_path, clock)
    after = store.checkpoints.acquire(2, "two")
    assert (after.offset, after.state["a"]) == (6, bytes(200_000))
    assert after.token > token
    store.close()


def test_a_partition_that_does_not_exist_is_refused(store: Store) -> None:
    with pytest.raises(InvalidValue, match=str(PARTITIONS)):
        store.checkpoints.acquire(PARTITIONS, "one")


def test_partitions_commit_together_or_not_at_all(store: Store) -> None:
    heads = [store.checkpoints.acquire(partition, "one") for partition in range(3)]
    commits = [Commit(n, heads[n].token, 5, {"a": b"1"}, [Output("predictions", f"k{n}", b"v")]) for n in range(3)]
    tokens = store.checkpoints.commit_all(commits)
    store.checkpoints.acquire(2, "newer")
    with pytest.raises(Fenced):
        store.checkpoints.commit_all(
            [Commit(n, tokens[n], 9, {"a": None}, [Output("predictions", "k0", None)]) for n in range(3)]
        )
    assert [document.key for document in store.documents.items("predictions")] == ["k0", "k1", "k2"]
    after = [store.checkpoints.acquire(partition, "two") for partition in range(3)]
    assert [(head.offset, dict(head.state)) for head in after] == [(5, {"a": b"1"})] * 3
    assert store.checkpoints.commit_all([]) == []
