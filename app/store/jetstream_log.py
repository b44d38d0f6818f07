"""The durable log by partition, in JetStream streams over which the partitions are spread.

`app.ingest` appends to it; every append of a partition is one message that holds what callers gathered meanwhile, one append a partition
in flight, so that order holds when one has to be sent again. `app.worker` reads it from any replica. An offset is the message's sequence
and the place within it.
"""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from app.store.contract import SHORT_BYTES, Entry
from app.store.jetstream_answers import Draft, NoRoom, Stored
from app.store.jetstream_link import Link
from app.store.jetstream_places import GATHERED, PLACES, Counts, Fill, Layout
from app.telemetry import Telemetry
from features.errors import BodyTooLarge, ForeshockError, InvalidValue, LogFull, Overloaded, StoreFailed

__all__ = ["TRIMMED", "WAKE", "JetStreamLog", "LogPlan", "trimmed_note"]

WAKE = "fs.wake"
"""Subject, outside any stream, on which every process is told of what was appended."""

_GATHERED_BYTES = 2**20 - 2**14  # the server's usual bound of a message is 1 MiB; one larger entry goes alone
_PACKING_BYTES = 16  # around one entry that goes alone
_FIRST_PAGE_BYTES = 2**18  # one message at least comes, and it may hold more entries than were asked for
_PAGE_BYTES = 16 * 2**20
_CLOSE_S = 15.0  # what is under way is answered sooner, see `Link`
_LOOK_S = 1.0
"""Seconds between two looks at the streams: a word that was lost is made good within two. Eight small questions a look."""

TRIMMED = "fs.doc.log-trimmed."
"""How the subjects begin of what says how far partitions are trimmed."""

_decode = msgspec.msgpack.Decoder(list[bytes]).decode


@dataclass(frozen=True, slots=True)
class LogPlan:
    """How the log of a cluster is written.

    Parameters
    ----------
    window_s : float
        Seconds for which appends of a partition are gathered.
    max_in_flight_bytes : int
        Bytes that may wait before appends are refused.
    max_bytes : int
        Bytes that the log may hold, spread evenly over its streams; 0 for any number.
    """

    window_s: float
    max_in_flight_bytes: int
    max_bytes: int = 0


@dataclass(slots=True, eq=False)
class _Call:
    """Messages of one caller, and what came of them so far."""

    answer: Future[list[int]]
    offsets: list[int]
    left: int
    n_bytes: int
    failure: ForeshockError | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    call: _Call
    place: int
    data: bytes


