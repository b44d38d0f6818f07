"""Writes whose answers are lost: stored once, and known to be."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest
from nats.aio.msg import Msg

from app.store import jetstream_link
from app.store.contract import Commit, Output
from app.store.jetstream import JetStreamStore
from app.store.jetstream_answers import EXPECTED, Stored
from features.errors import Conflict, Fenced, StoreFailed
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


def test_an_answer_is_waited_for_no_longer_than_the_connection_lasts(
    proxy: Proxy, far: JetStreamStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jetstream_link, "_REQUEST_S", 600.0)
    began = time.monotonic()
    losing_the_answer(proxy, b"Nats-Msg-Id", lambda: far.log.append(1, "a", b"one"))
    assert time.monotonic() - began < 60.0


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


@pytest.mark.parametrize("lost", [b"Nats-Batch-Commit", b"Nats-Batch-Sequence: 1\r"])
def test_a_tick_of_several_partitions_and_batches_is_not_fenced_by_itself(
    proxy: Proxy, far: JetStreamStore, near: JetStreamStore, lost: bytes
) -> None:
    numbers = (0, 1, 2)
    tokens = {number: far.checkpoints.acquire(number, "far").token for number in numbers}

    def commit(offset: int) -> int:
        """Commit what a tick publishes: more documents than a batch holds, and state."""
        made = {number: [Output("predictions", f"{number}-{n}", b"v") for n in range(500)] for number in numbers}
        commits = [Commit(n, tokens[n], offset, {"a": b"%d" % offset}, made[n]) for n in numbers]
        tokens.update(zip(numbers, far.checkpoints.commit_all(commits), strict=True))
        return offset

    losing_the_answer(proxy, lost, lambda: commit(7))
    assert commit(8) == 8
    for number in numbers:
        after = near.checkpoints.acquire(number, "near")
        assert (after.offset, dict(after.state)) == (8, {"a": b"8"})
    assert len(near.documents.items("predictions")) == 1500
    with pytest.raises(Fenced):
        commit(9)


def test_a_try_that_is_refused_because_the_one_before_is_only_now_stored_was_taken(
    proxy: Proxy, far: JetStreamStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = far.checkpoints.acquire(2, "far")
    link = far.checkpoints._link  # pyright: ignore[reportPrivateUsage]
    look = link._newest  # pyright: ignore[reportPrivateUsage]
    before = link.call(look("FS_STATE", "fs.state.2.head"))
    looks = iter([before])

    async def late(stream: str, subject: str) -> Stored | None:
        """Answer first as a leader that has not got to the earlier try."""
        return next(looks, None) or await look(stream, subject)

    monkeypatch.setattr(link, "_newest", late)
    token = losing_the_answer(proxy, b"Nats-Batch-Commit", lambda: far.checkpoints.commit(2, head.token, 7, {"a": b"1"}))
    assert far.checkpoints.commit(2, token, 8, {}) > token


def test_a_page_that_lost_messages_on_its_way_is_asked_for_again(near: JetStreamStore) -> None:
    link = near.log._link  # pyright: ignore[reportPrivateUsage]
    pages = iter([[1, 3], [1, 2, 3], [1]])

    async def answer(asked: Msg) -> None:
        *places, last = [0, *next(pages)]
        for place in [*places[1:], last]:
            headers = {"Nats-Subject": "s", "Nats-Sequence": str(place), "Nats-Last-Sequence": str(place - 1)}
            await link.client.publish(asked.reply, b"", headers=headers)
        end = {"Status": "204", "Nats-Num-Pending": "0", "Nats-Last-Sequence": "3"}
        await link.client.publish(asked.reply, b"", headers=end)

    link.call(link.client.subscribe("$JS.API.DIRECT.GET.OTHER", cb=answer))
    page, _ = link.call(link.some("OTHER", {"seq": 1}))
    assert [stored.sequence for stored in page] == [1, 2, 3]


def test_a_read_waits_while_nobody_serves_the_stream(near: JetStreamStore) -> None:
    link = near.log._link  # pyright: ignore[reportPrivateUsage]
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(lambda: link.call(link.some("LATE", {"seq": 1, "batch": 1, "next_by_subj": "late"})))
        assert not wait([read], 0.05).done
        made = {"name": "LATE", "subjects": ["late"], "allow_direct": True}
        assert "error" not in link.call(link.api("STREAM.CREATE.LATE", made))
        assert read.result(10)[0] == []


def test_while_servers_start_the_api_is_asked_again(near: JetStreamStore) -> None:
    link = near.log._link  # pyright: ignore[reportPrivateUsage]
    answers = iter([{"error": {"code": 503, "err_code": 10008, "description": "temporarily unavailable"}}, {"made": True}])

    async def answer(asked: Msg) -> None:
        await asked.respond(json.dumps(next(answers)).encode())

    link.call(link.client.subscribe("$JS.API.OTHER", cb=answer))
    assert link.call(link.api("OTHER")) == {"made": True}


def test_a_document_larger_than_the_servers_take_is_refused_with_the_bound(near: JetStreamStore) -> None:
    with pytest.raises(StoreFailed, match="at most 8384512 bytes by the servers' max_payload"):
        near.documents.put("members", "a", bytes(2**23))
    assert near.documents.put("members", "a", b"1")


def test_who_waits_while_the_connection_is_closed_is_told(account: Path) -> None:
    store = opened(account)
    link = store.log._link  # pyright: ignore[reportPrivateUsage]
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(lambda: link.call(link.api("NOBODY.ANSWERS")))
        wait([asked], 0.05)
        store.close()
        with pytest.raises(StoreFailed):
            asked.result(10)


def test_servers_that_are_away_are_not_waited_for_for_ever_and_the_error_shows_no_token(
    account: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jetstream_link, "_PATIENCE_S", 0.3)
    with pytest.raises(StoreFailed) as failed:
        opened(account, servers=["nats://s3cret@127.0.0.1:9", "nats://u:s3cret@127.0.0.1:10"])
    assert "s3cret" not in str(failed.value)
    assert "nats://127.0.0.1:9" in str(failed.value)
