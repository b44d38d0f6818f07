"""Training runs in a process of their own: what they need, what they leave, and what becomes of those that die."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from app.cache.documents import decode_document, encode_document, tenant_key
from app.cache.records import FeedbackRecord, TrainingRun
from app.chronicle import Chronicle
from app.history.contract import History
from app.history.delta import DeltaHistory
from app.job import Job
from app.jobs import Jobs, JobsPlan
from app.said import feedback_of
from app.settings import StoreSettings
from app.store.contract import Documents
from app.store.sqlite import SqliteStore, open_store
from app.telemetry import Telemetry
from app.trained import run_job
from features.batch import N_BUCKETS, Batch, channel
from features.errors import AlreadyWaiting, InvalidValue, Overloaded
from features.memory import Memory, MemoryPlan
from models.registry import Registry
from tests.nodes import until
from training.labels import Said

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
FIRST = 1_760_000_040 // 60
N_CHANNELS = 11


def write_history(folder: Path, minutes: int, every: int, seed: int = 0) -> DeltaHistory:
    """Write the history of three services, of which each fails for ten minutes every so often, after rising warnings."""
    rng = np.random.default_rng(seed)
    memory, chronicle, history = Memory(MemoryPlan()), Chronicle(), DeltaHistory(folder)
    memory.begin(FIRST)
    for minute in range(minutes):
        for number, service in enumerate(("web", "cart", "payment")):
            phase = (minute + number * 37) % every
            counts = np.zeros((1, N_CHANNELS))
            total = rng.poisson(20)
            failed = rng.binomial(total, 0.6 if phase >= every - 10 else 0.005)
            counts[0, [channel("total"), channel("failed"), channel("errors")]] = total, failed, failed
            counts[0, channel("warnings")] = rng.poisson(2.5 if phase >= every - 30 and rng.random() < 0.7 else 0.7)
            window_s = np.array([(FIRST + minute) * 60])
            batch = Batch("traces", 1, ((service, "*"),), np.array([0]), window_s, counts, np.zeros((1, N_BUCKETS)))
            memory.add("default", 0, batch)
        chronicle.add_closed(memory, memory.advance(FIRST + minute + 1), {0: minute + 1})
    history.append(chronicle.tables(), {0: minutes})
    return history


@dataclass
class Bench:
    """A store, a history, and jobs over both."""

    store: SqliteStore
    jobs: Jobs
    telemetry: Telemetry
    folder: Path

    def run(self, run_id: str = "r1", tenant: str = "default") -> TrainingRun:
        document = self.store.documents.get("training-runs", tenant_key(tenant, run_id))
        assert document is not None
        return decode_document(document.value, TrainingRun)

    def ended(self, run_id: str = "r1", tenant: str = "default") -> TrainingRun:
        until(lambda: self.run(run_id, tenant).state in {"succeeded", "failed"}, "the run's end")
        return self.run(run_id, tenant)


@contextmanager
def open_bench(folder: Path, history: Callable[[], History] | None = None, timeout_s: float = 60.0) -> Generator[Bench]:
    with open_store(folder, settings=StoreSettings(), max_in_flight_bytes=2**28, now=lambda: datetime.now(UTC)) as store:
        telemetry = Telemetry()
        jobs = Jobs(
            store.documents,
            lambda tenant: Registry(store.blobs, store.documents, store.signing_key, tenant),
            history or partial(DeltaHistory, folder / "history"),
            telemetry,
            now=lambda: NOW,
            plan=JobsPlan(timeout_s),
        )
        try:
            yield Bench(store, jobs, telemetry, folder)
        finally:
            jobs.stop()


def beside(bench: Bench, plan: JobsPlan) -> Jobs:
    """Return the jobs of another node over the same store; they are not started, so what they take waits."""
    registry_of, open_history = (lambda tenant: Registry(bench.store.blobs, bench.store.documents, b"", tenant)), HangingHistory
    return Jobs(bench.store.documents, registry_of, partial(open_history, dies=False), Telemetry(), now=lambda: NOW, plan=plan)


@pytest.mark.slow
def test_a_run_ends_with_a_report_and_a_version(tmp_path: Path) -> None:
    write_history(tmp_path / "history", 1200, 100)
    with open_bench(tmp_path) as bench:
        bench.jobs.start()
        bench.jobs.ask("r1", Job("default", MemoryPlan(), stride=5), "a test")
        bench.jobs.ask("r2", Job("nobody", MemoryPlan()), "another test")
        until(lambda: bench.run().state == "running" and bench.run().progress > 0, "its progress")
        assert bench.run("r2", "nobody").state == "queued"
        run = bench.ended()
        assert (run.state, run.error, run.progress, run.reason) == ("succeeded", None, 1.0, "a test")
        assert run.started_at == run.ended_at == NOW
        assert run.report is not None
        horizons = run.report["horizons"]
        assert isinstance(horizons, Mapping)
        assert set(horizons) == {"5min", "15min", "60min"}
        registry = Registry(bench.store.blobs, bench.store.documents, bench.store.signing_key)
        assert [version.id for version in registry.versions()] == [run.model_version]
        until(lambda: bench.telemetry.value("training_runs", outcome="succeeded") == 1, "the count")
        until(lambda: bench.run("r2", "nobody").state == "failed", "the next run's end")


def test_too_few_incidents_fail_with_a_clear_message(tmp_path: Path) -> None:
    write_history(tmp_path / "history", 60, 10_000)
    with open_bench(tmp_path) as bench:
        bench.jobs.start()
        bench.jobs.ask("r1", Job("default", MemoryPlan()), "a test")
        run = bench.ended()
        assert (run.state, run.error) == (
            "failed",
            "history of tenant 'default' must hold at least 10 incidents to learn from, got 0",
        )
        until(lambda: bench.telemetry.value("training_runs", outcome="failed") == 1, "the count")


class HangingHistory:
    """History whose reader never comes back, or dies."""

    def __init__(self, dies: bool) -> None:
        self.dies = dies

    def append(self, tables: Mapping[str, pa.Table], offsets: Mapping[int, int]) -> None:
        """Take nothing."""

    def recorded(self, table: str, partition: int) -> int:
        return 0

    def read(
        self,
        table: str,
        *,
        since: int | None = None,
        until: int | None = None,
        tenant: str | None = None,
        service: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        if self.dies:
            os.kill(os.getpid(), signal.SIGKILL)
        threading.Event().wait(60.0)
        raise AssertionError("nobody stopped it")

    def optimise(self, now_s: int | None = None) -> None:
        """Do nothing."""


def test_a_killed_child_fails_its_run_and_the_next_one_is_taken(tmp_path: Path) -> None:
    with open_bench(tmp_path, partial(HangingHistory, dies=True)) as bench:
        bench.jobs.start()
        for run_id, tenant in (("r1", "red"), ("r2", "blue")):
            bench.jobs.ask(run_id, Job(tenant, MemoryPlan()), "a test")
        for run_id, tenant in (("r1", "red"), ("r2", "blue")):
            run = bench.ended(run_id, tenant)
            assert (run.state, run.error) == ("failed", "the training process died; its log says more")
    assert multiprocessing.active_children() == []


def test_a_run_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    with open_bench(tmp_path, partial(HangingHistory, dies=False), timeout_s=1.0) as bench:
        bench.jobs.start()
        bench.jobs.ask("r1", Job("default", MemoryPlan()), "a test")
        assert bench.ended().error == "training took over 1 s"
    assert multiprocessing.active_children() == []


def test_a_stop_ends_the_run_in_progress_and_may_be_repeated(tmp_path: Path) -> None:
    with open_bench(tmp_path, partial(HangingHistory, dies=False)) as bench:
        bench.jobs.start()
        bench.jobs.ask("r1", Job("default", MemoryPlan()), "a test")
        until(lambda: bench.run().state == "running", "the run's begin")
        bench.jobs.stop()
        bench.jobs.stop()
        assert (bench.run().state, bench.run().error) == ("failed", "the service was stopped")


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_run_that_a_crash_left_behind_is_failed_at_the_next_start(tmp_path: Path, state: str) -> None:
    with open_bench(tmp_path) as bench:
        done = TrainingRun("r0", "succeeded", NOW)
        for run in (done, TrainingRun("r1", state, NOW)):
            bench.store.documents.put("training-runs", tenant_key("default", run.id), encode_document(run))
        bench.jobs.start()
        assert (bench.run().state, bench.run().error, bench.run().ended_at) == ("failed", "the service was stopped", NOW)
        assert bench.run("r0") == done


def test_at_most_16_runs_wait(tmp_path: Path) -> None:
    with open_bench(tmp_path) as bench:
        for number in range(16):
            bench.jobs.ask(f"r{number}", Job(f"tenant-{number}", MemoryPlan()), "")
        with pytest.raises(Overloaded, match="at most 16 training runs and backtests"):
            bench.jobs.ask("r16", Job("default", MemoryPlan()), "")
        assert bench.store.documents.get("training-runs", tenant_key("default", "r16")) is None


def test_one_run_a_tenant_waits_and_a_start_takes_it(tmp_path: Path) -> None:
    with open_bench(tmp_path) as bench:
        bench.jobs.ask("r1", Job("default", MemoryPlan()), "before the start")
        with pytest.raises(AlreadyWaiting, match="at most 1 training run of tenant 'default' may wait, and r1 does"):
            bench.jobs.ask("r2", Job("default", MemoryPlan()), "")
        bench.jobs.start()
        assert "must hold at least" in (bench.ended().error or ""), "it was run, not failed as one of before a crash"
        bench.jobs.ask("r3", Job("default", MemoryPlan()), "the place is free again")
        assert bench.ended("r3").state == "failed"


def test_a_start_leaves_other_nodes_runs_and_lost_ones_are_failed_at_the_second_look(tmp_path: Path) -> None:
    alive = {"n2", "n3"}
    with open_bench(tmp_path) as bench:
        for run_id, node in (("r1", "n1"), ("r2", "n2"), ("r3", "n3"), ("r4", "")):
            run = TrainingRun(run_id, "running", NOW, node=node)
            bench.store.documents.put("training-runs", tenant_key("default", run.id), encode_document(run))
        jobs = beside(bench, JobsPlan(node="n1", alive=lambda: alive))
        jobs.start()
        try:
            assert [bench.run(f"r{n}").state for n in (1, 2, 3, 4)] == ["failed", "running", "running", "failed"]
            jobs.fail_lost()
            alive -= {"n3"}
            jobs.fail_lost()
            assert bench.run("r3").state == "running", "a node that has just come may not be known yet"
            jobs.fail_lost()
            assert (bench.run("r3").state, bench.run("r3").error, bench.run("r3").ended_at) == (
                "failed",
                "node n3 is gone",
                NOW,
            )
            assert bench.run("r2").state == "running"
        finally:
            jobs.stop()


def test_one_run_a_tenant_waits_over_all_nodes_and_a_dead_nodes_place_is_taken(tmp_path: Path) -> None:
    alive = {"n1", "n2"}
    with open_bench(tmp_path) as bench:
        one, other = (beside(bench, JobsPlan(node=node, alive=lambda: alive)) for node in ("n1", "n2"))
        job = Job("default", MemoryPlan())
        one.ask("r1", job, "")
        with pytest.raises(AlreadyWaiting, match="tenant 'default' may wait, and r1 of node n1 does"):
            other.ask("r2", job, "")
        assert bench.store.documents.get("training-runs", tenant_key("default", "r2")) is None
        other.ask_backtest("b1", job, "another kind has a place of its own")
        other.ask("r3", Job("blue", MemoryPlan()), "and so has another tenant")
        alive -= {"n1"}
        other.ask("r4", job, "")
        assert bench.run("r4").node == "n2"
        alive |= {"n1"}
        one.start()
        until(lambda: bench.run().state == "running", "the begin of what was asked first")
        with pytest.raises(Overloaded, match="r4 of node n2 does"):
            one.ask("r5", job, "")
        one.stop()


def test_of_many_that_ask_at_once_on_many_nodes_one_is_taken(tmp_path: Path) -> None:
    names = [f"n{n}" for n in range(6)]
    with open_bench(tmp_path) as bench:
        nodes = [beside(bench, JobsPlan(node=name, alive=lambda: names)) for name in names]
        taken, begin = list[str](), threading.Barrier(len(nodes))

        def ask(name: str, jobs: Jobs) -> None:
            begin.wait(30.0)
            with contextlib.suppress(Overloaded):
                taken.append(jobs.ask(f"of {name}", Job("default", MemoryPlan()), ""))

        threads = [threading.Thread(target=ask, args=each) for each in zip(names, nodes, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30.0)
        assert len(taken) == 1
        assert [document.key for document in bench.store.documents.items("training-runs")] == [tenant_key("default", taken[0])]


def _feedback(documents: Documents, incident_id: str, verdict: str, number: int = 1) -> None:
    record = FeedbackRecord(f"f{number}", "default", NOW, verdict, incident_id=incident_id)
    documents.put("feedback", tenant_key("default", record.id), encode_document(record))


def test_feedback_reaches_the_job(tmp_path: Path) -> None:
    history = write_history(tmp_path / "history", 500, 60)
    with open_bench(tmp_path) as bench:
        job = Job("default", MemoryPlan(), min_incidents=10_000)
        with pytest.raises(InvalidValue, match="got") as plain:
            run_job(job, history, None, NOW, lambda _share: None)
        found = int(str(plain.value).split("got ")[1].split(";")[0])
        assert found > 10
        for number in range(3):
            _feedback(bench.store.documents, f"absent-{number}", "false_alarm", number)
        said = feedback_of(bench.store.documents, "default")
        assert [(each.id, each.verdict, each.incident) for each in said] == [
            (f"f{number}", "false_alarm", f"absent-{number}") for number in range(3)
        ]
        assert feedback_of(bench.store.documents, "other") == ()
        asked: list[Job] = []
        bench.jobs._asks = _Spy(asked)  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
        bench.jobs.ask("r1", job, "")
        assert asked == [replace(job, said=Said(said))]


class _Spy:
    def __init__(self, asked: list[Job]) -> None:
        self.asked = asked

    def put_nowait(self, ask: object) -> None:
        job = getattr(ask, "job", None)
        if job is not None:
            self.asked.append(job)
