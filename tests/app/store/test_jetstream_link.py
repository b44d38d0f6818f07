"""Writes whose answers are lost: stored once, and known to be."""

from __future__ import annotations

import threading
from collections.abc import Generator
from pathlib import Path

import pytest

from app.store.contract import Output
from app.store.jetstream import JetStreamStore
from features.errors import Conflict
from tests.app.store.jetstreams import accounts, an_account, opened
from tests.proxies import Proxy


@pytest.fixture
def account() -> Path:
    return an_account()


@pytest.fixture
def proxy() -> Generator[Proxy]:
    made = Proxy(accounts().port)
    yield made
    made.close()


@pytest.fixture
def far(account: Path, proxy: Proxy) -> Generator[JetStreamStore]:
    store = opened(account, servers=f"nats://127.0.0.1:{proxy.port}")
    yield store
    store.close()


@pytest.fixture
def near(account: Path, far: JetStreamStore) -> Generator[JetStreamStore]:
    store = opened(account)
    yield store
    store.close()


def losing_the_answer(proxy: Proxy, write: threading.Thread, taken: object) -> None:
    """Run a write whose answer is lost, and end the connection once the server has taken it."""
    proxy.mute()
    write.start()
    while not taken():  # type: ignore[operator]
        write.join(0.01)
        assert write.is_alive()
    proxy.cut()
    write.join()


def test_an_append_whose_answer_is_lost_is_there_once(proxy: Proxy, far: JetStreamStore, near: JetStreamStore) -> None:
    offsets: list[int] = []
    write = threading.Thread(target=lambda: offsets.append(far.log.append(1, "a", b"one")))
    losing_the_answer(proxy, write, lambda: near.log.end(1) or _last(near))
    near.log.append(1, "b", b"two")
    assert [entry.data for entry in near.log.read(1, 0)] == [b"one", b"two"]
    assert near.log.read(1, 0)[0].offset == offsets[0]


def _last(store: JetStreamStore) -> bool:
    """Whether partition 1 holds anything, by the server's word: nobody told the others, since the writer does not know yet."""
    store.log.wait(0.01)
    store.log.refresh()
    return store.log.end(1) > 0


def test_a_swap_whose_answer_is_lost_won(proxy: Proxy, far: JetStreamStore, near: JetStreamStore) -> None:
    revision = far.documents.put("members", "a", b"0")
    found: list[int] = []
    write = threading.Thread(target=lambda: found.append(far.documents.swap("members", "a", b"1", revision)))
    # The swap asks for the revision first, whose answer is lost too; so it is cut off as soon as something is lost.
    proxy.mute()
    write.start()
    while not proxy.lost_bytes:
        write.join(0.01)
    proxy.cut()
    write.join()
    there = near.documents.get("members", "a")
    assert there is not None
    assert (there.value, there.revision) == (b"1", found[0])
    with pytest.raises(Conflict):
        far.documents.swap("members", "a", b"2", revision)


def test_a_commit_whose_answer_is_lost_is_not_fenced_by_itself(proxy: Proxy, far: JetStreamStore, near: JetStreamStore) -> None:
    head = far.checkpoints.acquire(2, "far")
    tokens: list[int] = []

    def commit() -> None:
        outputs = [Output("predictions", f"k{n}", b"v") for n in range(20)]
        tokens.append(far.checkpoints.commit(2, head.token, 7, {"a": b"1"}, outputs))

    losing_the_answer(proxy, threading.Thread(target=commit), lambda: near.documents.get("predictions", "k19"))
    assert far.checkpoints.commit(2, tokens[0], 8, {}) > tokens[0]
    after = near.checkpoints.acquire(2, "near")
    assert (after.offset, dict(after.state)) == (8, {"a": b"1"})
    assert len(near.documents.items("predictions")) == 20
