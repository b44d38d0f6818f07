"""Partitions that stand at the same tick, and the one line that they go through.

`app.worker` has one that forecasts live, and beside it one for every group of partitions that it took over and that are not as far yet:
their log is read from their checkpoint on, through a line of their own, until they stand where the live ones do and can join them.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TypeAlias

from app.cache.documents import decode_document
from app.cache.records import IncidentRecord, Known
from app.champion import Champion
from app.chunks import chunks, joined
from app.flow import Flow
from app.ingest.codec import BatchMessage, TickMessage, unpack
from app.members import Members
from app.retention import passed, pressing
from app.store.contract import Checkpoints, Commit, Document, Entry, Head, Log, Output
from app.summaries import Summaries
from app.telemetry import Telemetry
from features.errors import InvalidValue, NewerVersion

__all__ = ["NO_TICK", "Lane", "Partition", "tick_of"]

logger = logging.getLogger(__name__)

Champions: TypeAlias = Callable[[str, str], Champion | None]
Rivals: TypeAlias = Callable[[str, Members], None]

NO_TICK = -1
"""Of a partition that no tick was closed of yet."""

_READ_ENTRIES = 256
_MARKER_BYTES = 64
_MARKERS = "worker/markers"
_LEARNERS, _FORESTS = "learners", "forests"
_HEADS = 256  # guessed: partitions whose documents go in one unit; each is a message of a thousand, and the rest are documents
_UNIT = 400  # guessed: values of state that change in one unit, of the thousand messages that a log of documents takes at once


@dataclass(slots=True)
class Partition:
    """Where one partition stands.

    Parameters
    ----------
    token : int
        The newest that the store gave.
    committed, position : int
        Offsets up to which state is committed, and up to which the log is read.
    marker, marker_offset : TickMessage or None, int
        The marker that it stands at, and the offset of the newest one.
    entries : list of Entry
        Read and not absorbed, the next one last.
    written : dict of str to str
        Digests of the committed state.
    markers : list of (int, int)
        Times and offsets of closed ticks whose log is kept.
    absorbed : int
        Entries since the last tick.
    """

    token: int
    committed: int
    position: int
    marker: TickMessage | None = None
    marker_offset: int = 0
    entries: list[Entry] = field(default_factory=list[Entry])
    written: dict[str, str] = field(default_factory=dict[str, str])
    markers: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    absorbed: int = 0


def tick_of(head: Head, tick_s: int) -> int:
    """Return the tick at which a checkpoint was made, `NO_TICK` for that of a new partition."""
    markers = json.loads(head.state.get(_MARKERS, b"[]"))
    return markers[-1][0] // tick_s if markers else NO_TICK


class Lane:
    """Partitions with their line.

    Parameters
    ----------
    log : Log
        What is read.
    checkpoints : Checkpoints
        Where documents and state are committed.
    flow : Flow
        Empty.
    telemetry : Telemetry
        Where it counts.
    summaries : Summaries
        What partitions of other lanes and nodes showed.
    """

    def __init__(self, log: Log, checkpoints: Checkpoints, flow: Flow, telemetry: Telemetry, summaries: Summaries) -> None:
        self.flow = flow
        self.partitions: dict[int, Partition] = {}
        self._log = log
        self._checkpoints = checkpoints
        self._telemetry = telemetry
        self._summaries = summaries
        self._gathers = False

    @property
    def tick(self) -> int:
        """Number of the open window; `NO_TICK` before the first message."""
        return self.flow.memory.tick

    def restore(self, heads: Mapping[int, Head], incidents: Iterable[Document]) -> None:
        """Put partitions in as their checkpoints say, all of the same tick.

        Raises
        ------
        SnapshotMismatch
            When the state is that of other settings.
        """
        for number, head in sorted(heads.items()):
            self.flow.restore(number, head.state)
            partition = Partition(head.token, head.offset, head.offset)
            partition.written = {name: _digest(value) for name, value in head.state.items()}
            partition.markers = [(s, offset) for s, offset in json.loads(head.state.get(_MARKERS, b"[]"))]
            self.partitions[number] = partition
        for head in heads.values():
            self._learn(joined(head.state, _LEARNERS), joined(head.state, _FORESTS))
        self._recall(incidents, heads)

    def absorb(self) -> bool:
        """Read and absorb what there is, of each partition up to its next marker; return whether anything was there."""
        busy = False
        for number, partition in self.partitions.items():
            while partition.marker is None and self._refill(number, partition):
                busy = True
                self._absorb_until_marker(number, partition)
        return busy

    def follow(self, tick: int, champions: Champions, rivals: Rivals) -> bool:
        """Read on, and close the next tick unless it comes after the one that is followed; return whether one was closed."""
        self.absorb()
        following = self.next_tick
        if following is None or following > tick:
            return False
        self.load_champions(champions, rivals)
        self.close(following, publish=False)
        return True

    @property
    def gathers(self) -> bool:
        """Whether data of the open tick is gathered, which is in no snapshot."""
        return self._gathers

    @property
    def has_read(self) -> bool:
        """Whether anything was read since the state that is committed."""
        return any(partition.position != partition.committed for partition in self.partitions.values())

    @property
    def next_tick(self) -> int | None:
        """The earliest tick that a partition stands at, once all stand at one; else None."""
        at = [partition.marker.tick_s for partition in self.partitions.values() if partition.marker is not None]
        if not at or len(at) < len(self.partitions):
            return None
        return min(at) // self.flow.plan.memory.tick_s

    @property
    def another_marker_waits(self) -> bool:
        """Whether the tick after the next is in the log already, so that documents of the next would be old at once."""
        number = min(self.partitions)
        partition = self.partitions[number]
        self._refill(number, partition)
        return any(_marks(entry.data) for entry in partition.entries if len(entry.data) <= _MARKER_BYTES)

    def close(self, tick: int, known: Sequence[Known] = (), *, publish: bool) -> None:
        """Close a tick that all partitions stand at or beyond, forecast, and commit the documents.

        Parameters
        ----------
        tick : int
            From `next_tick`.
        known : sequence of Known
            What is known of every series besides its data.
        publish : bool
            Whether documents of predictions are made.
        """
        tick_s = self.flow.plan.memory.tick_s
        for partition in self.partitions.values():
            # A partition further on keeps its marker; its own data of this tick is absorbed already.
            if partition.marker is not None and partition.marker.tick_s == tick * tick_s:
                partition.marker = None
                partition.markers.append((tick * tick_s, partition.marker_offset))
        offsets = {number: partition.marker_offset for number, partition in self.partitions.items()}
        self.flow.hear(self._summaries.of_others(self.partitions))
        with self._telemetry.tick_seconds.labels(stage="forecast").time():
            outputs = self.flow.forecast(tick, offsets, known, publish=publish)
        self._gathers = False
        if publish:  # in every partition, so that an owner that lost one says nothing more of any
            outputs = {number: outputs.get(number, []) for number in self.partitions}
        with self._telemetry.tick_seconds.labels(stage="commit").time():
            self._publish(outputs)

    def publish(self, outputs: Mapping[int, list[Output]]) -> None:
        """Publish documents between two ticks."""
        self._publish(outputs)
        self._show_lag()

    @property
    def closed(self) -> dict[int, int] | None:
        """The offsets of the newest closed tick; None while data of the open one is gathered, or before the first."""
        offsets = {number: p.markers[-1][1] for number, p in self.partitions.items() if p.markers}
        if not offsets or any(p.position > offsets.get(number, 0) for number, p in self.partitions.items()):
            return None
        return offsets

    @property
    def full(self) -> bool:
        """Whether the log is so full that a checkpoint, which makes room, is worth it before its time."""
        return any(pressing(self._log.fullness(number)) for number in self.partitions)

    def commit_states(self, retention_s: float) -> None:
        """Commit the state of all partitions as of the newest closed tick, then let go of the log that is old, or too much.

        Few partitions change in one unit. A crash between two units leaves them at different ticks, and the next owner brings them
        together again.
        """
        gone: dict[int, int] = {}
        commits, learned = list[Commit](), self._learned()
        for number, partition in self.partitions.items():
            closed = partition.markers[-1][1]
            through, partition.markers = passed(partition.markers, retention_s, self._log.fullness(number))
            if through:
                gone[number] = through
            state = self.flow.snapshot(number) | learned.get(number, {}) | {_MARKERS: json.dumps(partition.markers).encode()}
            digests = {name: _digest(value) for name, value in state.items()}
            changed: dict[str, bytes | None] = {n: v for n, v in state.items() if partition.written.get(n) != digests[n]}
            changed |= dict.fromkeys(partition.written.keys() - state.keys())
            if commits and sum(len(commit.changed_state) for commit in commits) + len(changed) > _UNIT:
                self._commit_unit(commits)
                commits = []
            commits.append(Commit(number, partition.token, closed, changed))
            partition.written = digests
        self._commit_unit(commits)
        for number, offset in gone.items():
            self._log.trim(number, offset)

    def take(self, other: Lane, incidents: Iterable[Document]) -> None:
        """Let the partitions of another lane, which stands at the same tick with nothing gathered, go on here."""
        for number, partition in other.partitions.items():
            self.flow.restore(number, other.flow.snapshot(number))
            self.partitions[number] = partition
        self._learn_from(other.flow)
        self.flow.chronicle.take(other.flow.chronicle)
        self._recall(incidents, other.partitions)

    def without(self, gone: Iterable[int], flow: Flow, incidents: Iterable[Document]) -> Lane:
        """Return a lane of all partitions but some, which were committed; nothing is gathered and no row waits for history.

        Parameters
        ----------
        gone : iterable of int
            Partitions.
        flow : Flow
            Empty.
        incidents : iterable of Document
            What the bucket holds.
        """
        rest = Lane(self._log, self._checkpoints, flow, self._telemetry, self._summaries)
        rest.partitions = {number: p for number, p in self.partitions.items() if number not in set(gone)}
        for number in rest.partitions:
            flow.restore(number, self.flow.snapshot(number))
        rest._learn_from(self.flow)
        rest._recall(incidents, rest.partitions)
        return rest

    def load_champions(self, champions: Champions, rivals: Rivals) -> None:
        """Put new champions in; one that cannot be had leaves those that serve as they are. See `app.worker.WorkerParts`."""
        for tenant in self.flow.memory.tenants:
            try:
                champion = champions(tenant, self.flow.learners.of(tenant).version)
                if champion is not None:
                    self.flow.promote(tenant, champion)
                rivals(tenant, self.flow.learners.of(tenant))
            except Exception:
                logger.exception("the champion of tenant %s could not be loaded", tenant)
                self._telemetry.faults.labels(place="champion").inc()

    @property
    def lag(self) -> int:
        """How many entries of the log are not absorbed; safe to read from any thread."""
        return sum(self._log.waiting(number, p.position) for number, p in list(self.partitions.items()))

    def measure(self, passed_s: float) -> dict[int, float]:
        """Show what waits, and return entries a second by partition since the last call, which was so many seconds ago."""
        self._show_lag()
        loads = {number: partition.absorbed / passed_s for number, partition in self.partitions.items()}
        for partition in self.partitions.values():
            partition.absorbed = 0
        return loads

    def hide_lag(self) -> None:
        """Take back what was said of it: somebody else may own the partitions now."""
        for number in self.partitions:
            with suppress(KeyError):
                self._telemetry.lag.remove(str(number))

    def _show_lag(self) -> None:
        """Say how much waits in the log of every partition."""
        for number, partition in self.partitions.items():
            self._telemetry.lag.labels(partition=str(number)).set(self._log.waiting(number, partition.position))

    def _learn_from(self, flow: Flow) -> None:
        self._learn(flow.learners.snapshot(), flow.anomalies.combinations.snapshot())

    def _learn(self, learners: Mapping[str, bytes], forests: Mapping[str, bytes]) -> None:
        """Put in what was learned of tenants that have series here."""
        combinations = self.flow.anomalies.combinations
        for tenant, data in learners.items():
            if tenant in self.flow.memory.tenants:
                self.flow.learners.restore(tenant, data)
        for tenant, data in forests.items():
            if tenant in self.flow.memory.tenants and not combinations.has(tenant):
                combinations.restore(tenant, data)

    def _recall(self, incidents: Iterable[Document], partitions: Iterable[int]) -> None:
        self.flow.recall((decode_document(document.value, IncidentRecord) for document in incidents), partitions)

    def _learned(self) -> dict[int, dict[str, bytes]]:
        """Return what was learned of each tenant by the lowest of its partitions here: whoever takes that over has its series too."""
        directory, lowest = self.flow.memory.directory, dict[str, int]()
        for key, number in zip(directory.keys, directory.partition.tolist(), strict=True):
            lowest[key.tenant] = min(number, lowest.get(key.tenant, number))
        found: dict[int, dict[str, bytes]] = {}
        values = ((_LEARNERS, self.flow.learners.snapshot()), (_FORESTS, self.flow.anomalies.combinations.snapshot()))
        for prefix, tenant, data in ((prefix, *one) for prefix, by_tenant in values for one in by_tenant.items()):
            found.setdefault(lowest.get(tenant, min(self.partitions)), {}).update(chunks({tenant: data}, prefix))
        return found

    def _refill(self, number: int, partition: Partition) -> bool:
        if not partition.entries:
            partition.entries = self._log.read(number, partition.position, _READ_ENTRIES)[::-1]
        return bool(partition.entries)

    def _absorb_until_marker(self, number: int, partition: Partition) -> None:
        while partition.entries and partition.marker is None:
            entry = partition.entries.pop()
            partition.position = entry.offset
            partition.absorbed += 1
            try:
                message = unpack(entry.data)
                if isinstance(message, BatchMessage):
                    self._gathers = True
                    self.flow.absorb(number, message)
                elif message.tick_s // self.flow.plan.memory.tick_s > self.tick:
                    partition.marker, partition.marker_offset = message, entry.offset
            except NewerVersion:  # another release can read it: to pass over it would lose what was acknowledged
                raise
            except Exception:  # one message that cannot be read must not stop all that come after it
                logger.exception("offset %d of partition %d was skipped", entry.offset, number)
                self._telemetry.faults.labels(place="absorb").inc()

    def _publish(self, outputs: Mapping[int, list[Output]]) -> None:
        """Publish documents of partitions at once; their state and offset stay where they are."""
        owned = self.partitions
        commits = [Commit(n, owned[n].token, owned[n].committed, outputs=made) for n, made in outputs.items()]
        for start in range(0, len(commits), _HEADS):
            self._commit(commits[start : start + _HEADS])

    def _commit_unit(self, commits: Sequence[Commit]) -> None:
        self._commit(commits)
        for commit in commits:
            self.partitions[commit.partition].committed = commit.offset

    def _commit(self, commits: Sequence[Commit]) -> None:
        if commits:
            tokens = self._checkpoints.commit_all(commits)
            for commit, token in zip(commits, tokens, strict=True):
                self.partitions[commit.partition].token = token


def _marks(data: bytes) -> bool:
    """Return whether a message is a tick marker; what cannot be read is told of when its turn comes."""
    try:
        return isinstance(unpack(data), TickMessage)
    except (InvalidValue, NewerVersion):
        return False


def _digest(value: bytes) -> str:
    return sha256(value).hexdigest()
