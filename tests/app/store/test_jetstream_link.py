"""Writes whose answers are lost: stored once, and known to be."""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from app.store.contract import Output
from app.store.jetstream import JetStreamStore
from app.store.jetstream_link import EXPECTED
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


def losing_the_answer(proxy: Proxy, said: bytes, write: Callable[[], int]) -> int:
    """Write, lose the answer to what the writer says, and end the connection when it was lost; return what the write returns."""
    proxy.mute_at(said)
    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(write)
        while not proxy.lost_bytes:
            assert not written.done()
            wait([written], 0.01)
        proxy.cut()
        return written.result()


def test_an_append_whose_answer_is_lost_is_there_once(proxy: Proxy, far: JetStreamStore, near: JetStreamStore) -> None:
    offset = losing_the_answer(proxy, b"Nats-Msg-Id", lambda: far.log.append(1, "a", b"one"))
    last = near.log.append(1, "b", b"two")
    assert [(entry.offset, entry.data) for entry in near.log.read(1, 0)] == [(offset, b"one"), (last, b"two")]


def test_a_swap_whose_answer_is_lost_won(proxy: Proxy, far: JetStreamStore, near: JetStreamStore) -> None:
    revision = far.documents.put("members", "a", b"0")
    found = losing_the_answer(proxy, EXPECTED.encode(), lambda: far.documents.swap("members", "a", b"1", revision))
    there = near.documents.get("members", "a")
    assert there is not None
    assert (there.value, there.revision) == (b"1", found)
    with pytest.raises(Conflict):
        far.documents.swap("members", "a", b"2", revision)


def test_a_commit_whose_answer_is_lost_is_not_fenced_by_itself(proxy: Proxy, far: JetStreamStore, near: JetStreamStore) -> None:
    head = far.checkpoints.acquire(2, "far")
    outputs = [Output("predictions", f"k{n}", b"v") for n in range(20)]
    token = losing_the_answer(
        proxy, b"Nats-Batch-Commit", lambda: far.checkpoints.commit(2, head.token, 7, {"a": b"1"}, outputs)
    )
    assert far.checkpoints.commit(2, token, 8, {}) > token
    after = near.checkpoints.acquire(2, "near")
    assert (after.offset, dict(after.state)) == (8, {"a": b"1"})
    assert len(near.documents.items("predictions")) == 20
