"""What is particular to the log of a cluster: many entries share a message."""

from __future__ import annotations

import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from app.store import jetstream_link
from app.store.jetstream import JetStreamStore, open_jetstream
from app.telemetry import Telemetry
from features.errors import BodyTooLarge, LogFull, Overloaded, StoreFailed
from tests.app.store.jetstreams import PLAN, an_account, opened
from tests.cluster.servers import Servers
from tests.nodes import until
from tests.proxies import Proxy


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


def test_a_reader_elsewhere_learns_of_entries_within_seconds_also_when_the_word_was_lost() -> None:
    account = an_account()
    one, other = opened(account), opened(account)
    other.log.told = lambda _: None  # type: ignore[method-assign]
    other.log.wait(0.0)
    offset = one.log.append(2, "", b"x")
    assert other.log.end(2) == 0
    assert other.log.wait(10.0), "who waits is woken by the look too"
    assert other.log.end(2) == offset
    assert [entry.data for entry in other.log.read(2, 0)] == [b"x"]
    assert other.log.size() == one.log.size() > 0
    one.close()
    other.close()


def test_a_word_that_was_lost_is_made_good_though_the_reader_appends_to_the_same_stream() -> None:
    account = an_account()
    one, other = opened(account), opened(account)
    real, other.log.told = other.log.told, lambda _: None  # type: ignore[method-assign]
    offset = one.log.append(2, "", b"x")
    until_told = other.log.append(0, "", b"y")  # partitions 0 and 2 share a stream
    other.log.told = real  # type: ignore[method-assign]
    assert until_told > offset
    assert other.log.end(2) == 0
    until(lambda: other.log.end(2) == offset, "a look")
    one.close()
    other.close()


def test_streams_that_tell_of_all_are_asked_for_no_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    account = an_account()
    one, other = opened(account), opened(account)
    asked: list[int] = []
    real = other.log._last  # pyright: ignore[reportPrivateUsage]

    async def counted(partition: int) -> int:
        asked.append(partition)
        return await real(partition)

    monkeypatch.setattr(other.log, "_last", counted)
    began = time.monotonic()
    while time.monotonic() - began < 2.5:
        one.log.append(1, "", b"x")
        other.log.append(3, "", b"y")
    assert asked == []
    one.close()
    other.close()


def test_what_another_process_appended_counts_at_once() -> None:
    account = an_account()
    one, other = opened(account), opened(account)
    before = other.log.size()
    offset = one.log.append(2, "", bytes(50_000))
    until(lambda: other.log.end(2) == offset, "the word")
    assert 50_000 <= other.log.size() - before < 51_000
    one.close()
    other.close()


def test_servers_refuse_what_passes_their_bound_and_it_is_said_at_once() -> None:
    store = opened(an_account(), replace(PLAN, max_bytes=2_000_000))
    store.log._admit = lambda _: None  # type: ignore[method-assign]  # as a node that does not know yet
    taken: list[int] = []
    began = time.monotonic()
    with pytest.raises(LogFull, match="maximum bytes exceeded"):
        taken.extend(store.log.append(1, "", bytes(100_000)) for _ in range(30))
    assert time.monotonic() - began < 5.0
    assert len(taken) == 12, "a quarter more than its half"
    assert [entry.offset for entry in store.log.read(1, 0)] == taken
    store.log.trim(1, taken[5])
    assert store.log.append(1, "", bytes(100_000)) > taken[-1]
    store.close()


def test_streams_of_before_are_given_the_bound_and_a_larger_one_later() -> None:
    account = an_account()
    opened(account).close()
    for max_bytes, hard in ((2_000_000, 1_250_000), (4_000_000, 2_500_000), (0, -1)):
        store = opened(account, replace(PLAN, max_bytes=max_bytes))
        link = store.log._link  # pyright: ignore[reportPrivateUsage]
        assert link.call(link.api("STREAM.INFO.FS_LOG_1"))["config"]["max_bytes"] == hard
        store.close()


def test_a_stream_that_holds_more_than_a_new_bound_keeps_all_and_takes_no_more() -> None:
    account = an_account()
    store = opened(account)
    offsets = [store.log.append(1, "", bytes(100_000)) for _ in range(20)]
    store.close()
    store = opened(account, replace(PLAN, max_bytes=1_000_000))
    assert [entry.offset for entry in store.log.read(1, 0)] == offsets
    with pytest.raises(LogFull):
        store.log.append(1, "", bytes(100_000))
    store.close()


def test_trimming_before_the_first_entry_forgets_nothing(store: JetStreamStore) -> None:
    offset = store.log.append(1, "", b"x")
    for through in (0, 5):
        store.log.trim(1, through)
    assert [(entry.offset, entry.data) for entry in store.log.read(1, 0)] == [(offset, b"x")]


def test_a_message_larger_than_the_servers_take_is_refused_at_once(store: JetStreamStore) -> None:
    with pytest.raises(BodyTooLarge, match="max_payload, got 8388608"):
        store.log.append_later([(0, "", b""), (0, "", bytes(2**23))])
    largest = 2**23 - 4096 - 16
    assert store.log.append(0, "", bytes(largest))
    assert [len(entry.data) for entry in store.log.read(0, 0)] == [largest]


def test_what_is_under_way_when_the_log_closes_is_finished_and_nothing_more_is_taken() -> None:
    account = an_account()
    store = opened(account)
    answers = [store.log.append_later([(0, "", b"%d" % n)]) for n in range(5000)]
    store.close()
    offsets = [answer.result(0)[0] for answer in answers]
    with pytest.raises(StoreFailed, match="closed"):
        store.log.append_later([(0, "", b"x")])
    store = opened(account)
    assert store.log.end(0) == offsets[-1]
    store.close()


