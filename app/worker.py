"""The loop that owns partitions: reads the log, calls the flow, commits state, offset and outputs.

Ticks are messages of the log. A partition that reaches a marker waits until all owned partitions stand at
it; then one forecast covers them all. Every tick's documents are committed at once; the whole state is
committed every few minutes after an append to history, and what came after it is read from the log again
after a crash, with the same result. While history refuses, its rows wait here and forecasts go on.

Which partitions those are may change between two ticks: what `want` leaves out is let go of after a checkpoint, what is new is taken
over from its last checkpoint and catches up beside the live ones, in a lane of its own (`app.lane`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from app.archive import Archive, HistoryRefused
from app.cache.news import News
from app.cache.records import Known
from app.champion import Champion
from app.flow import Flow
from app.history.contract import History
from app.lane import Lane, tick_of
from app.members import Members
from app.store.contract import Checkpoints, Documents, Head, Log
from app.summaries import BUCKET, Summaries
from app.telemetry import Telemetry
from features.errors import Fenced, PartStopped, SnapshotMismatch

__all__ = ["Worker", "WorkerParts", "WorkerPlan"]

logger = logging.getLogger(__name__)

_IDLE_S = 0.5
_RETRY_S = 1.0
_GATHER_S = 0.02  # guessed: nothing needs the worker sooner, and a read costs nearly the same for one entry as for ten
_FEW = 256  # entries that may wait meanwhile; with more of them a read is worth it at once
_RENEWAL_S = 1.0  # guessed: between two renewals, however fast verdicts come
_PUBLISH_S = 30.0  # guessed: documents are never older than this plus one tick, however far behind the worker is
_MAX_WAITING = 10  # times `flush_rows`, the rows that wait for history before the log has to keep them
_CATCH_UP_S = 0.5  # guessed: of catching up between two looks at the live partitions
_LET_GO_TRIES = 2  # of a checkpoint, before partitions are let go of without one


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """How often state is committed, and what is owned.

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
    shared : bool
        Whether others own partitions too. Then none is wanted until `Worker.want` names some, and one that another took over is let go
        of; else all are wanted, and losing one ends the worker.
    """

    owner: str = "embedded"
    checkpoint_s: float = 300.0
    flush_rows: int = 200_000
    retention_s: float = 86_400.0
    shared: bool = False


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
    closed : callable
        Told after each tick, when its documents are there and those of the next are not.
    """

    log: Log
    checkpoints: Checkpoints
    documents: Documents
    history: History
    champions: Callable[[str, str], Champion | None]
    rivals: Callable[[str, Members], None] = lambda *_: None
    monotonic: Callable[[], float] = time.monotonic
    closed: Callable[[], object] = lambda: None


