"""The one writer: few flushes, bounded waiting, and nobody pays for another one's failure."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from pathlib import Path

import pytest

from app.store.group_commit import GroupCommit, Lane, Work
from app.telemetry import Telemetry
from features.errors import Overloaded, StoreFailed


class Stage:
    """A writer over one table, whose flushes can be held up."""

    def __init__(self, path: Path, window_s: float, kind: type[sqlite3.Connection] = sqlite3.Connection) -> None:
        self.kind = kind
        self.telemetry = Telemetry()
        self.path = path
        self.pages: int | None = None
        self.writer = GroupCommit(self.connect, window_s, 1000, self.telemetry)

    def connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, factory=self.kind)
        connection.execute("CREATE TABLE IF NOT EXISTS t (x UNIQUE, data)")
        return connection

    def add(self, x: int, n_bytes: int = 10) -> Future[int]:
        return self.writer.submit(Work(lambda connection: insert(connection, x), n_bytes))

    def flushes(self) -> int:
        return int(self.telemetry.registry.get_sample_value("foreshock_append_seconds_count") or 0)

    def rows(self) -> list[int]:
        connection = sqlite3.connect(self.path)
        rows = [x for (x,) in connection.execute("SELECT x FROM t ORDER BY rowid")]
        connection.close()
        return rows

    def hold(self) -> Callable[[], None]:
        """Keep the writer busy until the returned function is called."""
        started, release = threading.Event(), threading.Event()

        def wait(_: sqlite3.Connection) -> None:
            started.set()
            release.wait(60)

        self.writer.submit(Work(wait))
        started.wait(60)
        return release.set


def insert(connection: sqlite3.Connection, x: int, data: bytes = b"") -> int:
    connection.execute("INSERT INTO t VALUES (?, ?)", (x, data))
    return x


@pytest.fixture
def stage(tmp_path: Path) -> Generator[Stage]:
    stage = Stage(tmp_path / "db", 0.005)
    yield stage
    stage.writer.close()


def test_those_who_wait_together_share_a_flush(stage: Stage) -> None:
    release = stage.hold()
    answers = [stage.add(n) for n in range(50)]
    release()
    assert [answer.result() for answer in answers] == list(range(50))
    assert stage.flushes() == 2
    assert stage.rows() == list(range(50))


def test_one_caller_alone_does_not_wait_for_the_window(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "db", 3600.0)
    assert [stage.add(n).result(60) for n in range(3)] == [0, 1, 2]
    stage.writer.close()


def test_a_failing_change_is_taken_back_and_the_others_stay(stage: Stage) -> None:
    release = stage.hold()

    def fail(connection: sqlite3.Connection) -> None:
        insert(connection, 100)
        raise ValueError("mine")

    before, failing, after = stage.add(1), stage.writer.submit(Work(fail)), stage.add(2)
    refused = stage.add(1)
    release()
    assert (before.result(), after.result()) == (1, 2)
    with pytest.raises(ValueError, match="mine"):
        failing.result()
    with pytest.raises(StoreFailed, match="UNIQUE"):
        refused.result()
    assert stage.rows() == [1, 2]


def test_a_change_that_sinks_the_transaction_sinks_only_itself(stage: Stage) -> None:
    release = stage.hold()

    def sink(connection: sqlite3.Connection) -> None:
        connection.execute("ROLLBACK")  # what SQLite does by itself on some errors of the disk
        raise sqlite3.OperationalError("disk I/O error")

    answers = [stage.add(1), stage.writer.submit(Work(sink)), stage.add(2)]
    release()
    assert (answers[0].result(), answers[2].result()) == (1, 2)
    with pytest.raises(StoreFailed, match="disk I/O error"):
        answers[1].result()
    assert stage.rows() == [1, 2]
    assert stage.telemetry.registry.get_sample_value("foreshock_faults_total", {"place": "store"}) == 2


def test_a_full_disk_refuses_the_large_one_and_the_small_ones_go_on(stage: Stage) -> None:
    stage.writer.change(lambda connection: connection.execute("PRAGMA max_page_count=20"))
    release = stage.hold()
    small = stage.add(1)
    large = stage.writer.submit(Work(lambda connection: insert(connection, 2, bytes(10**6))))
    other = stage.add(3)
    release()
    assert (small.result(), other.result()) == (1, 3)
    with pytest.raises(StoreFailed, match="full"):
        large.result()
    assert stage.add(4).result() == 4
    assert stage.rows() == [1, 3, 4]


def test_bytes_in_flight_are_bounded_and_come_free(stage: Stage) -> None:
    release = stage.hold()
    waiting = [stage.add(1, 600), stage.add(2, 400)]
    with pytest.raises(Overloaded, match="at most 1000, got 1000 waiting and 1 new"):
        stage.add(3, 1)
    release()
    for answer in waiting:
        answer.result()
    assert stage.add(3, 1000).result() == 3
    assert stage.rows() == [1, 2, 3]


def test_a_change_larger_than_the_bound_is_let_in_alone(stage: Stage) -> None:
    assert stage.add(1, 5000).result() == 1


def test_what_waits_at_the_end_is_still_written(stage: Stage) -> None:
    release = stage.hold()
    answers = [stage.add(n) for n in range(5)]
    closing = threading.Thread(target=stage.writer.close)
    closing.start()
    release()
    closing.join()
    assert [answer.result() for answer in answers] == list(range(5))
    assert stage.rows() == list(range(5))
    with pytest.raises(StoreFailed, match="closed"):
        stage.add(6)


def test_a_caller_who_went_away_does_not_stop_the_others(stage: Stage) -> None:
    release = stage.hold()
    gone, there = stage.add(1), stage.add(2)
    assert gone.cancel()
    release()
    assert there.result() == 2
    assert stage.rows() == [1, 2]


def test_a_follower_that_fails_is_counted_and_the_writer_goes_on(stage: Stage) -> None:
    def fail(_: object) -> None:
        raise ValueError("follower")

    assert stage.writer.change(lambda connection: insert(connection, 1), fail) == 1
    assert stage.add(2).result() == 2
    assert stage.telemetry.registry.get_sample_value("foreshock_faults_total", {"place": "store"}) == 1


class Unrecoverable(sqlite3.Connection):
    """A connection that cannot take a transaction back, as after a disk was pulled."""

    def rollback(self) -> None:
        raise sqlite3.OperationalError("disk I/O error")


def test_a_connection_that_fails_for_good_is_told_to_all_who_wait_and_all_who_come(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "db", 0.005, Unrecoverable)
    release = stage.hold()
    adding = Adding()
    waiting = [stage.add(1), stage.writer.submit_to(adding.lane, 99, 10), stage.add(2)]
    gone = stage.add(3)
    gone.cancel()
    release()
    for answer in waiting:
        with pytest.raises(StoreFailed, match="until the service starts again: OperationalError"):
            answer.result(10)
    with pytest.raises(StoreFailed, match="disk I/O error"):
        stage.add(4)
    assert "disk I/O error" in stage.writer.failure
    assert stage.telemetry.registry.get_sample_value("foreshock_bytes_in_flight") == 0
    assert stage.rows() == []
    stage.writer.close()


def test_those_whose_change_was_durable_before_the_connection_failed_hear_so(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "db", 0.005, sqlite3.Connection)

    def sink(connection: sqlite3.Connection) -> None:
        connection.execute("ROLLBACK")
        raise sqlite3.OperationalError("disk I/O error")

    def exit_thread(_: sqlite3.Connection) -> None:
        raise SystemExit

    release = stage.hold()
    before, sunk = stage.add(1), stage.writer.submit(Work(sink))
    ended, after = stage.writer.submit(Work(exit_thread)), stage.add(2)
    release()
    assert before.result(10) == 1
    for answer in (sunk, ended, after):
        with pytest.raises(StoreFailed):
            answer.result(10)
    stage.writer.close()
    assert stage.rows() == [1]


class Adding:
    """A lane that adds rows, and remembers who came together."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.told: list[tuple[list[int], list[int]]] = []
        self.lane = Lane(self.change, lambda given, results: self.told.append((list(given), list(results))))

    def change(self, connection: sqlite3.Connection, given: Sequence[int]) -> list[int]:
        self.calls.append(list(given))
        connection.executemany("INSERT INTO t VALUES (?, '')", [(x,) for x in given])
        if 99 in given:
            raise ValueError("no 99")
        return [x * 10 for x in given]


