"""What every `Log` promises."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from app.store.contract import SHORT_BYTES, Log
from features.errors import InvalidValue, LogFull
from tests.contracts.stores import LOG_BYTES, PARTITIONS, Clock, OpenFamily, Store


def read_all(log: Log, partition: int) -> list[bytes]:
    found: list[bytes] = []
    after = 0
    while entries := log.read(partition, after, 7):
        found += [entry.data for entry in entries]
        after = entries[-1].offset
    return found


def test_an_entry_is_read_back_with_its_offset(store: Store) -> None:
    offset = store.log.append(1, "a", b"one")
    assert [(entry.offset, entry.data) for entry in store.log.read(1, 0)] == [(offset, b"one")]
    assert offset >= 1
    assert store.log.read(0, 0) == []


def test_offsets_rise_and_reading_goes_on_after_one(store: Store) -> None:
    offsets = [store.log.append(2, str(n), b"%d" % n) for n in range(10)]
    assert all(earlier < later for earlier, later in pairwise(offsets))
    assert [entry.data for entry in store.log.read(2, offsets[3], 3)] == [b"4", b"5", b"6"]
    assert store.log.end(2) == offsets[-1]


def test_an_empty_partition_ends_at_zero(store: Store) -> None:
    assert [store.log.end(partition) for partition in range(store.log.n_partitions)] == [0] * PARTITIONS


def test_messages_of_several_partitions_are_appended_together_in_order(store: Store) -> None:
    offsets = store.log.append_many([(0, "a", b"1"), (3, "b", b"2"), (0, "c", b"3")])
    assert len(offsets) == 3
    assert [entry.offset for entry in store.log.read(0, 0)] == [offsets[0], offsets[2]]
    assert [entry.data for entry in store.log.read(3, 0)] == [b"2"]


def test_appending_later_keeps_the_order_of_the_calls_and_answers_once_it_can_be_read(store: Store) -> None:
    read: list[bool] = []

    def look(done: Future[list[int]]) -> None:
        (offset,) = done.result()
        read.append(any(entry.offset == offset for entry in store.log.read(1, 0)))

    answers = [store.log.append_later([(1, str(n), b"%d" % n)]) for n in range(100)]
    for answer in answers:
        answer.add_done_callback(look)
    offsets = [answer.result(60)[0] for answer in answers]
    assert offsets == sorted(offsets)
    assert [entry.data for entry in store.log.read(1, 0)] == [b"%d" % n for n in range(100)]
    store.log.append(1, "x", b"x")  # by now every callback has run
    assert read == [True] * 100


def test_a_partition_that_does_not_exist_is_refused_at_once(store: Store) -> None:
    with pytest.raises(InvalidValue):
        store.log.append_later([(PARTITIONS, "b", b"2")])


def test_appending_nothing_is_fine(store: Store) -> None:
    assert store.log.append_many([]) == []


@pytest.mark.parametrize("partition", [-1, PARTITIONS])
def test_a_partition_that_does_not_exist_is_refused_whole(store: Store, partition: int) -> None:
    with pytest.raises(InvalidValue, match=str(partition)):
        store.log.append_many([(0, "a", b"1"), (partition, "b", b"2")])
    assert store.log.read(0, 0) == []


def test_bytes_come_back_as_they_were(store: Store) -> None:
    messages = [b"", bytes(range(256)), b"\0" * 300_000]
    for message in messages:
        store.log.append(0, "x", message)
    assert read_all(store.log, 0) == messages


def test_trimmed_entries_are_gone_and_their_offsets_are_not_used_again(store: Store) -> None:
    offsets = [store.log.append(0, str(n), b"%d" % n) for n in range(5)]
    store.log.trim(0, offsets[2])
    assert read_all(store.log, 0) == [b"3", b"4"]
    store.log.trim(0, offsets[-1] + 10)
    assert read_all(store.log, 0) == []
    assert store.log.append(0, "x", b"new") > offsets[-1]
    assert read_all(store.log, 0) == [b"new"]


def test_everything_acknowledged_is_there_after_reopening(family: OpenFamily, tmp_path: Path, clock: Clock) -> None:
    store = family(tmp_path, clock)
    offsets = [store.log.append(1, str(n), b"%d" % n) for n in range(20)]
    store.log.trim(1, offsets[4])
    store.close()
    store = family(tmp_path, clock)
    assert read_all(store.log, 1) == [b"%d" % n for n in range(5, 20)]
    assert store.log.end(1) == offsets[-1]
    assert store.log.append(1, "x", b"x") > offsets[-1]
    store.close()


def test_concurrent_appends_are_each_there_once_and_in_their_callers_order(store: Store) -> None:
    def append(caller: int) -> list[int]:
        return [store.log.append(n % PARTITIONS, f"{caller}/{n}", b"%d/%d" % (caller, n)) for n in range(40)]

    with ThreadPoolExecutor(16) as pool:
        acknowledged = list(pool.map(append, range(16)))
    read = {partition: store.log.read(partition, 0, 10_000) for partition in range(PARTITIONS)}
    counted = Counter(entry.data for entries in read.values() for entry in entries)
    assert counted == Counter(b"%d/%d" % (caller, n) for caller in range(16) for n in range(40))
    for caller, offsets in enumerate(acknowledged):
        for n, offset in enumerate(offsets):
            assert [entry.data for entry in read[n % PARTITIONS] if entry.offset == offset] == [b"%d/%d" % (caller, n)]
        for partition in range(PARTITIONS):
            mine = [int(entry.data.split(b"/")[1]) for entry in read[partition] if entry.data.startswith(b"%d/" % caller)]
            assert mine == sorted(mine)


def test_a_reader_beside_writers_sees_a_prefix_without_holes(store: Store) -> None:
    done = threading.Event()

    def write() -> None:
        for n in range(300):
            store.log.append(0, str(n), b"%d" % n)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        found = [int(entry.data) for entry in store.log.read(0, 0, 1000)]
        assert found == list(range(len(found)))
    writer.join()
    assert len(store.log.read(0, 0, 1000)) == 300


def test_waiting_ends_when_something_is_appended(store: Store) -> None:
    store.log.wait(0.0)
    with ThreadPoolExecutor(1) as pool:
        appended = pool.submit(store.log.append, 0, "a", b"1")
        assert store.log.wait(30.0)
        appended.result()


def test_an_append_between_a_read_and_a_wait_is_not_slept_through(store: Store) -> None:
    store.log.wait(0.0)
    assert store.log.read(0, 0) == []
    store.log.append(0, "a", b"1")
    assert store.log.wait(30.0)
    assert not store.log.wait(0.0)


def test_entries_that_wait_are_counted_whatever_their_offsets(store: Store) -> None:
    store.log.append_many([(0, "", b"x"), (2, "", b"x")])
    offsets = [*store.log.append_many([(1, "", b"x")] * 500), store.log.append(1, "", b"x")]
    assert store.log.waiting(1, 0) == 501
    assert [store.log.waiting(1, offsets[place]) for place in (0, 100, 499, 500)] == [500, 400, 1, 0]
    assert (store.log.waiting(0, 0), store.log.waiting(3, 0)) == (1, 0)


def test_size_and_fullness_follow_what_is_appended_and_forgotten(store: Store) -> None:
    empty = store.log.size()
    offsets = [store.log.append(0, "", bytes(10_000)) for _ in range(30)]
    assert 300_000 <= store.log.size() - empty < 330_000
    fullness = store.log.fullness(0)
    assert 300_000 / LOG_BYTES <= fullness < 1.0
    store.log.trim(0, offsets[-1])
    _until(lambda: store.log.size() - empty < 20_000)  # a message that others may still join may stay
    assert store.log.fullness(0) < fullness / 2


def test_a_full_log_refuses_and_loses_nothing_but_takes_markers_and_has_room_again_once_it_is_trimmed(store: Store) -> None:
    offsets: list[int] = []
    while store.log.fullness(1) < 1.0:
        offsets.append(store.log.append(1, "", bytes(100_000)))
    assert 10 < len(offsets) <= LOG_BYTES / 100_000
    with pytest.raises(LogFull, match="must hold less than"):
        store.log.append_later([(1, "", b"x"), (1, "", bytes(100))])
    marker = store.log.append(1, "", bytes(SHORT_BYTES))
    assert [entry.offset for entry in store.log.read(1, 0)] == [*offsets, marker]
    store.log.trim(1, offsets[-1])
    _until(lambda: store.log.fullness(1) < 1.0)
    assert store.log.append(1, "", bytes(100_000)) > marker


def test_size_is_known_after_reopening(family: OpenFamily, tmp_path: Path, clock: Clock) -> None:
    store = family(tmp_path, clock)
    offsets = [store.log.append(2, "", bytes(50_000)) for _ in range(10)]
    store.log.trim(2, offsets[3])
    store.close()
    store = family(tmp_path, clock)
    assert 300_000 <= store.log.size() < 360_000
    store.close()


def _until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20.0
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)
