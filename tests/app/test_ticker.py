"""The wall clock of a live node, and a store that refuses."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from app.main import Node
from app.store.contract import Log
from app.ticker import forget_hourly
from features.errors import Overloaded, StoreFailed
from tests.nodes import settings_in, until


class FullLog:
    """The log of a node, whose disk is full a number of times."""

    def __init__(self, inner: Log, refusals: int) -> None:
        self.inner, self.left, self.asked = inner, refusals, list[list[bytes]]()
        self.n_partitions = inner.n_partitions

    def append_many(self, messages: Sequence[tuple[int, str, bytes]]) -> list[int]:
        self.asked.append([data for _, _, data in messages])
        if self.left:
            self.left -= 1
            raise StoreFailed("the disk is full") if self.left % 2 else Overloaded("too much waits")
        return self.inner.append_many(messages)


def test_the_clock_writes_a_marker_again_until_the_disk_takes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.ticker._RETRY_S", 0.01)
    node = Node(settings_in(tmp_path))
    with closing(node):
        log = FullLog(node.store.log, 3)
        monkeypatch.setattr(node.ticker, "log", log)
        node.start_clock()
        until(lambda: node.store.log.end(0) > 0, "the marker")
        node.check_alive()
        assert log.asked[0] == log.asked[1] == log.asked[2] == log.asked[3]
        assert node.telemetry.value("faults", place="clock") == 3


def test_the_clock_removes_documents_that_expired(tmp_path: Path) -> None:
    node = Node(settings_in(tmp_path))
    with closing(node):
        node.store.documents.put("services", "default/old", b"{}", ttl_s=-1.0)
        node.start_clock()
        query = "SELECT count(*) FROM documents WHERE bucket = 'services'"
        with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
            until(lambda: connection.execute(query).fetchone() == (0,), "its removal")


def test_a_partition_that_was_taken_over_gets_the_marker_of_the_present_tick_at_once(tmp_path: Path) -> None:
    node = Node(settings_in(tmp_path, features__tick_s=3600))
    owned = {1}
    with closing(node):
        node.ticker.partitions = lambda: frozenset(owned)
        node.start_clock()
        until(lambda: node.store.log.end(1) == 1, "the marker")
        owned.add(5)
        until(lambda: node.store.log.end(5) == 1, "the marker of what was taken over")
        owned.remove(1)
        until(lambda: 1 not in node.ticker._written, "the next look")  # pyright: ignore[reportPrivateUsage]
        assert [node.store.log.end(n) for n in range(8)] == [0, 1, 0, 0, 0, 1, 0, 0]


def test_a_node_without_a_clock_lets_documents_go_too_until_none_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.ticker._PURGE_S", 0.001)
    stop, left, asked = threading.Event(), [3, 2, 0, 5, 0], list[int]()

    def purge() -> int:
        asked.append(left.pop(0))
        if not left:
            stop.set()
        return asked[-1]

    forget_hourly(purge, stop)
    assert asked == [3, 2, 0, 5, 0]