def test_a_lane_changes_once_for_all_who_wait_and_keeps_the_order_beside_others(stage: Stage) -> None:
    adding, release = Adding(), stage.hold()
    answers = [stage.writer.submit_to(adding.lane, n, 10) for n in (1, 2)]
    other = stage.add(3)
    answers += [stage.writer.submit_to(adding.lane, n, 10) for n in (4, 5)]
    release()
    assert [answer.result() for answer in answers] == [10, 20, 40, 50]
    assert other.result() == 3
    assert adding.calls == [[1, 2], [4, 5]]
    assert adding.told == [([1, 2], [10, 20]), ([4, 5], [40, 50])]
    assert stage.rows() == [1, 2, 3, 4, 5]
    assert stage.flushes() == 2


def test_one_that_a_lane_cannot_change_fails_alone(stage: Stage) -> None:
    adding, release = Adding(), stage.hold()
    stage.add(7)
    answers = [stage.writer.submit_to(adding.lane, n, 10) for n in (1, 99, 2, 7)]
    other = stage.add(3)
    release()
    assert [answers[0].result(), answers[2].result(), other.result()] == [10, 20, 3]
    with pytest.raises(ValueError, match="no 99"):
        answers[1].result()
    with pytest.raises(StoreFailed, match="UNIQUE"):
        answers[3].result()
    assert stage.rows() == [7, 1, 2, 3]
    assert adding.told == [([1, 2], [10, 20])]
    assert stage.writer.submit_to(adding.lane, 4, 1000).result() == 40  # all bytes came free


def test_bytes_in_a_lane_are_bounded_too(stage: Stage) -> None:
    adding, release = Adding(), stage.hold()
    waiting = stage.writer.submit_to(adding.lane, 1, 900)
    with pytest.raises(Overloaded):
        stage.writer.submit_to(adding.lane, 2, 200)
    release()
    assert waiting.result() == 10


def test_a_connection_that_cannot_be_opened_is_raised_at_once() -> None:
    def connect() -> sqlite3.Connection:
        raise StoreFailed("no disk")

    with pytest.raises(StoreFailed, match="no disk"):
        GroupCommit(connect, 0.0, 1000, Telemetry())