def test_who_asks_for_few_entries_is_not_sent_megabytes() -> None:
    store = opened(an_account(), replace(PLAN, max_in_flight_bytes=2**25))
    store.log.append_many([(1, "", bytes(200))] * 40_000)
    link = store.log._link  # pyright: ignore[reportPrivateUsage]
    asked = {"seq": 1, "batch": 1000, "max_bytes": 2**25, "next_by_subj": "fs.log.1.1"}
    assert sum(len(stored.data) for stored in link.call(link.some("FS_LOG_1", asked))[0]) > 8_000_000
    before = link.client.stats["in_bytes"]
    assert len(store.log.read(1, 0, 256)) == 256
    assert link.client.stats["in_bytes"] - before < 2_000_000
    store.close()


def test_what_waits_from_before_the_start_is_estimated_and_counted_from_then_on() -> None:
    account = an_account()
    store = opened(account)
    first, *_, last = [store.log.append_many([(1, "", b"x")] * 100)[-1] for _ in range(5)]
    store.close()
    store = opened(account)
    assert [store.log.waiting(1, offset) for offset in (0, first, last - 10, last)] == [500, 400, 10, 0]
    for _ in range(10):
        store.log.append_many([(1, "", b"x")] * 50)
    assert store.log.waiting(1, last) == 500
    store.close()


def test_servers_whose_disk_is_full_refuse_at_once_and_take_again_once_it_is_trimmed(tmp_path: Path) -> None:
    servers = Servers(tmp_path, 1, disk="4MB")
    store = open_jetstream({"servers": servers.urls}, PLAN, lambda: datetime.now(UTC))
    taken: list[int] = []
    with pytest.raises(LogFull, match="insufficient resources"):
        taken.extend(store.log.append(1, "", bytes(200_000)) for _ in range(100))
    with pytest.raises(StoreFailed, match="insufficient resources"):
        store.documents.put("members", "a", b"1")
    assert [entry.offset for entry in store.log.read(1, 0)] == taken
    store.log.trim(1, taken[4])
    again = until_taken(store)
    store.close()
    store = open_jetstream({"servers": servers.urls}, PLAN, lambda: datetime.now(UTC))
    assert [entry.offset for entry in store.log.read(1, 0)] == [*taken[5:], again]
    store.close()
    servers.close()


def until_taken(store: JetStreamStore) -> int:
    found: list[int] = []

    def taken() -> bool:
        try:
            found.append(store.log.append(1, "", bytes(200_000)))
        except LogFull:
            return False
        return True

    until(taken, "room")
    return found[0]


def test_a_cluster_that_is_away_is_waited_for_once_then_refused_at_once_and_used_again_within_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jetstream_link, "_PATIENCE_S", 3.0)
    servers, telemetry = Servers(tmp_path, 1), Telemetry()
    store = open_jetstream({"servers": servers.urls}, PLAN, lambda: datetime.now(UTC), telemetry)
    offset = store.log.append(1, "", b"before")
    servers.kill(0)
    with ThreadPoolExecutor(20) as pool:
        waiting = [pool.submit(_refusal, store) for _ in range(20)]
        assert max(one.result() for one in waiting) < 3.0 + 2.0 + 1.5
    until(lambda: telemetry.value("breaker_state", target="nats FS_LOG_1") > 0, "the breaker")
    assert max(_refusal(store) for _ in range(20)) < 3.0, "at most one of them looks, for two seconds"
    assert telemetry.value("calls", target="nats FS_LOG_1", outcome="refused") > 0
    assert "nats FS_LOG_1 has not answered for" in store.trouble
    assert store.failure == ""
    servers.start(0)
    began = time.monotonic()
    until(lambda: store.trouble == "", "the cluster")
    assert time.monotonic() - began < 8.0
    found = [entry.offset for entry in store.log.read(1, 0)]
    last = store.log.append(1, "", b"after")
    assert found[0] == offset
    assert last > found[-1]
    assert telemetry.value("retries", target="nats FS_LOG_1") > 0
    store.close()
    servers.close()


def _refusal(store: JetStreamStore) -> float:
    """Append in vain, and return how long that took."""
    began = time.monotonic()
    with pytest.raises(StoreFailed):
        store.log.append(1, "", b"x")
    return time.monotonic() - began


def test_servers_that_take_and_never_answer_are_bounded_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jetstream_link, "_PATIENCE_S", 1.0)
    servers = Servers(tmp_path, 1)
    proxy = Proxy(servers.ports[0])
    telemetry = Telemetry()
    store = open_jetstream({"servers": f"nats://127.0.0.1:{proxy.port}"}, PLAN, lambda: datetime.now(UTC), telemetry)
    proxy.mute_at(b"Nats-Msg-Id")
    assert _refusal(store) < 6.0
    until(lambda: telemetry.value("breaker_state", target="nats FS_LOG_1") > 0, "the breaker")
    proxy.cut()
    until(lambda: store.trouble == "", "the cluster")
    last = store.log.append(1, "", b"y")
    assert [(entry.offset, entry.data) for entry in store.log.read(1, 0)][-1] == (last, b"y")
    assert [entry.data for entry in store.log.read(1, 0)] in ([b"x", b"y"], [b"y"]), (
        "what was refused is there once or not at all"
    )
    store.close()
    proxy.close()
    servers.close()
