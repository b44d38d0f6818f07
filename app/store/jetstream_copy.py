"""A second copy of what a stopped cluster holds, in a stream of its own: state, documents and what of the log no checkpoint has passed.

Servers leave what was overwritten or purged where it lay, in files of streams and in the logs by which they agree, until they need the
room. So nothing is removed in place: `app.store.jetstream_rewrite` makes the streams anew and puts back what this copy holds.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import msgspec

from app.store.contract import Entry, Rewriting, State
from app.store.jetstream_answers import EXPECTED, Draft, Stored
from app.store.jetstream_blank import ask
from app.store.jetstream_checkpoints import JetStreamCheckpoints
from app.store.jetstream_documents import STREAM, redrafted
from app.store.jetstream_link import Link
from app.store.jetstream_log import TRIMMED, JetStreamLog, trimmed_note
from app.store.jetstream_places import GATHERED, PLACES
from features.errors import StoreFailed

__all__ = ["BLOBS", "NEXT", "NUMBERED", "OF", "TO", "Batches", "ClusterRewriting", "Copied", "copy_into", "last_of", "messages"]

NEXT = "FS_NEXT"
"""The stream of the copy."""

BLOBS = "OBJ_FS_BLOBS"
"""The stream of the object store, which is copied where blobs go."""

NUMBERED = "fs.next.n."
"""How subjects of the copy begin; they end with a number, so that one which is not there is missed."""

OF, TO = "Fs-Of", "Fs-To"
"""Headers of a message of the copy: stream and subject that it is put back to."""

_BATCH, _BATCH_BYTES = 500, 8 * 2**20  # guessed: half of what a batch may hold, and what servers keep of it in memory
_GATHERED_BYTES = 2**20 - 2**14  # as `app.store.jetstream_log` gathers
_PAGE = {"batch": 500, "max_bytes": 8 * 2**20}
_PAUSE_S, _LOOKS = 0.05, 200  # for a replica that is behind
_MARK_TTL = "3600s"
_METAS = "$O.FS_BLOBS.M."


@dataclass(frozen=True, slots=True)
class ClusterRewriting:
    """What becomes of what a cluster holds.

    Parameters
    ----------
    rewriting : Rewriting
        As on one machine.
    refuse : callable
        Takes partition, state of its checkpoint, and the bytes of each message behind it; raises where these may not get other offsets.
    asked : str
        A fingerprint of what is asked for, by which a later call knows whether it asks for the same.
    """

    rewriting: Rewriting
    refuse: Callable[[int, State, bytes], None]
    asked: str


@dataclass(frozen=True, slots=True)
class Copied:
    """What was copied.

    Parameters
    ----------
    done : Counter of str
        How many entries, parts of state, documents and models changed or go.
    count : int
        Messages of the copy.
    ends : mapping of str to int
        The streams that the copy holds whole, with the sequences that they ended at.
    """

    done: Counter[str]
    count: int
    ends: Mapping[str, int]


class Batches:
    """Messages of subjects that are there once, stored in few units.

    Parameters
    ----------
    link : Link
        The connection.
    stream : str
        Which takes atomic batches.
    """

    def __init__(self, link: Link, stream: str) -> None:
        self._link = link
        self._stream = stream
        self._waiting: list[Draft] = []
        self._n_bytes = 0

    def add(self, draft: Draft) -> None:
        """Store a message, now or with later ones."""
        self._waiting.append(draft)
        self._n_bytes += len(draft.data)
        if len(self._waiting) >= _BATCH or self._n_bytes >= _BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Store what waits."""
        if self._waiting:
            first, *others = self._waiting
            drafts = [Draft(first.subject, first.data, {**first.headers, EXPECTED: "0"}), *others]
            self._link.call(self._link.publish_batch(self._stream, drafts))
        self._waiting, self._n_bytes = [], 0


def messages(link: Link, stream: str, subject: str) -> Iterator[Stored]:
    """Iterate over messages of a stream from any replica, in order and without an end: who knows which is the last one stops there.

    Raises
    ------
    StoreFailed
        When no more come for long.
    """
    after, looks = 0, 0
    while looks < _LOOKS:
        page, _ = link.call(link.some(stream, {**_PAGE, "seq": after + 1, "next_by_subj": subject}))
        if page:
            yield from page
            after, looks = page[-1].sequence, 0
        else:
            looks += 1
            time.sleep(_PAUSE_S)  # a replica that is behind catches up
    raise StoreFailed(f"stream {stream}: after sequence {after} nothing more of {subject} came")


