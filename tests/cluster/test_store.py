"""The store of a cluster of three real servers, some of which die."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from app.store.contract import Commit, Output
from app.store.jetstream import ClusterPlan, JetStreamStore, open_jetstream
from features.errors import Fenced, StoreFailed
from tests.cluster.links import Links
from tests.cluster.servers import Servers

pytestmark = pytest.mark.cluster

PLAN = ClusterPlan(partitions=4, streams=2, replicas=3)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Generator[Servers]:
    started = Servers(tmp_path_factory.mktemp("servers"))
    yield started
    started.close()


def opened(servers: Servers) -> JetStreamStore:
    return open_jetstream({"servers": servers.urls}, PLAN, lambda: datetime.now(UTC))


class Writer:
    """Appends numbers to a partition on a thread, and remembers which were acknowledged."""

    def __init__(self, store: JetStreamStore, partition: int) -> None:
        self.acknowledged: list[int] = []
        self.refused = 0
        self.longest_s = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(store, partition))
        self._thread.start()

    def _run(self, store: JetStreamStore, partition: int) -> None:
        number = 0
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                store.log.append(partition, str(number), b"%d" % number)
                self.acknowledged.append(number)
            except StoreFailed:
                self.refused += 1
            self.longest_s = max(self.longest_s, time.monotonic() - began)
            number += 1

    def until(self, n: int) -> None:
        """Wait until so many more were acknowledged."""
        wanted, deadline = len(self.acknowledged) + n, time.monotonic() + 60.0
        while len(self.acknowledged) < wanted:
            assert time.monotonic() < deadline, f"{len(self.acknowledged)} of {wanted} acknowledged, {self.refused} refused"
            self._stop.wait(0.01)

    def end(self) -> None:
        self._stop.set()
        self._thread.join()


def numbers(store: JetStreamStore, partition: int) -> list[int]:
    found, after = list[int](), 0
    while entries := store.log.read(partition, after):
        found += [int(entry.data) for entry in entries]
        after = entries[-1].offset
    return found


def test_what_was_acknowledged_is_there_once_and_in_order_whichever_servers_die(servers: Servers) -> None:
    store = opened(servers)
    writers = [Writer(store, partition) for partition in range(2)]
    for number in range(3):
        for writer in writers:
            writer.until(50)
        servers.kill(number)
        for writer in writers:
            writer.until(50)
        servers.start(number)
    for number in range(3):
        servers.kill(number)
    for number in range(3):
        servers.start(number)
    for writer in writers:
        writer.until(50)
    for writer in writers:
        writer.end()
    store.close()
    store = opened(servers)
    for partition, writer in enumerate(writers):
        found = numbers(store, partition)
        assert found == sorted(set(found))
        assert set(writer.acknowledged) <= set(found)
        assert len(found) - len(writer.acknowledged) <= writer.refused
        print(partition, len(found), writer.refused, f"{writer.longest_s:.2f} s")
    store.close()


def test_an_owner_in_another_process_is_refused_whole_once_a_newer_one_took_over(servers: Servers) -> None:
    old, new = opened(servers), opened(servers)
    head = old.checkpoints.acquire(3, "old")
    token = old.checkpoints.commit(3, head.token, 5, {"a": b"1"}, [Output("predictions", "k", b"old")])
    assert new.checkpoints.acquire(3, "new").state == {"a": b"1"}
    with pytest.raises(Fenced):
        old.checkpoints.commit_all([Commit(3, token, 9, {"a": b"2"}, [Output("predictions", "k", b"zombie")])])
    there = new.documents.get("predictions", "k")
    assert there is not None
    assert there.value == b"old"
    assert new.checkpoints.acquire(3, "new").state == {"a": b"1"}
    old.close()
    new.close()


def test_what_one_process_writes_another_one_sees(servers: Servers) -> None:
    one, other = opened(servers), opened(servers)
    watch = other.documents.watch("members")
    one.documents.put("members", "n1", b"alive")
    _until(lambda: watch.get("n1") is not None)
    one.documents.delete("members", "n1")
    _until(lambda: watch.get("n1") is None)
    other.log.wait(0.0)
    offset = one.log.append(2, "a", b"1")
    assert other.log.wait(10.0)
    _until(lambda: other.log.end(2) == offset)
    one.close()
    other.close()


def test_a_client_leaves_a_server_that_is_cut_off_from_the_others(tmp_path: Path) -> None:
    links = Links()
    servers = Servers(tmp_path, links=links)
    store = opened(servers)
    store.log.append(1, "", b"0")
    cut_off = _connected(servers)
    servers.cut_off(cut_off)
    began, refused = time.monotonic(), 0
    while _connected(servers) == cut_off:
        assert time.monotonic() < began + 60.0, "the client stays at a server that can store nothing"
        try:
            store.log.append(1, "", b"1")
        except StoreFailed:
            refused += 1
    last = store.log.append(1, "", b"2")
    assert store.log.end(1) == last
    print(f"{time.monotonic() - began:.1f} s, {refused} refused")
    store.close()
    servers.close()
    links.close()


def _connected(servers: Servers) -> int:
    """Return which server has a client."""
    while True:
        for number, url in enumerate(servers.monitors):
            if httpx.get(f"{url}/connz").json()["num_connections"]:
                return number
        time.sleep(0.05)


def _until(condition: object) -> None:
    deadline = time.monotonic() + 20.0
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.01)
