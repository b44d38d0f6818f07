"""What every `Documents` promises."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from features.errors import Conflict
from tests.contracts.stores import Clock, OpenFamily, Store

BUCKETS = st.sampled_from(["members", "errors"])
KEYS = st.sampled_from(["", "a", "a/1", "a/2", "b", "ä"])
VALUES = st.binary(max_size=8)
TTLS = st.none() | st.sampled_from([1.0, 5.0, 60.0])


def test_a_document_is_read_back_with_its_revision(store: Store) -> None:
    revision = store.documents.put("members", "a", b"1")
    document = store.documents.get("members", "a")
    assert document is not None
    assert (document.key, document.value, document.revision) == ("a", b"1", revision)
    assert store.documents.get("members", "b") is None
    assert store.documents.get("errors", "a") is None


def test_a_revision_rises_and_is_not_used_again_after_a_deletion(store: Store) -> None:
    first = store.documents.put("members", "a", b"1")
    second = store.documents.put("members", "a", b"1")
    store.documents.delete("members", "a")
    third = store.documents.put("members", "a", b"1")
    assert first < second < third
    with pytest.raises(Conflict):
        store.documents.swap("members", "a", b"2", second)


def test_a_swap_needs_the_revision_that_is_there(store: Store) -> None:
    first = store.documents.swap("members", "a", b"1", 0)
    with pytest.raises(Conflict, match="revision 0"):
        store.documents.swap("members", "a", b"2", 0)
    second = store.documents.swap("members", "a", b"2", first)
    with pytest.raises(Conflict):
        store.documents.swap("members", "a", b"3", first)
    document = store.documents.get("members", "a")
    assert document is not None
    assert (document.value, document.revision) == (b"2", second)


def test_documents_are_added_all_or_none(store: Store) -> None:
    watch = store.documents.watch("members")
    store.documents.add_all("members", {"a": b"1", "b": b"2"})
    assert [(d.key, d.value) for d in watch.items()] == [("a", b"1"), ("b", b"2")]
    with pytest.raises(Conflict, match="members/b"):
        store.documents.add_all("members", {"c": b"3", "b": b"4", "d": b"5"})
    assert [(d.key, d.value) for d in store.documents.items("members")] == [("a", b"1"), ("b", b"2")]
    assert [d.key for d in watch.items()] == ["a", "b"]
    watch.close()


def test_of_many_swaps_at_once_one_wins(store: Store) -> None:
    revision = store.documents.put("members", "a", b"start")

    def swap(caller: int) -> int:
        with suppress(Conflict):
            store.documents.swap("members", "a", b"%d" % caller, revision)
            return caller
        return -1

    with ThreadPoolExecutor(12) as pool:
        winners = [caller for caller in pool.map(swap, range(12)) if caller >= 0]
    document = store.documents.get("members", "a")
    assert document is not None
    assert [document.value] == [b"%d" % caller for caller in winners]


def test_an_expired_document_is_gone_for_everybody(store: Store, clock: Clock) -> None:
    watch = store.documents.watch("members")
    revision = store.documents.put("members", "a", b"1", ttl_s=30)
    clock.pass_by(29.5)
    assert store.documents.get("members", "a") is not None
    assert watch.get("a") is not None
    clock.pass_by(0.5)
    assert store.documents.get("members", "a") is None
    assert store.documents.items("members") == []
    assert watch.get("a") is None
    assert list(watch.items()) == []
    with pytest.raises(Conflict):
        store.documents.swap("members", "a", b"2", revision)
    store.documents.swap("members", "a", b"3", 0)
    assert watch.get("a") is not None


def test_a_later_write_without_time_to_live_keeps_the_document(store: Store, clock: Clock) -> None:
    store.documents.put("members", "a", b"1", ttl_s=1)
    store.documents.put("members", "a", b"2")
    clock.pass_by(10_000)
    assert store.documents.get("members", "a") is not None


def test_items_come_by_key_and_prefix(store: Store) -> None:
    for key in ("b", "a/2", "a", "a/1", "a%", "ab", "a\U0010ffff"):
        store.documents.put("members", key, key.encode())
    watch = store.documents.watch("members")
    assert [document.key for document in store.documents.items("members", "a/")] == ["a/1", "a/2"]
    assert [document.key for document in store.documents.items("members", "a%")] == ["a%"]
    assert store.documents.items("members") == list(watch.items())
    assert store.documents.items("members", "a") == list(watch.items("a"))
    assert len(store.documents.items("members")) == 7


def test_a_watch_says_that_nothing_changed_until_something_does(store: Store) -> None:
    watch, other = store.documents.watch("members"), store.documents.watch("errors")
    seen = [watch.changes]
    for change in (lambda: store.documents.put("members", "a", b"1"), lambda: store.documents.delete("members", "a")):
        change()
        seen.append(watch.changes)
    assert len(set(seen)) == 3
    store.documents.put("errors", "a", b"1")
    assert (watch.changes, other.changes) != (seen[0], 0)
    assert watch.changes == seen[-1]


def test_a_watch_is_warm_and_current_until_it_is_closed(store: Store) -> None:
    store.documents.put("members", "a", b"1")
    watch, other = store.documents.watch("members"), store.documents.watch("errors")
    assert [document.value for document in watch.items()] == [b"1"]
    store.documents.put("members", "b", b"2")
    store.documents.put("members", "a", b"3")
    assert [document.value for document in watch.items()] == [b"3", b"2"]
    assert (watch.n_documents, other.n_documents) == (2, 0)
    store.documents.delete("members", "a")
    assert [document.value for document in watch.items()] == [b"2"]
    assert watch.n_documents == 1
    assert list(other.items()) == []
    watch.close()
    watch.close()
    store.documents.put("members", "c", b"4")
    assert watch.get("c") is None


def test_documents_are_there_after_reopening(family: OpenFamily, tmp_path: Path, clock: Clock) -> None:
    store = family(tmp_path, clock)
    revision = store.documents.put("members", "a", b"1")
    store.documents.put("members", "b", b"1", ttl_s=5)
    store.close()
    clock.pass_by(6)
    store = family(tmp_path, clock)
    assert [(document.key, document.revision) for document in store.documents.items("members")] == [("a", revision)]
    assert store.documents.put("members", "a", b"2") > revision
    store.close()


class DocumentsMachine(RuleBasedStateMachine):
    """Any sequence of changes leaves reads, lists and watches as a dict would be."""

    open_family: OpenFamily

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.clock = Clock()
        self.store: Store = self.open_family(Path(self.folder.name), self.clock)
        self.model: dict[tuple[str, str], tuple[bytes, int, float | None]] = {}

    @initialize()
    def watch(self) -> None:
        self.watches = {bucket: self.store.documents.watch(bucket) for bucket in ("members", "errors")}

    def live(self) -> Mapping[tuple[str, str], tuple[bytes, int]]:
        now_s = self.clock().timestamp()
        return {
            place: (value, revision)
            for place, (value, revision, expires) in self.model.items()
            if expires is None or expires > now_s
        }

    def expiry(self, ttl_s: float | None) -> float | None:
        return None if ttl_s is None else self.clock().timestamp() + ttl_s

    @rule(bucket=BUCKETS, key=KEYS, value=VALUES, ttl_s=TTLS)
    def put(self, bucket: str, key: str, value: bytes, ttl_s: float | None) -> None:
        revision = self.store.documents.put(bucket, key, value, ttl_s=ttl_s)
        assert all(revision > other for _, other, _ in self.model.values())
        self.model[bucket, key] = value, revision, self.expiry(ttl_s)

    @rule(bucket=BUCKETS, key=KEYS, value=VALUES, ttl_s=TTLS, right=st.booleans())
    def swap(self, bucket: str, key: str, value: bytes, ttl_s: float | None, right: bool) -> None:
        there = self.live().get((bucket, key), (b"", 0))[1]
        if right:
            revision = self.store.documents.swap(bucket, key, value, there, ttl_s=ttl_s)
            self.model[bucket, key] = value, revision, self.expiry(ttl_s)
        else:
            with pytest.raises(Conflict):
                self.store.documents.swap(bucket, key, value, there + 1, ttl_s=ttl_s)

    @rule(bucket=BUCKETS, key=KEYS)
    def delete(self, bucket: str, key: str) -> None:
        self.store.documents.delete(bucket, key)
        self.model.pop((bucket, key), None)

    @rule(seconds=st.sampled_from([0.5, 1.0, 30.0, 100.0]))
    def pass_by(self, seconds: float) -> None:
        self.clock.pass_by(seconds)

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = self.open_family(Path(self.folder.name), self.clock)
        self.watch()

    @invariant()
    def reads_agree_with_the_model(self) -> None:
        for bucket in ("members", "errors"):
            expected = sorted((key, *rest) for (place, key), rest in self.live().items() if place == bucket)
            found = self.store.documents.items(bucket)
            assert [(document.key, document.value, document.revision) for document in found] == expected
            if hasattr(self, "watches"):
                assert list(self.watches[bucket].items()) == found
            for document in found:
                assert self.store.documents.get(bucket, document.key) == document

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()


def test_any_sequence_of_changes_leaves_documents_like_a_dict(family: OpenFamily) -> None:
    machine = type("FamilyMachine", (DocumentsMachine,), {"open_family": staticmethod(family)})
    run_state_machine_as_test(machine, settings=settings(max_examples=30, stateful_step_count=25, deadline=None))
