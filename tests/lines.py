"""A worker over a real store, fed with recorded lines, without threads or sockets."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from app.flow import Flow, FlowPlan
from app.history.delta import DeltaHistory
from app.ingest.limits import Limits
from app.ingest.receive import Receiver
from app.replay import ReplayClock, append_markers, signal_of, times_of
from app.settings import StoreSettings
from app.store.contract import Checkpoints
from app.store.sqlite import SqliteStore, open_store
from app.telemetry import Telemetry
from app.worker import Worker, WorkerParts, WorkerPlan

__all__ = ["FlakyHistory", "Line", "open_line"]

TICK_S = 60


class FlakyHistory:
    """History that refuses while it is told to."""

    def __init__(self, inner: DeltaHistory) -> None:
        self.inner, self.refusing, self.asked, self.optimised = inner, False, 0, 0

    def append(self, tables: Mapping[str, pa.Table], offsets: Mapping[int, int]) -> None:
        self.asked += 1
        if self.refusing:
            raise OSError("the bucket is gone")
        self.inner.append(tables, offsets)

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
        return self.inner.read(table, since=since, until=until, tenant=tenant, service=service, columns=columns)

    def optimise(self, now_s: int | None = None) -> None:
        self.optimised += 1


@dataclass
class Line:
    """A store, a receiver in front of it, and a worker behind it."""

    store: SqliteStore
    folder: Path
    plan: WorkerPlan = field(default_factory=lambda: WorkerPlan(checkpoint_s=1e9))
    telemetry: Telemetry = field(default_factory=Telemetry)
    clock: ReplayClock = field(default_factory=ReplayClock)
    seconds: list[float] = field(default_factory=lambda: [0.0])
    tick: int = 0

    def __post_init__(self) -> None:
        self.receiver = Receiver(self.store.log, self.telemetry, Limits(span_end_sample=1), self.clock)
        self.history = DeltaHistory(self.folder / "history")
        self.worker = self.new_worker()

    def new_worker(
        self, make_flow: Callable[[Telemetry], Flow] | None = None, checkpoints: Checkpoints | None = None
    ) -> Worker:
        """Return a worker that begins where the last checkpoint is, as after a restart."""
        store = self.store
        parts = WorkerParts(
            store.log,
            checkpoints or store.checkpoints,
            store.documents,
            self.history,
            lambda _tenant, _version: None,
        )
        parts = replace(parts, monotonic=lambda: self.seconds[0])
        make = make_flow or (lambda telemetry: Flow(FlowPlan(), telemetry))
        self.worker = Worker(parts, lambda: make(self.telemetry), self.telemetry, self.plan)
        self.worker.acquire()
        return self.worker

    def send(self, lines: Sequence[bytes], after_line: Callable[[], object] = lambda: None) -> None:
        """Receive lines with event time as the clock, with markers for every minute passed."""
        for line in lines:
            self.clock.now_ns = max([self.clock.now_ns, *times_of(line)])
            self.pass_to(self.clock.now_ns // 10**9 // TICK_S)
            self.receiver.receive("default", signal_of(line), "json", line)  # pyright: ignore[reportArgumentType]
            after_line()

    def pass_to(self, tick: int) -> None:
        """Append the markers up to a tick."""
        if tick > self.tick:
            append_markers(self.store.log, range(self.tick + 1 if self.tick else tick, tick + 1), TICK_S)
            self.tick = tick

    def with_flaky_history(self) -> FlakyHistory:
        """Put a history before the worker's that refuses while it is told to."""
        self.worker.archive.history = history = FlakyHistory(self.history)
        return history

    def end_tick(self) -> None:
        """End the open minute and do what there is to do."""
        self.pass_to(self.tick + 1)
        self.worker.drain()

    def snapshots(self) -> dict[int, dict[str, bytes]]:
        """Return the state of every partition."""
        return {n: self.worker.flow.snapshot(n) for n in range(self.store.log.n_partitions)}


@contextmanager
def open_line(folder: Path, plan: WorkerPlan | None = None) -> Generator[Line]:
    """Open a line over a folder."""
    settings = StoreSettings(commit_window_ms=0.0)
    with open_store(folder, settings=settings, max_in_flight_bytes=2**28, now=lambda: datetime.now(UTC)) as store:
        yield Line(store, folder, plan or WorkerPlan(checkpoint_s=1e9))
