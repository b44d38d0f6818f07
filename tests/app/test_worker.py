"""The worker over a real store: nothing is lost, nothing counts twice, whatever fails in between."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from app.cache.records import Known
from app.flow import Flow, FlowPlan
from app.ingest.codec import BatchMessage, TickMessage, pack
from app.ingest.receive import messages_of
from app.replay import append_markers
from app.store.contract import Checkpoints, Commit, Document, Head, Output
from app.telemetry import Telemetry
from app.worker import WorkerPlan
from features.batch import Batch
from features.errors import Fenced, StoreFailed
from models.anomaly import WARM_TICKS
from models.multivariate import Multivariate
from tests.lines import TICK_S, open_line
from tests.nodes import history_rows
from tests.recorded import BEGIN_S, SERVICES, recorded

LINES = recorded(30, seed=5, failing=range(16, 26))
FIRST = BEGIN_S // TICK_S


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[int, dict[str, bytes]], Path]:
    folder = tmp_path_factory.mktemp("undisturbed")
    with open_line(folder) as line:
        line.send(LINES)
        line.end_tick()
        line.worker.checkpoint()
        return line.snapshots(), folder


@pytest.mark.parametrize("seed", range(3))
def test_state_after_restarts_is_byte_identical(
    tmp_path: Path, undisturbed: tuple[dict[int, dict[str, bytes]], Path], seed: int
) -> None:
    rng = random.Random(seed)
    with open_line(tmp_path) as line:

        def disturb() -> None:
            for _ in range(rng.randrange(3)):
                line.worker.step()
            if rng.random() < 0.1:
                line.worker.checkpoint()
            if rng.random() < 0.04:
                line.new_worker()

        line.send(LINES, disturb)
        line.end_tick()
        line.new_worker()
        line.worker.drain()
        line.worker.checkpoint()
        assert line.snapshots() == undisturbed[0]
        restored = line.new_worker()
        assert {n: restored.flow.snapshot(n) for n in range(8)} == undisturbed[0]
    for table in ("windows", "facts", "errors", "incidents"):
        assert history_rows(tmp_path, table) == history_rows(undisturbed[1], table)
    without = ("offset", "id")
    rows = history_rows(tmp_path, "predictions", without)
    assert rows == history_rows(undisturbed[1], "predictions", without)
    bounds = line.history.read("predictions", columns=["errors_upper"])["errors_upper"]
    assert len(bounds) - bounds.null_count == len(SERVICES) * (30 - WARM_TICKS)


def test_an_incident_that_is_open_at_a_restart_ends_properly(tmp_path: Path) -> None:
    with open_line(tmp_path) as line:
        line.send([text for text in LINES if _minute(text) < 21])
        line.end_tick()
        line.worker.checkpoint()
        open_before = _open_incidents(line.store.documents.items("incidents"))
        assert open_before
        line.new_worker()
        line.send([text for text in LINES if _minute(text) >= 21])
        for _ in range(6):
            line.end_tick()
        assert _open_incidents(line.store.documents.items("incidents")) == set()
        line.worker.checkpoint()
        rows = line.history.read("incidents").to_pylist()
    assert {row["id"] for row in rows if row["ended"] is None} == {row["id"] for row in rows if row["ended"] is not None}


def test_what_was_learned_survives_a_restart(tmp_path: Path) -> None:
    with open_line(tmp_path) as line:
        line.send(recorded(110, seed=1, failing=(*range(30, 36), *range(70, 76))))
        line.end_tick()
        line.worker.checkpoint()
        before = line.worker.flow.learners.snapshot()
        assert line.telemetry.values("matured")
        after = line.new_worker().flow
        assert after.learners.of("default").online.n_rows == line.worker.flow.learners.of("default").online.n_rows > 0
        assert after.learners.snapshot() == before
        assert before.keys() == after.learners.snapshot().keys() == {"default"}


def test_a_poison_message_is_skipped_and_counted(tmp_path: Path) -> None:
    with open_line(tmp_path) as line:
        line.send(LINES[:6])
        for poison in (b"", b"\xff\xff", b"\x01\xc1"):
            line.store.log.append(0, "poison", poison)
        empty = BatchMessage("default", "id", -1, Batch("traces", 1, (("web", "GET /"),)))
        line.store.log.append(0, "odd", pack(empty))
        line.send(LINES[6:12])
        line.end_tick()
        assert line.telemetry.value("faults", place="absorb") == 3
        assert line.worker.lag() == 0
        assert line.worker.flow.memory.tick == line.tick


def test_a_failing_tick_starts_from_the_checkpoint_and_gives_the_same(
    tmp_path: Path, undisturbed: tuple[dict[int, dict[str, bytes]], Path]
) -> None:
    failures = [FIRST + 12, FIRST + 21]

    class Failing(Flow):
        def forecast(
            self, tick: int, offsets: Mapping[int, int], known: Sequence[Known] = (), *, publish: bool
        ) -> dict[int, list[Output]]:
            if tick in failures:
                failures.remove(tick)
                raise RuntimeError("a defect")
            return super().forecast(tick, offsets, known, publish=publish)

    def make(telemetry: Telemetry) -> Flow:
        return Failing(FlowPlan(), telemetry)

    with open_line(tmp_path, WorkerPlan(checkpoint_s=1e9, flush_rows=150)) as line:
        worker = line.new_worker(make)
        line.send(LINES)
        line.pass_to(line.tick + 1)
        _run_until(worker.run, lambda: worker.flow.memory.tick == line.tick and worker.published)
        worker.checkpoint()
        assert failures == []
        assert line.telemetry.value("faults", place="worker") == 2
        assert line.snapshots() == undisturbed[0]
    assert history_rows(tmp_path) == history_rows(undisturbed[1])


class FailingCheckpoints:
    """Checkpoints that refuse one commit of state."""

    def __init__(self, inner: Checkpoints, refuse: int) -> None:
        self.inner, self.refuse = inner, refuse

    def acquire(self, partition: int, owner: str) -> Head:
        return self.inner.acquire(partition, owner)

    def commit(
        self,
        partition: int,
        token: int,
        offset: int,
        changed_state: Mapping[str, bytes | None],
        outputs: Iterable[Output] = (),
    ) -> int:
        raise AssertionError("partitions are committed together")

    def commit_all(self, commits: Sequence[Commit]) -> list[int]:
        if any(commit.changed_state for commit in commits):
            self.refuse -= 1
            if self.refuse == 0:
                raise StoreFailed("the disk is full")
        return self.inner.commit_all(commits)


@pytest.mark.parametrize("refused", [1, 4])
def test_a_checkpoint_that_fails_after_history_took_its_rows_doubles_nothing(
    tmp_path: Path, undisturbed: tuple[dict[int, dict[str, bytes]], Path], refused: int
) -> None:
    with open_line(tmp_path, WorkerPlan(checkpoint_s=1e9, flush_rows=150)) as line:
        worker = line.new_worker(checkpoints=FailingCheckpoints(line.store.checkpoints, refused))
        line.send(LINES)
        line.pass_to(line.tick + 1)
        _run_until(worker.run, lambda: worker.flow.memory.tick == line.tick and worker.published)
        worker.checkpoint()
        assert line.telemetry.value("faults", place="worker") == 1
        assert line.snapshots() == undisturbed[0]
    assert history_rows(tmp_path) == history_rows(undisturbed[1])


def test_duplicate_and_old_markers_change_nothing(
    tmp_path: Path, undisturbed: tuple[dict[int, dict[str, bytes]], Path]
) -> None:
    rng = random.Random(2)
    with open_line(tmp_path) as line:

        def repeat() -> None:
            if rng.random() < 0.3:
                tick = line.tick - rng.randrange(5)
                append_markers(line.store.log, range(tick, tick + 1), TICK_S)
            line.worker.step()

        line.send(LINES, repeat)
        line.end_tick()
        assert line.snapshots() == undisturbed[0]


def test_a_partition_that_lacks_a_marker_keeps_its_data_of_the_tick(tmp_path: Path) -> None:
    with open_line(tmp_path) as line:
        line.send(LINES[:40])
        for partition in range(8):
            if partition != 3:
                line.store.log.append(partition, "t", pack(TickMessage((line.tick + 1) * TICK_S)))
        line.worker.drain()
        assert line.worker.flow.memory.tick == line.tick, "it waits for the partition"
        append_markers(line.store.log, range(line.tick + 2, line.tick + 3), TICK_S)
        line.worker.drain()
        assert line.worker.flow.memory.tick == line.tick + 2
        line.worker.checkpoint()
        assert line.history.read("windows").num_rows > 0


def test_documents_are_those_of_the_newest_tick_once_the_log_is_drained(tmp_path: Path) -> None:
    with open_line(tmp_path) as line:
        line.send(LINES)
        line.pass_to(line.tick + 1)
        assert line.store.documents.items("predictions") == []
        line.worker.drain()
        assert line.worker.published
        documents = line.store.documents.items("predictions")
        assert len(documents) == len(line.worker.flow.memory.directory)
        as_of = f'"as_of":"{_iso(line.tick)}"'.encode()
        assert all(as_of in document.value for document in documents)
        assert line.store.documents.items("services")
        assert line.store.documents.items("errors")
        markers = line.telemetry.value("predictions", status="warming_up")
        line.worker.drain()
        assert line.telemetry.value("predictions", status="warming_up") == markers, "nothing new, nothing done"


def test_a_tick_whose_successor_arrived_too_late_to_be_seen_is_published_when_the_log_is_drained(tmp_path: Path) -> None:
    with open_line(tmp_path) as line:
        line.send(LINES[:60])
        line.pass_to(line.tick + 2)
        line.worker.step()
        while line.worker.flow.memory.tick != line.tick:
            assert not line.worker.published
            line.worker.step()
        line.worker.drain()
        assert line.worker.published


def test_a_fenced_worker_stops(tmp_path: Path) -> None:
    with open_line(tmp_path) as line:
        line.send(LINES[:40])
        zombie = line.worker
        newer = line.new_worker()
        line.pass_to(line.tick + 1)
        with pytest.raises(Fenced):
            zombie.run(threading.Event())
        newer.drain()
        assert line.store.documents.items("predictions")


def test_state_is_committed_between_two_ticks_only(tmp_path: Path) -> None:
    with open_line(tmp_path, WorkerPlan(checkpoint_s=30.0)) as line:
        line.send(LINES[:60])
        line.worker.drain()
        assert line.history.read("windows").num_rows == 0, "no time has passed"
        line.seconds[0] += 31.0
        line.worker.checkpoint()
        assert line.history.read("windows").num_rows == 0, "data of the open minute is gathered"
        line.end_tick()
        assert line.history.read("windows").num_rows > 0
        assert line.store.checkpoints.acquire(0, "test").offset == line.store.log.end(0)


def test_many_rows_of_history_are_flushed_early(tmp_path: Path) -> None:
    with open_line(tmp_path, WorkerPlan(checkpoint_s=1e9, flush_rows=50)) as line:
        line.send(LINES[:60])
        line.end_tick()
        assert line.history.read("windows").num_rows > 0


def test_the_log_is_trimmed_after_the_retention_and_never_before_a_checkpoint(
    tmp_path: Path, undisturbed: tuple[dict[int, dict[str, bytes]], Path]
) -> None:
    with open_line(tmp_path, WorkerPlan(checkpoint_s=1e9, retention_s=600.0)) as line:
        line.send(LINES)
        line.end_tick()
        assert line.store.log.read(0, 0)[0].offset == 1
        line.worker.checkpoint()
        kept = [line.store.log.read(n, 0)[0].offset for n in range(8)]
        assert min(kept) > 10
        line.new_worker()
        line.worker.drain()
        assert line.snapshots() == undisturbed[0]


def test_a_request_sent_twice_counts_once(tmp_path: Path) -> None:
    with open_line(tmp_path) as line:
        line.send(LINES[:10])
        batch = line.receiver.receive("default", "traces", "json", LINES[0])
        messages = messages_of(batch, "default", LINES[0], line.clock(), 8)
        line.store.log.append_many(messages)
        line.end_tick()
        assert line.telemetry.value("repeated_batches") == 2 * len(messages)


def test_while_history_refuses_forecasts_go_on_and_its_rows_wait(
    tmp_path: Path, undisturbed: tuple[dict[int, dict[str, bytes]], Path]
) -> None:
    with open_line(tmp_path, WorkerPlan(checkpoint_s=0.0)) as line:
        history = line.with_flaky_history()
        history.refusing = True

        def pass_seconds() -> None:
            line.seconds[0] += 1.0
            line.worker.drain()

        line.send(LINES, pass_seconds)
        line.end_tick()
        assert line.worker.flow.memory.tick == line.tick
        assert line.store.documents.items("predictions")
        assert line.store.checkpoints.acquire(0, "a look").offset == 0
        assert line.telemetry.value("faults", place="history") == history.asked
        assert 2 <= history.asked < 12, "each refusal doubles the wait"
        assert line.telemetry.value("faults", place="worker") == 0
        history.refusing = False
        line.new_worker().drain()
        line.worker.checkpoint()
        assert line.snapshots() == undisturbed[0]
    assert history_rows(tmp_path) == history_rows(undisturbed[1])


class FailingAcquire(FailingCheckpoints):
    """Checkpoints that also refuse to be taken over a number of times."""

    def __init__(self, inner: Checkpoints, refuse: int, times: int) -> None:
        super().__init__(inner, refuse)
        self.left, self.began = times, False

    def acquire(self, partition: int, owner: str) -> Head:
        if self.began and partition == 3 and self.left:
            self.left -= 1
            raise StoreFailed("the disk is still full")
        return super().acquire(partition, owner)


def test_a_disk_that_stays_full_while_the_worker_starts_again_does_not_end_it(
    tmp_path: Path, undisturbed: tuple[dict[int, dict[str, bytes]], Path]
) -> None:
    with open_line(tmp_path, WorkerPlan(checkpoint_s=1e9, flush_rows=150)) as line:
        checkpoints = FailingAcquire(line.store.checkpoints, 1, 2)
        worker = line.new_worker(checkpoints=checkpoints)
        checkpoints.began = True
        line.send(LINES)
        line.pass_to(line.tick + 1)
        _run_until(worker.run, lambda: worker.flow.memory.tick == line.tick and worker.published)
        assert checkpoints.left == 0
        assert line.telemetry.value("faults", place="worker") == 3
        assert not worker.failing
        worker.checkpoint()
        assert line.snapshots() == undisturbed[0]


def test_a_champion_that_cannot_be_loaded_stops_no_tick(tmp_path: Path) -> None:
    def broken(_tenant: str, _version: str) -> None:
        raise OSError("no such artifact")

    with open_line(tmp_path) as line:
        line.worker.parts = replace(line.worker.parts, champions=broken)
        line.send(LINES[:60])
        line.end_tick()
        assert line.worker.flow.memory.tick == line.tick
        assert line.worker.flow.learners.of("default").version == "prior"
        assert line.telemetry.value("faults", place="champion") > 0


def test_a_worker_that_never_catches_up_publishes_every_half_minute(tmp_path: Path) -> None:
    with open_line(tmp_path) as line:
        line.send(LINES)
        line.pass_to(line.tick + 1)
        seen: list[int] = []
        first = line.worker.flow.memory.tick
        while line.worker.flow.memory.tick < line.tick - 4:
            line.seconds[0] += 7.0
            line.worker.step()
            if line.worker.published and line.store.documents.items("predictions"):
                seen.append(line.worker.flow.memory.tick)
        assert first < 0
        assert len(seen) >= 4
        assert {later - earlier for earlier, later in pairwise(seen)} == {5}, "five ticks of seven seconds"


def test_learners_and_forests_are_kept_in_the_state_and_leave_nothing_behind(tmp_path: Path) -> None:
    with open_line(tmp_path, WorkerPlan(checkpoint_s=0.0)) as line:
        forest = Multivariate(6)
        forest.learn(np.random.default_rng(0).uniform(size=(60, 6)))
        line.worker.flow.anomalies.combinations.restore("default", forest.snapshot())
        line.send(LINES, line.worker.drain)
        line.end_tick()
        state = line.store.checkpoints.acquire(0, "a look").state
        assert [key for key in state if key.startswith("learners/")] == ["learners/default/00000"]
        assert not [file for file in (tmp_path / "blobs").rglob("*") if file.is_file()]
        assert line.store.documents.items("learners") == []
        line.worker.acquire()
        assert line.worker.flow.anomalies.combinations.snapshot() == {"default": forest.snapshot()}


def _run_until(run: Callable[[threading.Event], None], done: Callable[[], bool]) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=run, args=(stop,))
    thread.start()
    waited = threading.Event()
    for _ in range(6000):
        if done():
            break
        waited.wait(0.01)
    stop.set()
    thread.join()
    assert done()


def _minute(text: bytes) -> int:
    return (int(text.split(b'imeUnixNano": "')[1].split(b'"')[0]) // 10**9 - BEGIN_S) // 60


def _open_incidents(documents: Sequence[Document]) -> set[str]:
    return {document.key for document in documents if b'"end":null' in document.value}


def _iso(tick: int) -> str:
    return datetime.fromtimestamp(tick * TICK_S, UTC).isoformat().replace("+00:00", "Z")