class JetStreamLog:
    """The `Log` of a cluster.

    Parameters
    ----------
    link : Link
        The connection.
    layout : Layout
        Where partitions lie.
    plan : LogPlan
        How it is written.
    telemetry : Telemetry
        Receives ``append_seconds``, ``bytes_in_flight`` and ``log_bytes``.
    """

    def __init__(self, link: Link, layout: Layout, plan: LogPlan, telemetry: Telemetry) -> None:
        partitions = layout.partitions
        self._link = link
        self.layout = layout
        self._telemetry = telemetry
        self._plan = plan
        self._lock = threading.Condition()
        self._in_flight_bytes = 0
        self._waiting = 0  # callers that are not answered
        self._closing = False
        self._queues: list[deque[_Waiting]] = [deque() for _ in range(partitions)]
        self._running = [False] * partitions  # touched on the loop alone
        self._answers = ThreadPoolExecutor(1, "log-answers")
        self._n_appended = 0
        self._seen = threading.local()
        self._trimmed = [0] * partitions
        self._ends = [0] * partitions
        self._counts = [Counts() for _ in range(partitions)]
        self._fills = {layout.stream(p): Fill(layout.share(plan.max_bytes)) for p in range(partitions)}
        telemetry.log_bytes.set_function(self.size)
        for stream in self._fills:
            link.call(self._look(stream, patient=True))
        self._looking = link.start(self._keep_looking())

    @property
    def n_partitions(self) -> int:
        """How many partitions the cluster was made with."""
        return len(self._queues)

    def append(self, partition: int, batch_id: str, data: bytes) -> int:
        """Append a message and return its offset once it is durable; see `Log.append`."""
        return self.append_later([(partition, batch_id, data)]).result()[0]

    def append_many(self, messages: Sequence[tuple[int, str, bytes]]) -> list[int]:
        """Append messages and return their offsets once all are durable; partitions are not one unit."""
        return self.append_later(messages).result()

    def append_later(self, messages: Sequence[tuple[int, str, bytes]]) -> Future[list[int]]:
        """Queue messages and return at once; see `Log.append_later`."""
        n_bytes = 0
        for partition, _, data in messages:
            self._check(partition)
            if len(data) + _PACKING_BYTES > self._link.max_bytes:
                most = self._link.max_bytes - _PACKING_BYTES
                raise BodyTooLarge(f"a message must have at most {most} bytes by the servers' max_payload, got {len(data)}")
            n_bytes += len(data)
        call = _Call(Future(), [0] * len(messages), len(messages), n_bytes)
        if not messages:
            call.answer.set_result([])
            return call.answer
        touched = {partition for partition, _, _ in messages}
        if any(len(data) > SHORT_BYTES for _, _, data in messages):
            for partition in touched:
                self._admit(self.layout.stream(partition))
        with self._lock:
            if self._closing:
                raise StoreFailed("the log is closed")
            if self._in_flight_bytes and self._in_flight_bytes + n_bytes > self._plan.max_in_flight_bytes:
                raise Overloaded(f"{self._in_flight_bytes} bytes wait for the log, {self._plan.max_in_flight_bytes} may")
            self._waiting += 1
            self._in_flight_bytes += n_bytes
            self._telemetry.bytes_in_flight.set(self._in_flight_bytes)
            for place, (partition, _, data) in enumerate(messages):
                self._queues[partition].append(_Waiting(call, place, bytes(data)))
        for partition in touched:
            self._link.soon(lambda p=partition: self._begin(p))
        return call.answer

    def read(self, partition: int, after: int, limit: int = 1024) -> list[Entry]:
        """Return at most `limit` entries with an offset above `after`, in order."""
        self._check(partition)
        after = max(after, self._trimmed[partition])
        if after >= self._ends[partition]:
            return []
        found: list[Entry] = []
        sequence, more, n_bytes = after >> PLACES, True, _FIRST_PAGE_BYTES
        while more and len(found) < limit:
            asked = {
                "seq": max(sequence, 1),
                "batch": limit,
                "max_bytes": n_bytes,
                "next_by_subj": self.layout.subject(partition),
            }
            page, end = self._link.call(self._link.some(self.layout.stream(partition), asked))
            found += [entry for stored in page for entry in _entries(stored) if entry.offset > after]
            more = bool(page) and int(end.get("Nats-Num-Pending", 0)) > 0
            sequence = page[-1].sequence + 1 if page else sequence
            n_bytes = min(4 * n_bytes, _PAGE_BYTES)
        return found[:limit]

    def end(self, partition: int) -> int:
        """Return the offset of the last entry that this process knows of, 0 when there was none. Reads memory only."""
        self._check(partition)
        return self._ends[partition]

    def waiting(self, partition: int, after: int) -> int:
        """Return about how many entries lie above an offset, 0 only where none does; see `Log.waiting`."""
        self._check(partition)
        if after >= self._ends[partition]:
            return 0
        with self._lock:
            return self._counts[partition].above(after)

    def trim(self, partition: int, through: int) -> None:
        """Forget entries up to and with an offset; those that share a message with later ones go with these."""
        self._check(partition)
        through = min(through, self._ends[partition])
        self._trimmed[partition] = max(self._trimmed[partition], through)
        note = trimmed_note(partition, self._trimmed[partition])
        noted = self._noted(note)
        # Up to the message that holds the next one; the sequence named stays.
        keep = (through + 1) >> PLACES if through & GATHERED < GATHERED else (through >> PLACES) + 1
        if keep <= 1:
            return  # nothing lies before the first message, and a purge up to 0 is one of everything
        answer = self._link.call(
            self._link.api(
                f"STREAM.PURGE.{self.layout.stream(partition)}", {"filter": self.layout.subject(partition), "seq": keep}
            )
        )
        if "error" in answer:
            raise StoreFailed(f"partition {partition} was not trimmed: {answer['error'].get('description')}")
        if not noted:
            self._link.call(self._link.publish("FS_STATE", note))

    def size(self) -> int:
        """Return how many bytes the log holds, as of about a second ago at most; see `Log.size`."""
        return sum(fill.n_bytes for fill in self._fills.values())

    def fullness(self, partition: int) -> float:
        """Return how much of what its stream may hold is there; see `Log.fullness`."""
        self._check(partition)
        return self._fills[self.layout.stream(partition)].share

    def wait(self, timeout_s: float) -> bool:
        """Block until something is appended, here or elsewhere, or the time is over; see `Log.wait`."""
        seen = getattr(self._seen, "value", 0)
        with self._lock:
            arrived = self._lock.wait_for(lambda: self._n_appended > seen, timeout_s)
            self._seen.value = self._n_appended
        return arrived

    def close(self) -> None:
        """Take no more, and finish what waits for as long as the cluster may be away; then refuse it. Called before the link is closed."""
        with self._lock:
            self._closing = True
            self._lock.wait_for(lambda: not self._waiting, _CLOSE_S)
        if self._waiting:
            self._link.soon(self._give_up)
            with self._lock:
                self._lock.wait_for(lambda: not self._waiting, _CLOSE_S)
        self._looking.cancel()
        self._answers.shutdown()

    def told(self, data: bytes) -> None:
        """Take what another process appended, as it said on `WAKE`; called on the loop."""
        partition, offset, *n_bytes = map(int, data.split())
        if offset > self._ends[partition]:  # our own word comes back too
            self._fills[self.layout.stream(partition)].add(sum(n_bytes))
        self._note(partition, offset)

    def _noted(self, note: Draft) -> bool:
        """Write how far is trimmed, and return whether there was room for it: on full disks room is made first."""
        try:
            self._link.call(self._link.publish("FS_STATE", note))
        except NoRoom:
            return False
        return True

    def _admit(self, stream: str) -> None:
        """Refuse what is no marker while a stream is full."""
        fill = self._fills[stream]
        if fill.share >= 1.0:
            raise LogFull(f"stream {stream} of the log must hold less than {fill.max_bytes} bytes, got {fill.n_bytes}")

    async def _keep_looking(self) -> None:
        """Look at the streams again and again: what others append is told, but a word may be lost, and servers forget."""
        while True:
            await asyncio.sleep(_LOOK_S)
            for stream in self._fills:
                with suppress(StoreFailed):  # the link counts it; here it comes again
                    await self._look(stream)

    async def _look(self, stream: str, *, patient: bool = False) -> None:
        """Ask how large a stream is, and where its partitions end if it holds what nobody told of."""
        state = await self._link.state(stream, patient=patient)
        fill = self._fills[stream]
        fill.n_bytes = int(state["bytes"])
        last = int(state["last_seq"])
        if fill.missed(last) or patient:
            for partition in (p for p in range(self.n_partitions) if self.layout.stream(p) == stream):
                end = await self._last(partition)
                if end > self._ends[partition]:
                    if not self._ends[partition]:
                        self._counts[partition] = Counts((end >> PLACES << PLACES) - 1)
                    self._note(partition, end)
            fill.complete(last)

    def _give_up(self) -> None:
        """Refuse what nobody has begun to append; what is under way is refused in time by the link."""
        for queue in self._queues:
            self._refuse([queue.popleft() for _ in range(len(queue))], StoreFailed("the log was closed before its turn came"))

    def _begin(self, partition: int) -> None:
        if not self._running[partition]:
            self._running[partition] = True
            task = asyncio.get_running_loop().create_task(self._write(partition))
            task.add_done_callback(lambda done: done.exception())

    async def _write(self, partition: int) -> None:
        """Append what waits for a partition, message by message, until nothing waits."""
        queue = self._queues[partition]
        try:
            while queue:
                if len(queue) > 1:
                    await asyncio.sleep(self._plan.window_s)  # where callers come together, more are on their way
                await self._write_one(partition, self._gather(queue))
        finally:
            self._running[partition] = False
            if queue:
                self._begin(partition)

    def _gather(self, queue: deque[_Waiting]) -> list[_Waiting]:
        taken, n_bytes = [queue.popleft()], 0
        n_bytes = len(taken[0].data)
        while queue and len(taken) < GATHERED and n_bytes + len(queue[0].data) <= _GATHERED_BYTES:
            n_bytes += len(queue[0].data)
            taken.append(queue.popleft())
        return taken

    async def _write_one(self, partition: int, taken: Sequence[_Waiting]) -> None:
        body = msgspec.msgpack.encode([waiting.data for waiting in taken])
        draft = Draft(self.layout.subject(partition), body, {"Nats-Msg-Id": uuid.uuid4().hex})
        try:
            with self._telemetry.append_seconds.time():
                sequence = await self._link.publish(self.layout.stream(partition), draft)
        except ForeshockError as exc:
            self._refuse(taken, LogFull(str(exc)) if isinstance(exc, NoRoom) else exc)
            return
        offsets = [(sequence << PLACES) + place for place in range(len(taken))]
        self._fills[self.layout.stream(partition)].add(len(body))
        self._note(partition, offsets[-1])
        for waiting, offset in zip(taken, offsets, strict=True):
            waiting.call.offsets[waiting.place] = offset
            self._settle(waiting.call)
        await self._link.client.publish(WAKE, f"{partition} {offsets[-1]} {len(body)}".encode())

    def _refuse(self, taken: Sequence[_Waiting], exc: ForeshockError) -> None:
        for waiting in taken:
            waiting.call.failure = waiting.call.failure or exc
            self._settle(waiting.call)

    def _settle(self, call: _Call) -> None:
        """Count one message of a caller as answered."""
        call.left -= 1
        if call.left == 0:
            with self._lock:
                self._waiting -= 1
                self._lock.notify_all()
                self._in_flight_bytes -= call.n_bytes
                self._telemetry.bytes_in_flight.set(self._in_flight_bytes)
            # On a thread of its own: what a caller does when it is answered may ask the loop for something.
            self._answers.submit(_answer, call)

    def _note(self, partition: int, end: int) -> None:
        self._fills[self.layout.stream(partition)].hear(end >> PLACES)  # on the loop alone, as all that calls this
        with self._lock:
            if end > self._ends[partition]:
                self._ends[partition] = end
                self._counts[partition].add(end)
            self._n_appended += 1
            self._lock.notify_all()

    async def _last(self, partition: int) -> int:
        """Return the offset of the last entry that is there, and note how far was trimmed."""
        trimmed = await self._link.newest("FS_STATE", f"{TRIMMED}{partition}")
        if trimmed is not None:
            # Not back: what is being trimmed here is noted a moment later.
            self._trimmed[partition] = max(self._trimmed[partition], int(msgspec.msgpack.decode(trimmed.data)[1]))
        stored = await self._link.newest(self.layout.stream(partition), self.layout.subject(partition))
        return max(self._trimmed[partition], 0 if stored is None else _entries(stored)[-1].offset)

    def _check(self, partition: int) -> None:
        if not 0 <= partition < len(self._queues):
            raise InvalidValue(f"partition must be in [0, {len(self._queues)}), got {partition}")


def trimmed_note(partition: int, through: int) -> Draft:
    """Return the document that says up to which offset a partition is trimmed."""
    return Draft(f"{TRIMMED}{partition}", msgspec.msgpack.encode([str(partition), b"%d" % through, None]))


def _answer(call: _Call) -> None:
    if call.failure is not None:
        call.answer.set_exception(call.failure)
    else:
        call.answer.set_result(call.offsets)


def _entries(stored: Stored) -> list[Entry]:
    return [Entry((stored.sequence << PLACES) + place, data) for place, data in enumerate(_decode(stored.data))]