def copy_into(
    link: Link, log: JetStreamLog, checkpoints: JetStreamCheckpoints, rewriting: ClusterRewriting, now_s: float
) -> Copied:
    """Copy all but what goes into the stream `NEXT`, which is there and empty.

    Parameters
    ----------
    link : Link
        The connection.
    log, checkpoints : JetStreamLog, JetStreamCheckpoints
        Of the cluster, to which nobody writes.
    rewriting : ClusterRewriting
        What becomes of what they hold.
    now_s : float
        Unix seconds by which documents expire.

    Raises
    ------
    StoreFailed
        When the cluster refused.
    """
    names = [STREAM, *(log.layout.stream(number) for number in range(log.layout.streams))]
    # A replica may be behind; one that has what is written now through the leader has all that was written before.
    mark = Draft(f"fs.doc._mark.{uuid4().hex}", msgspec.msgpack.encode(["", None, None]), {"Nats-TTL": _MARK_TTL})
    marked = link.call(link.publish(STREAM, mark))
    ends = {name: last_of(link, name) for name in (*names, BLOBS)} | {STREAM: marked}
    copy = _Copy(link)
    for partition in range(log.n_partitions):
        _copy_partition(copy, log, checkpoints, partition, rewriting)
    _copy_documents(copy, marked, now_s, rewriting.rewriting)
    if not _copy_blobs(copy, rewriting.rewriting.blobs()):
        del ends[BLOBS]  # it stays as it is
    copy.flush()
    return Copied(copy.done, copy.count, ends)


class _Copy:
    """Numbers what is copied, and counts what changed."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.count = 0
        self.done = Counter[str](entries=0, state=0, documents=0, models=0)
        self._batches = Batches(link, NEXT)

    def add(self, stream: str, draft: Draft) -> None:
        self._batches.add(Draft(f"{NUMBERED}{self.count}", draft.data, {OF: stream, TO: draft.subject}))
        self.count += 1

    def flush(self) -> None:
        self._batches.flush()


def _copy_partition(
    copy: _Copy, log: JetStreamLog, checkpoints: JetStreamCheckpoints, partition: int, rewriting: ClusterRewriting
) -> None:
    """Copy a checkpoint and what of the log it has not passed; what it has passed is needed by nobody."""
    checkpoint = checkpoints.redrafted(partition, rewriting.rewriting.state)
    for draft in checkpoint.drafts:
        copy.add(STREAM, draft)
    if checkpoint.offset:
        copy.add(STREAM, trimmed_note(partition, checkpoint.offset))
    copy.done["state"] += checkpoint.changed
    stream, subject = log.layout.stream(partition), log.layout.subject(partition)
    gathered, n_bytes = list[bytes](), 0
    for entry in _rest(copy.link, log, partition, checkpoint.offset):
        rewriting.refuse(partition, checkpoint.state, entry.data)
        data = rewriting.rewriting.entry(entry.data)
        copy.done["entries"] += data != entry.data
        if data is None:
            continue
        if gathered and (len(gathered) == GATHERED or n_bytes + len(data) > _GATHERED_BYTES):
            copy.add(stream, Draft(subject, msgspec.msgpack.encode(gathered)))
            gathered, n_bytes = [], 0
        gathered.append(data)
        n_bytes += len(data)
    if gathered:
        copy.add(stream, Draft(subject, msgspec.msgpack.encode(gathered)))


def _rest(link: Link, log: JetStreamLog, partition: int, after: int) -> Iterator[Entry]:
    """Iterate over the entries above an offset up to the one that the leader has last."""
    newest = link.call(link.newest(log.layout.stream(partition), log.layout.subject(partition)))
    if newest is None:
        return
    end = (newest.sequence << PLACES) + len(msgspec.msgpack.decode(newest.data, type=list[bytes])) - 1
    looks = 0
    while after < end:
        page = log.read(partition, after)
        if page:
            yield from page
            after, looks = page[-1].offset, 0
            continue
        looks += 1
        if looks == _LOOKS:
            raise StoreFailed(f"partition {partition}: after offset {after} nothing more came, it must go up to {end}")
        time.sleep(_PAUSE_S)


def _copy_documents(copy: _Copy, marked: int, now_s: float, rewriting: Rewriting) -> None:
    for stored in messages(copy.link, STREAM, "fs.doc.>"):
        if stored.sequence >= marked:
            return
        if stored.subject.startswith(TRIMMED):
            continue  # written with the checkpoints
        draft, changed = redrafted(stored, now_s, rewriting.document)
        copy.done["documents"] += changed
        if draft is not None:
            copy.add(STREAM, draft)


def _copy_blobs(copy: _Copy, gone: frozenset[str]) -> bool:
    """Copy the other blobs where some go, and return whether some do."""
    if not gone:
        return False
    link = copy.link
    state = ask(link, f"STREAM.INFO.{BLOBS}", {"subjects_filter": f"{_METAS}>"})["state"]
    kept = set[str]()  # the last tokens of subjects: names of metas, and what metas call their chunks
    for subject in state.get("subjects") or {}:
        stored = link.call(link.newest(BLOBS, subject))
        meta: Mapping[str, Any] = json.loads(stored.data) if stored is not None else {"deleted": True}
        if not meta.get("deleted") and meta["name"] not in gone:
            kept |= {subject.rpartition(".")[2], meta["nuid"]}
        copy.done["models"] += not meta.get("deleted") and meta["name"] in gone
    if not copy.done["models"]:
        return False
    for number, stored in enumerate(messages(link, BLOBS, "$O.FS_BLOBS.>"), 1):
        if stored.subject.rpartition(".")[2] in kept:
            copy.add(BLOBS, Draft(stored.subject, stored.data))
        if number == state["messages"]:
            break
    return True


def last_of(link: Link, name: str) -> int:
    """Return the sequence that a stream ends at, as its leader knows it."""
    return int(ask(link, f"STREAM.INFO.{name}", {})["state"]["last_seq"])
