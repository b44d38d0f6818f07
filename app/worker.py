"""The loop that owns partitions: reads the log, calls the flow, commits state, offset and outputs.

Ticks are messages of the log. A partition that reaches a marker waits until all owned partitions stand at
it; then one forecast covers them all. Every tick's documents are committed at once; the whole state is
committed every few minutes after an append to history, and what came after it is read from the log again
after a crash, with the same result. While history refuses, its rows wait here and forecasts go on.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from app.archive import Archive, HistoryRefused
from app.cache.documents import decode_document
from app.cache.news import News
from app.cache.records import IncidentRecord, Known
from app.champion import Champion
from app.chunks import chunks, joined
from app.flow import Flow
from app.history.contract import History
from app.ingest.codec import BatchMessage, TickMessage, unpack
from app.members import Members
from app.store.contract import Checkpoints, Commit, Documents, Entry, Log, Output
from app.telemetry import Telemetry
from features.errors import Fenced, PartStopped, SnapshotMismatch

__all__ = ["Worker", "WorkerParts", "WorkerPlan"]

logger = logging.getLogger(__name__)

_READ_ENTRIES = 256
_IDLE_S = 0.5
_RETRY_S = 1.0
_GATHER_S = 0.02  # guessed: nothing needs the worker sooner, and a read costs nearly the same for one entry as for ten
_FEW = 256  # entries that may wait meanwhile; with more of them a read is worth it at once
_MARKER_BYTES = 64
_MARKERS = "worker/markers"
_LEARNERS, _FORESTS = "learners", "forests"
_RENEWAL_S = 1.0  # guessed: between two renewals, however fast verdicts come
_PUBLISH_S = 30.0  # guessed: documents are never older than this plus one tick, however far behind the worker is
_MAX_WAITING = 10  # times `flush_rows`, the rows that wait for history before the log has to keep them


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """How often state is committed.

    Parameters
    ----------
    owner : str
        Names this process to the checkpoints.
    checkpoint_s : float
        Seconds of wall time between checkpoints.
    flush_rows : int
        Rows of history after which a checkpoint is made early.
    retention_s : float
        Seconds of log, by marker, that are kept behind a checkpoint.
    """

    owner: str = "embedded"
    checkpoint_s: float = 300.0
    flush_rows: int = 200_000
    retention_s: float = 86_400.0


@dataclass(frozen=True, slots=True)
class WorkerParts:
    """What a worker reads and writes.

    Parameters
    ----------
    log, checkpoints, documents
        The store.
    history : History
        Where rows go before each checkpoint.
    champions : callable
        Returns the champion of a tenant if it is another one than the given version, else None.
    rivals : callable
        Puts the version that the champion is compared with beside it, in the tenant's forecasters.
    monotonic : callable
        Seconds; decides only when to checkpoint and to publish, never what.
    """

    log: Log
    checkpoints: Checkpoints
    documents: Documents
    history: History
    champions: Callable[[str, str], Champion | None]
    rivals: Callable[[str, Members], None] = lambda *_: None
    monotonic: Callable[[], float] = time.monotonic


@dataclass(slots=True)
class _Partition:
    token: int
    committed: int
    position: int
    marker: TickMessage | None = None
    marker_offset: int = 0
    entries: list[Entry] = field(default_factory=list[Entry])
    written: dict[str, str] = field(default_factory=dict[str, str])
    markers: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])


class Worker:
    """Owns all partitions of a log and carries them forward.

    Parameters
    ----------
    parts : WorkerParts
        What it reads and writes.
    make_flow : callable
        Makes an empty line; called again when a tick failed and everything starts from the checkpoint.
    telemetry : Telemetry
        Where it counts.
    plan : WorkerPlan
        How often it commits.
    """

    def __init__(self, parts: WorkerParts, make_flow: Callable[[], Flow], telemetry: Telemetry, plan: WorkerPlan) -> None:
        self.parts = parts
        self.telemetry = telemetry
        self.plan = plan
        self.flow = make_flow()
        self._make_flow = make_flow
        self._news = News(parts.documents.watch("models"), parts.documents.watch("feedback"))
        self._heard, self._renewal_after = self._news.changes, 0.0
        self._partitions: dict[int, _Partition] = {}
        self._last_checkpoint = self._last_published = parts.monotonic()
        self.archive = Archive(parts.history, parts.documents, telemetry, parts.monotonic)
        self._published = True
        self.failing = False  # whether something failed since the last tick that was closed
        self._lock = threading.Lock()

    def acquire(self) -> None:
        """Take over all partitions and restore their state; what was read since is read again."""
        with self._lock:
            flow, partitions = self._make_flow(), dict[int, _Partition]()
            learners, forests = dict[str, bytes](), dict[str, bytes]()
            for number in range(self.parts.log.n_partitions):
                head = self.parts.checkpoints.acquire(number, self.plan.owner)
                flow.restore(number, head.state)
                partition = _Partition(head.token, head.offset, head.offset)
                partition.written = {name: _digest(value) for name, value in head.state.items()}
                partition.markers = [(s, offset) for s, offset in json.loads(head.state.get(_MARKERS, b"[]"))]
                partitions[number] = partition
                learners |= joined(head.state, _LEARNERS)
                forests |= joined(head.state, _FORESTS)
            for tenant, data in learners.items():
                flow.learners.restore(tenant, data)
            for tenant, data in forests.items():
                flow.anomalies.combinations.restore(tenant, data)
            flow.recall(decode_document(d.value, IncidentRecord) for d in self.parts.documents.items("incidents"))
            self.flow, self._partitions = flow, partitions

    def step(self) -> bool:
        """Read and absorb what there is, forecast where a tick closed; return whether anything was done."""
        with self._lock:
            busy = False
            for number, partition in self._partitions.items():
                while partition.marker is None and self._refill(number, partition):
                    busy = True
                    self._absorb_until_marker(number, partition)
            if all(partition.marker is not None for partition in self._partitions.values()):
                self._tick()
                return True
            if not busy and not self._published:
                self._commit_outputs(self.flow.publish())
                self._note_published()
            elif self._published and self._news.changes != self._heard and self.parts.monotonic() >= self._renewal_after:
                self._renew()
            return busy

    def run(self, stop: threading.Event) -> None:
        """Step until told to stop.

        Whatever fails is logged and counted, and everything starts again from the last checkpoint, as often
        as it takes: a disk that is full now may not be in an hour.

        Raises
        ------
        Fenced
            When another process took the partitions over.
        SnapshotMismatch
            When the state is that of other settings.
        PartStopped
            When the store has ended.
        """
        behind = False
        while not stop.is_set():
            try:
                if behind:
                    self.acquire()
                    behind = False
                if not self.step():
                    self.parts.log.wait(_IDLE_S)
                if self.lag() < _FEW:
                    stop.wait(_GATHER_S)
            except (Fenced, SnapshotMismatch, PartStopped):
                raise
            except Exception:
                logger.exception("a tick failed; reading again from the last checkpoint")
                self.telemetry.faults.labels(place="worker").inc()
                self.failing = behind = True
                stop.wait(_RETRY_S)

    def drain(self) -> None:
        """Step until everything in the log is absorbed and published."""
        while self.step():
            pass

    def checkpoint(self) -> None:
        """Append to history, then commit the whole state with the offset of the last closed tick.

        Only between two ticks, when nothing is gathered: what came after the marker is read again.

        Raises
        ------
        StoreFailed
            When history or the store refused; the state stays uncommitted, and nothing is lost.
        """
        with self._lock:
            self._checkpoint()

    @property
    def published(self) -> bool:
        """Whether the documents are those of the newest closed tick."""
        return self._published

    def lag(self) -> int:
        """Return how many entries of the log are not absorbed, over all partitions."""
        return sum(self.parts.log.waiting(n, p.position) for n, p in list(self._partitions.items()))

    def _refill(self, number: int, partition: _Partition) -> bool:
        if not partition.entries:
            partition.entries = self.parts.log.read(number, partition.position, _READ_ENTRIES)[::-1]
        return bool(partition.entries)

    def _absorb_until_marker(self, number: int, partition: _Partition) -> None:
        while partition.entries and partition.marker is None:
            entry = partition.entries.pop()
            partition.position = entry.offset
            try:
                message = unpack(entry.data)
                if isinstance(message, BatchMessage):
                    self.flow.absorb(number, message)
                elif message.tick_s // self.flow.plan.memory.tick_s > self.flow.memory.tick:
                    partition.marker, partition.marker_offset = message, entry.offset
            except Exception:  # one message that cannot be read must not stop all that come after it
                logger.exception("offset %d of partition %d was skipped", entry.offset, number)
                self.telemetry.faults.labels(place="absorb").inc()

    def _tick(self) -> None:
        """Close the earliest tick that any partition stands at."""
        tick_s = self.flow.plan.memory.tick_s
        at = {n: p.marker.tick_s for n, p in self._partitions.items() if p.marker is not None}
        now_s = min(at.values())
        for number, partition in self._partitions.items():
            # A partition further on keeps its marker; its own data of this tick is absorbed already.
            if at[number] == now_s:
                partition.marker = None
                partition.markers.append((now_s, partition.marker_offset))
        offsets = {number: p.marker_offset for number, p in self._partitions.items()}
        known = self._known()
        overdue = self.parts.monotonic() - self._last_published >= _PUBLISH_S
        publish, self._published = overdue or not self._another_marker_waits(), False
        with self.telemetry.tick_seconds.labels(stage="forecast").time():
            outputs = self.flow.forecast(now_s // tick_s, offsets, known, publish=publish)
        with self.telemetry.tick_seconds.labels(stage="commit").time():
            self._commit_outputs(outputs)
        if publish:
            self._note_published()
        self._checkpoint_when_due()
        self.failing = False

    def _note_published(self) -> None:
        self._published, self._last_published = True, self.parts.monotonic()

    def _checkpoint_when_due(self) -> None:
        """Checkpoint in time, or leave it to a later tick while history refuses: forecasts do not wait for it."""
        n_rows = self.flow.chronicle.n_rows
        due = self.parts.monotonic() - self._last_checkpoint >= self.plan.checkpoint_s or n_rows >= self.plan.flush_rows
        if not due or not self.archive.ready:
            return
        try:
            self._checkpoint()
        except HistoryRefused:
            self.archive.wait()
            if n_rows >= _MAX_WAITING * self.plan.flush_rows:
                raise  # memory is bounded: they are made again from the log

    def _another_marker_waits(self) -> bool:
        """Return whether the next tick is in the log already, so that this one's documents would be old at once."""
        partition = self._partitions[0]
        self._refill(0, partition)
        small = (entry.data for entry in partition.entries if len(entry.data) <= _MARKER_BYTES)
        return any(isinstance(unpack(data), TickMessage) for data in small)

    def _commit_outputs(self, outputs: Mapping[int, list[Output]]) -> None:
        """Publish documents of all partitions at once; their state and offset stay where they are."""
        owned = self._partitions
        commits = [Commit(n, owned[n].token, owned[n].committed, outputs=made) for n, made in outputs.items() if made]
        self._commit(commits)
        for number, partition in owned.items():
            self.telemetry.lag.labels(partition=str(number)).set(self.parts.log.waiting(number, partition.position))

    def _commit(self, commits: Sequence[Commit]) -> None:
        """Commit partitions together: a crash between two of them would leave them at different ticks."""
        if commits:
            tokens = self.parts.checkpoints.commit_all(commits)
            for commit, token in zip(commits, tokens, strict=True):
                self._partitions[commit.partition].token = token

    def _checkpoint(self) -> None:
        offsets = {n: p.markers[-1][1] for n, p in self._partitions.items() if p.markers}
        if not offsets or any(p.position > offsets.get(n, 0) for n, p in self._partitions.items()):
            return  # data of the open tick is gathered: the next tick's end is soon enough
        self.archive.append(self.flow.chronicle, offsets)
        with self.telemetry.tick_seconds.labels(stage="checkpoint").time():
            self._commit_states()
        self._last_checkpoint = self.parts.monotonic()
        self.archive.optimise_daily(self.flow.memory.tick * self.flow.plan.memory.tick_s)

    def _commit_states(self) -> None:
        """Commit the state of all partitions, then let go of the log that is older than the retention."""
        commits: list[Commit] = []
        passed: dict[int, int] = {}
        for number, partition in self._partitions.items():
            newest = partition.markers[-1][0]
            old = [offset for tick_s, offset in partition.markers if tick_s < newest - self.plan.retention_s]
            partition.markers = partition.markers[len(old) :]
            state = self.flow.snapshot(number) | {_MARKERS: json.dumps(partition.markers).encode()}
            if number == 0:  # learners are a tenant's, not a partition's
                state |= chunks(self.flow.learners.snapshot(), _LEARNERS)
                state |= chunks(self.flow.anomalies.combinations.snapshot(), _FORESTS)
            digests = {name: _digest(value) for name, value in state.items()}
            changed: dict[str, bytes | None] = {n: v for n, v in state.items() if partition.written.get(n) != digests[n]}
            changed |= dict.fromkeys(partition.written.keys() - state.keys())
            commits.append(Commit(number, partition.token, partition.markers[-1][1], changed))
            partition.written = digests
            if old:
                passed[number] = old[-1]
        self._commit(commits)
        for commit in commits:
            self._partitions[commit.partition].committed = commit.offset
        for number, offset in passed.items():
            self.parts.log.trim(number, offset)

    def _renew(self) -> None:
        """Forecast anew what something came of since the tick: nobody waits a minute for a new model to speak."""
        known = self._known()
        with self.telemetry.tick_seconds.labels(stage="renewal").time():
            self._commit_outputs(self.flow.renew(known))
        self._renewal_after = self.parts.monotonic() + _RENEWAL_S

    def _known(self) -> list[Known]:
        """Return what is known of every series, and put in who serves; what comes in between is still news afterwards."""
        self._heard = self._news.changes
        known = self._news.known_of(self.flow.memory.directory.keys)
        self._load_champions()
        return known

    def _load_champions(self) -> None:
        """Put new champions in; one that cannot be had leaves those that serve as they are."""
        for tenant in self.flow.memory.tenants:
            try:
                champion = self.parts.champions(tenant, self.flow.learners.of(tenant).version)
                if champion is not None:
                    self.flow.promote(tenant, champion)
                self.parts.rivals(tenant, self.flow.learners.of(tenant))
            except Exception:
                logger.exception("the champion of tenant %s could not be loaded", tenant)
                self.telemetry.faults.labels(place="champion").inc()


def _digest(value: bytes) -> str:
    return sha256(value).hexdigest()
