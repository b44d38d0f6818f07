"""Partitions move between workers, and nothing is lost, doubled or out of order, whoever dies."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from app.history.tables import rows_schema
from app.replay import append_markers, signal_of
from app.settings import StoreSettings
from app.store.contract import Checkpoints, Commit, Head
from app.store.sqlite import open_store
from app.worker import Worker, WorkerPlan
from features.errors import StoreFailed
from features.series import partition_of
from models.multivariate import Multivariate
from tests.app.test_worker import LINES
from tests.lines import TICK_S, FlakyHistory, Line, open_line
from tests.nodes import history_rows
from tests.recorded import BEGIN_S, recorded

SHARED = WorkerPlan(checkpoint_s=1e9, flush_rows=150, shared=True)
ALL = frozenset(range(8))


def a_worker(line: Line, name: str) -> Worker:
    """Return a worker of a node of its own, which wants nothing yet."""
    line.plan = replace(SHARED, owner=name)
    return line.new_worker()


def head_of(line: Line, partition: int) -> tuple[int, int]:
    """Return token and offset that are committed, without taking the partition over."""
    with closing(sqlite3.connect(line.folder / "store.db")) as connection:
        return connection.execute('SELECT token, "offset" FROM heads WHERE "partition" = ?', (partition,)).fetchone()


def leave_alone(folder: Path, lines: Sequence[bytes], ticks: int) -> None:
    """Make the history that one worker makes of lines and the ticks that end after them."""
    with open_line(folder) as line:
        line.send(lines)
        for _ in range(ticks):
            line.end_tick()
        line.worker.checkpoint()


def drain(workers: list[Worker]) -> None:
    busy = True
    while busy:
        busy = sum(worker.step() for worker in workers) > 0


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    leave_alone(folder, LINES, ticks=1)
    return folder


@pytest.mark.parametrize("seed", range(3))
def test_history_is_that_of_one_worker_however_partitions_move_and_workers_die(
    tmp_path: Path, undisturbed: Path, seed: int
) -> None:
    rng = random.Random(seed)
    with open_line(tmp_path) as line:
        workers = [a_worker(line, str(n)) for n in range(3)]

        def share_out() -> None:
            """Give every partition to somebody; who let go first is not waited for here, so that some take from others."""
            owner = [rng.randrange(3) for _ in ALL]
            for n, worker in enumerate(workers):
                worker.want(frozenset(p for p in ALL if owner[p] == n))

        def disturb() -> None:
            for worker in rng.choices(workers, k=rng.randrange(3)):
                worker.step()
            if rng.random() < 0.05:
                share_out()
            if rng.random() < 0.05:  # kill -9: nothing is said or written, and another process takes its place
                number = rng.randrange(3)
                wanted = workers[number].held
                workers[number] = a_worker(line, str(number))
                workers[number].want(wanted)

        share_out()
        line.send(LINES, disturb)
        line.pass_to(line.tick + 1)
        for worker in workers:
            worker.want(frozenset())
        drain(workers)
        workers[0].want(ALL)
        drain(workers)
        assert line.telemetry.value("fenced") > 0, "some took from others that had not let go"
        assert workers[0].held == ALL
        assert workers[0].flow.memory.tick == line.tick
        workers[0].checkpoint()
    for table in ("windows", "errors"):
        assert history_rows(tmp_path, table) == history_rows(undisturbed, table)
    # Forecasts of a worker hang on what its other partitions say; what is normal of a series does not.
    others = [name for name in rows_schema("predictions").names if name in {"offset", "id", "p5", "p15", "p60", "status"}]
    assert history_rows(tmp_path, "predictions", others) == history_rows(undisturbed, "predictions", others)


def test_what_is_handed_over_is_not_read_again(tmp_path: Path) -> None:
    with open_line(tmp_path) as line:
        one, other = (a_worker(line, name) for name in ("one", "other"))
        one.want(ALL)
        other.want(())
        line.send(LINES[:60])
        drain([one, other])
        one.want({0, 1, 2})
        drain([one, other])
        assert one.held == ALL, "data of the open minute is gathered"
        line.pass_to(line.tick + 1)
        drain([one])
        assert one.held == {0, 1, 2}
        other.want(ALL - one.held)
        other.step()
        assert other.held == ALL - {0, 1, 2}
        assert one.lag() == other.lag() == 0
        assert one.flow.memory.tick == other.flow.memory.tick == line.tick
        assert {key.service for key in one.flow.memory.directory.keys}.isdisjoint(
            key.service for key in other.flow.memory.directory.keys
        )


def test_partitions_on_which_nothing_was_read_move_at_once(tmp_path: Path) -> None:
    with open_line(tmp_path) as line:
        one = a_worker(line, "one")
        one.want(ALL)
        one.step()
        assert one.held == ALL
        one.want({3})
        one.step()
        assert one.held == {3}
        one.want(())
        one.step()
        assert one.held == set()


def test_an_owner_that_was_paused_changes_nothing_afterwards(tmp_path: Path) -> None:
    with open_line(tmp_path) as line:
        paused, newer = (a_worker(line, name) for name in ("paused", "newer"))
        paused.want(ALL)
        line.send(LINES[:60])
        drain([paused])
        newer.want({2, 5})
        newer.step()
        line.pass_to(line.tick + 1)
        drain([newer])
        newer.checkpoint()
        heads = {n: head_of(line, n) for n in (2, 5)}
        documents, rows = line.store.documents.items("predictions"), history_rows(tmp_path)
        drain([paused])
        assert paused.held == set()
        assert line.telemetry.value("fenced") == 1
        assert line.store.documents.items("predictions") == documents
        assert history_rows(tmp_path) == rows
        assert {n: head_of(line, n) for n in (2, 5)} == heads


def test_partitions_are_let_go_of_while_history_refuses_and_their_rows_are_made_again(tmp_path: Path) -> None:
    with open_line(tmp_path) as line:
        one, other = (a_worker(line, name) for name in ("one", "other"))
        one.archive.history = refusing = FlakyHistory(line.history)
        refusing.refusing = True
        one.want(ALL)
        line.send(LINES[:60])
        one.want(())
        for _ in range(2):
            line.pass_to(line.tick + 1)
            drain([one])
        assert one.held == set()
        other.want(ALL)
        drain([other])
        other.checkpoint()
    leave_alone(tmp_path / "undisturbed", LINES[:60], ticks=2)
    assert history_rows(tmp_path) == history_rows(tmp_path / "undisturbed")


def test_what_joins_gathers_no_more_for_history_than_may_wait_and_stops_nobody(tmp_path: Path) -> None:
    with open_line(tmp_path) as line:
        line.plan = replace(SHARED, owner="one", flush_rows=12)
        one = line.new_worker()
        one.want({0, 1, 2, 3})
        line.send(LINES[:80])
        drain([one])
        one.checkpoint()
        history = line.with_flaky_history()
        history.refusing = True
        one.want(ALL)
        line.pass_to(line.tick + 1)
        drain([one])
        assert one.held == ALL
        assert one.flow.memory.tick == line.tick
        assert one.lag() > 0, "the log keeps what history does not take"
        line.seconds[0] += 600.0
        drain([one])
        assert one.lag() > 0, "refused once more, without harm to those that are live"
        assert one.flow.memory.tick == line.tick
        history.refusing = False
        line.seconds[0] += 600.0
        drain([one])
        assert one.lag() == 0
        one.checkpoint()
    leave_alone(tmp_path / "undisturbed", LINES[:80], ticks=1)
    for table in ("windows", "errors"):
        assert history_rows(tmp_path, table) == history_rows(tmp_path / "undisturbed", table)


def test_partitions_that_are_ahead_wait_for_the_others(tmp_path: Path) -> None:
    with open_line(tmp_path) as line:
        ahead, behind = (a_worker(line, name) for name in ("ahead", "behind"))
        ahead.want({0, 1, 2, 3})
        behind.want({4, 5, 6, 7})
        line.send(LINES[:60], after_line=ahead.step)
        line.pass_to(line.tick + 1)
        drain([ahead])
        ahead.want(())
        ahead.step()
        behind.step()
        behind.want(ALL)
        line.pass_to(line.tick + 1)
        drain([behind])
        assert behind.held == ALL
        assert behind.flow.memory.tick == line.tick
        behind.checkpoint()
    leave_alone(tmp_path / "undisturbed", LINES[:60], ticks=2)
    assert history_rows(tmp_path) == history_rows(tmp_path / "undisturbed")


def test_a_new_partition_whose_log_begins_in_the_open_tick_joins_at_its_end(tmp_path: Path) -> None:
    first = LINES[:3]  # of one minute

    def feed(line: Line) -> None:
        line.tick = BEGIN_S // TICK_S  # of partitions that nobody owns nobody writes a marker
        line.send(first)
        assert line.tick == BEGIN_S // TICK_S

    with open_line(tmp_path) as line:
        one = a_worker(line, "one")
        one.want({0, 1, 2, 3})
        feed(line)
        drain([one])
        assert line.store.log.end(0) > 0 < line.store.log.end(7), "both have data of the open tick"
        one.want(ALL)
        drain([one])
        line.pass_to(line.tick + 1)
        drain([one])
        assert one.flow.memory.tick == line.tick
        one.checkpoint()
    with open_line(tmp_path / "undisturbed") as calm:
        feed(calm)
        calm.end_tick()
        calm.worker.checkpoint()
    for table in ("windows", "errors"):
        assert history_rows(tmp_path, table) == history_rows(tmp_path / "undisturbed", table)


def test_what_joins_goes_on_by_itself_when_the_live_partitions_are_let_go_of(tmp_path: Path) -> None:
    with open_line(tmp_path) as line:
        ahead, behind = (a_worker(line, name) for name in ("ahead", "behind"))
        ahead.want({4})
        behind.want({0})
        line.pass_to(BEGIN_S // TICK_S)
        drain([ahead, behind])
        behind.checkpoint()
        ahead.want(())
        append_markers(line.store.log, range(line.tick + 1, line.tick + 2), TICK_S, [4])
        drain([ahead])
        assert ahead.held == set()
        behind.want({0, 4})
        behind.step()
        assert behind.held == {0, 4}
        behind.want({4})
        line.pass_to(line.tick + 2)
        drain([behind])
        assert behind.held == {4}
        assert behind.flow.memory.tick == line.tick


def test_what_is_being_taken_over_is_held_until_that_failed(tmp_path: Path) -> None:
    with open_line(tmp_path) as line:
        line.plan = replace(SHARED, owner="one")
        looks: list[frozenset[int]] = []

        class Looking:
            """Checkpoints whose third partition cannot be had."""

            def acquire(self, partition: int, owner: str) -> Head:
                looks.append(one.held)
                if partition == 2:
                    raise StoreFailed("no leader")
                return line.store.checkpoints.acquire(partition, owner)

            def __getattr__(self, name: str) -> Any:
                return getattr(line.store.checkpoints, name)

        one = line.new_worker(checkpoints=cast(Checkpoints, Looking()))
        one.want({0, 1, 2, 3})
        with pytest.raises(StoreFailed):
            one.step()
        assert looks == [{0, 1, 2, 3}] * 3
        one.want(())
        one.acquire()
        assert one.held == set()


def test_many_partitions_say_a_tick_in_units_that_a_log_of_documents_takes(tmp_path: Path) -> None:
    settings = StoreSettings(commit_window_ms=0.0, partitions=300)
    sizes: list[int] = []
    with open_store(tmp_path, settings=settings, max_in_flight_bytes=2**28, now=lambda: datetime.now(UTC)) as store:

        class Counting:
            """Checkpoints that count what goes in one unit."""

            def commit_all(self, commits: Sequence[Commit]) -> list[int]:
                sizes.append(len(commits))
                return store.checkpoints.commit_all(commits)

            def __getattr__(self, name: str) -> Any:
                return getattr(store.checkpoints, name)

        line = Line(store, tmp_path)
        line.new_worker(checkpoints=cast(Checkpoints, Counting()))
        line.pass_to(BEGIN_S // TICK_S)
        line.worker.drain()
    assert sizes == [256, 44]


def test_what_was_learned_of_a_tenant_lies_with_its_own_partitions(tmp_path: Path) -> None:
    with open_line(tmp_path) as line:
        one, other = (a_worker(line, name) for name in ("one", "other"))
        one.want(ALL)
        line.send(LINES[:5])
        name = next(name for name in map(str, range(100)) if partition_of("shop", name, 8) == 5)
        text = next(text for text in LINES if signal_of(text) == "logs" and b'"web"' in text)
        line.receiver.receive("shop", "logs", "json", text.replace(b'"web"', b'"%s"' % name.encode()))
        line.pass_to(line.tick + 1)
        drain([one])
        forest = Multivariate(6)
        forest.learn(np.random.default_rng(0).uniform(size=(60, 6)))
        for tenant in ("default", "shop"):
            one.flow.anomalies.combinations.restore(tenant, forest.snapshot())
        one.checkpoint()
        other.want({5, 6})
        drain([other])
        assert other.flow.memory.tenants.keys() >= {"shop"}
        assert other.flow.anomalies.combinations.snapshot()["shop"] == forest.snapshot()


def test_what_was_learned_goes_with_the_partitions(tmp_path: Path) -> None:
    with open_line(tmp_path) as line:
        one, other = (a_worker(line, name) for name in ("one", "other"))
        one.want(ALL)
        line.send(recorded(110, seed=1, failing=(*range(30, 36), *range(70, 76))), one.step)
        line.pass_to(line.tick + 1)
        drain([one])
        learned = one.flow.learners.of("default").online.n_rows
        assert learned > 0
        one.want(())
        line.pass_to(line.tick + 1)
        drain([one])
        other.want(ALL)
        drain([other])
        assert other.flow.learners.of("default").online.n_rows == learned