class Worker:
    """Owns partitions of a log and carries them forward.

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
        self._make_flow = make_flow
        self._summaries = Summaries(parts.documents.watch(BUCKET), parts.log.n_partitions)
        self._lane, self._joining = self._new_lane(), list[Lane]()
        self.wanted = frozenset[int]() if plan.shared else frozenset(range(parts.log.n_partitions))
        self._news = News(parts.documents.watch("models"), parts.documents.watch("feedback"))
        self._heard, self._renewal_after = self._news.changes, 0.0
        self._last_checkpoint = self._last_published = self._last_tick = parts.monotonic()
        self.archive = Archive(parts.history, parts.documents, telemetry, parts.monotonic)
        self._published, self._kept_back = True, 0
        self._loads, self._taking = dict[int, float](), frozenset[int]()
        self.failing = False  # whether something failed since the last tick that was closed
        self._lock = threading.Lock()

    @property
    def flow(self) -> Flow:
        """The line of the live partitions."""
        return self._lane.flow

    @property
    def held(self) -> frozenset[int]:
        """The partitions that it owns or takes over."""
        return self._taking.union(*(list(lane.partitions) for lane in (self._lane, *self._joining)))

    @property
    def published(self) -> bool:
        """Whether the documents are those of the newest closed tick."""
        return self._published

    def want(self, partitions: Iterable[int]) -> None:
        """Say which partitions to own: the next steps take over what is new, and a tick's end lets go of what is not among them."""
        self.wanted = frozenset(partitions)

    def lag(self) -> int:
        """Return how many entries of the log are not absorbed, over all owned partitions."""
        return sum(lane.lag for lane in (self._lane, *self._joining))

    def loads(self) -> Mapping[int, float]:
        """Return entries a second by live partition, as of the last tick."""
        return self._loads

    def acquire(self) -> None:
        """Take over all wanted partitions and restore their state; what was read since is read again."""
        with self._lock:
            self._forget()
            self._take_over()

    def step(self) -> bool:
        """Read and absorb what there is, forecast where a tick closed; return whether anything was done.

        Raises
        ------
        Fenced
            When another process took a partition over, where they are not shared; else all are let go of.
        """
        with self._lock:
            try:
                return self._step()
            except Fenced as exc:
                if not self.plan.shared:
                    raise
                self._lose(exc)
                return True

    def run(self, stop: threading.Event) -> None:
        """Step until told to stop.

        Whatever fails is logged and counted, and everything starts again from the last checkpoint, as often
        as it takes: a disk that is full now may not be in an hour.

        Raises
        ------
        Fenced
            When another process took the partitions over, where they are not shared.
        SnapshotMismatch
            When the state is that of other settings, or a newer release wrote it or what the log holds.
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
            self._checkpoint(self._lane)

    def _step(self) -> bool:
        busy = self._let_go_unread() | self._take_over() | self._catch_up() | self._lane.absorb()
        tick = self._lane.next_tick
        if tick is not None:
            self._tick(tick)
            return True
        if not busy and not self._published:
            self._lane.publish(self.flow.publish())
            self._published, self._last_published = True, self.parts.monotonic()
        elif self._published and self._news.changes != self._heard and self.parts.monotonic() >= self._renewal_after:
            self._renew()
        return busy

    def _new_lane(self) -> Lane:
        return Lane(self.parts.log, self.parts.checkpoints, self._make_flow(), self.telemetry, self._summaries)

    def _forget(self) -> None:
        self._go_on(self._new_lane())
        self._joining, self._taking = [], frozenset()

    def _go_on(self, lane: Lane) -> None:
        """Put another lane in the place of the live one."""
        self._lane.hide_lag()
        self._lane, self._kept_back = lane, 0

    def _lose(self, exc: Fenced) -> None:
        """Let go of everything, since somebody owns some of it: what is left is taken over anew once `want` says so."""
        logger.warning("partitions were taken over by another node, and everything is let go of: %s", exc)
        self.wanted = frozenset()
        self._forget()
        self.telemetry.fenced.inc()

    def _take_over(self) -> bool:
        """Acquire what is wanted and not held, and put what stands at the same tick into one lane."""
        numbers = sorted(self.wanted - self.held)
        if not numbers:
            return False
        by_tick: dict[int, dict[int, Head]] = {}
        self._taking = frozenset(numbers)  # held for others to see: what is taken late would be taken from them
        for number in numbers:
            head = self.parts.checkpoints.acquire(number, self.plan.owner)
            by_tick.setdefault(tick_of(head, self.flow.plan.memory.tick_s), {})[number] = head
        incidents = self.parts.documents.items("incidents")
        for heads in by_tick.values():
            lane = self._new_lane()
            lane.restore(heads, incidents)
            self._joining.append(lane)
        self._taking = frozenset()
        self._let_newest_live()
        return True

    def _let_newest_live(self) -> None:
        """Put the newest lane that joins in the place of a live one without partitions."""
        if self._joining and not self._lane.partitions:
            newest = max(self._joining, key=lambda lane: lane.tick)
            self._go_on(newest)
            self._joining.remove(newest)

    def _catch_up(self) -> bool:
        """Bring lanes that join on, for a bounded time, and let those in that stand where the live partitions do."""
        busy, until = False, self.parts.monotonic() + _CATCH_UP_S
        # Others begin where these began.
        self._joining = [lane for lane in self._joining if lane.partitions.keys() <= self.wanted]
        self._let_newest_live()
        for lane in list(self._joining):
            while lane.tick < self._lane.tick and self.parts.monotonic() < until and self._has_room(lane):
                if not lane.follow(self._lane.tick, self.parts.champions, self.parts.rivals):
                    break
                busy = True
            if lane.tick == self._lane.tick and not lane.gathers:
                self._lane.take(lane, self.parts.documents.items("incidents"))
                self._joining.remove(lane)
                busy = True
        return busy

    def _has_room(self, lane: Lane) -> bool:
        """Write out what a lane that joins gathered for history, once that is much; return whether it may gather more."""
        n_rows = lane.flow.chronicle.n_rows
        if n_rows >= self.plan.flush_rows and self.archive.ready:
            self._try_checkpoint(lane)
        return n_rows < _MAX_WAITING * self.plan.flush_rows or self.archive.ready

    def _tick(self, tick: int) -> None:
        """Close a tick of the live partitions."""
        overdue = self.parts.monotonic() - self._last_published >= _PUBLISH_S
        publish, self._published = overdue or not self._lane.another_marker_waits, False
        self._lane.close(tick, self._known(), publish=publish)
        self.parts.closed()
        self._measure()
        if publish:
            self._published, self._last_published = True, self.parts.monotonic()
        if self._lane.partitions.keys() <= self.wanted:
            self._checkpoint_when_due()
        else:
            self._let_go()
        self.failing = False

    def _measure(self) -> None:
        """Note what came since the last tick, and what waits."""
        now = self.parts.monotonic()
        self._loads, self._last_tick = self._lane.measure(max(now - self._last_tick, 1e-3)), now

    def _checkpoint_when_due(self) -> None:
        """Checkpoint in time, or leave it to a later tick while history refuses: forecasts do not wait for it."""
        n_rows = self.flow.chronicle.n_rows
        due = self.parts.monotonic() - self._last_checkpoint >= self.plan.checkpoint_s or n_rows >= self.plan.flush_rows
        if (due or self._lane.full) and self.archive.ready:
            self._try_checkpoint(self._lane)

    def _let_go(self) -> None:
        """Checkpoint, so that nobody has to read the log again, and go on without what is not wanted any more.

        While history refuses that waits for the next tick; then its rows are left to be made again from the log by the next owner.
        """
        gone = self._lane.partitions.keys() - self.wanted
        self._kept_back += 1
        if self._try_checkpoint(self._lane):
            self._go_on(self._lane.without(gone, self._make_flow(), self.parts.documents.items("incidents")))
        elif self._kept_back >= _LET_GO_TRIES:
            self._forget()

    def _let_go_unread(self) -> bool:
        """Go on at once without what is not wanted, where nothing was read since the checkpoint."""
        gone = self._lane.partitions.keys() - self.wanted
        if not gone or self._lane.has_read:
            return False
        self._go_on(self._lane.without(gone, self._make_flow(), self.parts.documents.items("incidents")))
        return True

    def _try_checkpoint(self, lane: Lane) -> bool:
        """Checkpoint, and return whether it came about."""
        try:
            return self._checkpoint(lane)
        except HistoryRefused:
            self.archive.note()
            if lane is self._lane and lane.flow.chronicle.n_rows >= _MAX_WAITING * self.plan.flush_rows:
                raise  # memory is bounded: they are made again from the log
            return False

    def _checkpoint(self, lane: Lane) -> bool:
        offsets = lane.closed
        if offsets is None:
            return False  # data of the open tick is gathered: the next tick's end is soon enough
        self.archive.append(lane.flow.chronicle, offsets)
        with self.telemetry.tick_seconds.labels(stage="checkpoint").time():
            lane.commit_states(self.plan.retention_s)
        if lane is self._lane:
            self._last_checkpoint = self.parts.monotonic()
            self.archive.optimise_daily(self.flow.memory.tick * self.flow.plan.memory.tick_s)
        return True

    def _renew(self) -> None:
        """Forecast anew what something came of since the tick: nobody waits a minute for a new model to speak."""
        known = self._known()
        with self.telemetry.tick_seconds.labels(stage="renewal").time():
            self._lane.publish(self.flow.renew(known))
        self._renewal_after = self.parts.monotonic() + _RENEWAL_S

    def _known(self) -> list[Known]:
        """Return what is known of every series, and put in who serves; what comes in between is still news afterwards."""
        self._heard = self._news.changes
        known = self._news.known_of(self.flow.memory.directory.keys)
        self._lane.load_champions(self.parts.champions, self.parts.rivals)
        return known
