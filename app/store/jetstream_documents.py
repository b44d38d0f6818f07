"""Buckets of small documents in one JetStream stream, the newest message of a subject being the document.

Every process that watches keeps the buckets in memory and follows the stream; the checkpoints publish their outputs into the same stream
(`app.store.jetstream_checkpoints`), so that state and documents change in one batch.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from math import ceil
from uuid import uuid4

import msgspec

from app.store.contract import Document, Output
from app.store.jetstream_answers import EXPECTED, MAX_BATCH, Draft, Refused, Stored
from app.store.jetstream_link import Link
from app.store.watched import Change, WatchedBucket, WatchedBuckets
from features.errors import Conflict, InvalidValue, StoreFailed

__all__ = ["NEWS", "STREAM", "JetStreamDocuments", "drafts_of", "lasting", "redrafted"]

logger = logging.getLogger(__name__)

STREAM = "FS_STATE"
"""The stream of documents and of the state of partitions."""

NEWS = "fs.news"
"""Subject, outside any stream, on which every process is told that documents changed."""

_PREFIX = "fs.doc."
_SLACK_S = 60
"""Seconds for which the server keeps an expired document: clocks differ, and readers judge by their own."""

_TOMB_S = 86_400
"""Seconds for which a deletion stays to be seen; who followed nothing for longer loads everything anew."""

_MARK_TTL = "3600s"  # longer than it takes to load everything, which ends with it

_PAGE = {"batch": 1000, "max_bytes": 16 * 2**20}
_POLL_S = 0.5  # guessed: changes by others are told at once, and this long after if that was lost


class _Wire(msgspec.Struct, array_like=True):
    key: str
    value: bytes | None
    expires: float | None


def _subject(bucket: str, key: str) -> str:
    """Return the subject of a document; keys hold what subjects may not."""
    if not isinstance(key, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # what comes from outside
        raise InvalidValue(f"key must be text, got {key!r}")
    return f"{_PREFIX}{bucket}.{sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


def _draft(output: Output, now_s: float, expected: int | None = None) -> Draft:
    expires = None if output.ttl_s is None or output.value is None else now_s + output.ttl_s
    value = None if output.value is None else bytes(output.value)
    kept_s = _TOMB_S if value is None else None if output.ttl_s is None else ceil(max(output.ttl_s, 0.0)) + _SLACK_S
    headers = {} if kept_s is None else {"Nats-TTL": f"{kept_s}s"}
    if expected is not None:
        headers[EXPECTED] = str(expected)
    return Draft(_subject(output.bucket, output.key), msgspec.msgpack.encode(_Wire(output.key, value, expires)), headers)


def drafts_of(outputs: Iterable[Output], now_s: float) -> list[tuple[Output, Draft]]:
    """Return the messages that publish documents, the last word on a key alone: a batch has one message a subject."""
    last = {(output.bucket, output.key): output for output in outputs}
    return [(output, _draft(output, now_s)) for output in last.values()]


def redrafted(stored: Stored, now_s: float, change: Callable[[str, str, bytes], bytes | None]) -> tuple[Draft | None, bool]:
    """Return the message that takes the place of one, and whether a live document changed or went.

    Parameters
    ----------
    stored : Stored
        A message of a document.
    now_s : float
        Unix seconds by which documents expire.
    change : callable
        Takes bucket, key and value of a live document, returns the value that takes its place, or None to remove it.

    Returns
    -------
    draft : Draft or None
        Without a time to live, which `lasting` gives it; None also for deletions, what expired, and what nobody can read.
    changed : bool
        Whether the value is another one, or gone.
    """
    try:
        wire = msgspec.msgpack.decode(stored.data, type=_Wire)
    except msgspec.DecodeError:
        return None, False
    if wire.value is None or (wire.expires is not None and wire.expires <= now_s):
        return None, False
    value = change(stored.subject.removeprefix(_PREFIX).rpartition(".")[0], wire.key, wire.value)
    if value is None:
        return None, True
    return Draft(stored.subject, msgspec.msgpack.encode(_Wire(wire.key, value, wire.expires))), value != wire.value


def lasting(draft: Draft, now_s: float) -> Draft | None:
    """Return the message of a live document as the server is to keep it, None where it has expired."""
    expires = msgspec.msgpack.decode(draft.data, type=_Wire).expires
    if expires is None:
        return draft
    return None if expires <= now_s else Draft(draft.subject, draft.data, {"Nats-TTL": f"{ceil(expires - now_s) + _SLACK_S}s"})


def _changes(page: Iterable[Stored]) -> list[tuple[int, Change]]:
    """Return what a page changes; a message that cannot be read must not hide all that come after it."""
    found: list[tuple[int, Change]] = []
    for stored in page:
        try:
            found.append((stored.sequence, _change(stored.subject.removeprefix(_PREFIX).rpartition(".")[0], stored)))
        except msgspec.DecodeError as exc:
            logger.warning("message %d of %s is no document and was skipped: %s", stored.sequence, stored.subject, exc)
    return found


def _change(bucket: str, stored: Stored) -> Change:
    wire = msgspec.msgpack.decode(stored.data, type=_Wire)
    document = None if wire.value is None else Document(wire.key, wire.value, stored.sequence)
    return Change(bucket, wire.key, document, wire.expires)


class JetStreamDocuments:
    """The `Documents` of a cluster.

    Parameters
    ----------
    link : Link
        The connection.
    now : Callable
        The clock that expiry follows; aware.
    """

    def __init__(self, link: Link, now: Callable[[], datetime]) -> None:
        self.only: str | None = None
        """The one bucket that is kept in memory, before the first is read; None keeps all."""
        self._link = link
        self._now = now
        self._watched = WatchedBuckets(self.now_s)
        self._known: dict[str, WatchedBucket] = {}
        self._lock = threading.Lock()
        self._ahead: dict[tuple[str, str], int] = {}  # sequences of our own writes that are not followed yet
        self._position = 0
        self._following: threading.Thread | None = None
        self._starting = threading.Lock()
        self._told, self._stop = threading.Event(), threading.Event()

    def get(self, bucket: str, key: str) -> Document | None:
        """Return a document, None when absent or expired; as the leader knows it."""
        return self._live(self._link.call(self._link.newest(STREAM, _subject(bucket, key))))

    def put(self, bucket: str, key: str, value: bytes, *, ttl_s: float | None = None) -> int:
        """Write a document and return its revision, which rises over the whole store."""
        return self._write(Output(bucket, key, value, ttl_s))

    def swap(self, bucket: str, key: str, value: bytes, revision: int, *, ttl_s: float | None = None) -> int:
        """Write a document if its revision is the given one; see `Documents.swap`."""
        expected = self._expected(bucket, key, revision)
        try:
            return self._write(Output(bucket, key, value, ttl_s), expected)
        except Refused as exc:
            raise Conflict(f"document {bucket}/{key} must have revision {revision}, got another one meanwhile") from exc

    def add_all(self, bucket: str, values: Mapping[str, bytes]) -> None:
        """Write documents that must not exist, all or none; see `Documents.add_all`.

        Raises
        ------
        Conflict
            When one exists.
        InvalidValue
            When they are more than a batch holds.
        """
        if len(values) > MAX_BATCH:
            raise InvalidValue(f"documents written in one unit must be at most {MAX_BATCH}, got {len(values)}")
        if not values:
            return
        now_s = self.now_s()
        outputs = [Output(bucket, key, value) for key, value in values.items()]
        drafts = [_draft(o, now_s, self._expected(bucket, o.key, 0)) for o in outputs]
        try:
            sequences = self._link.call(self._link.publish_batch(STREAM, drafts))
        except Refused as exc:
            raise Conflict(f"one of {len(values)} documents of {bucket} exists since a moment ago: {exc}") from exc
        self.written(outputs, now_s, sequences)

    def delete(self, bucket: str, key: str) -> None:
        """Remove a document; absent is fine."""
        self._write(Output(bucket, key, None))

    def items(self, bucket: str, prefix: str = "") -> list[Document]:
        """Return the live documents whose key starts with a prefix, by key, from memory: what others wrote is there a moment later."""
        self._follow()
        with self._lock:
            known = self._copy(bucket)
        return list(known.items(prefix))

    def watch(self, bucket: str) -> WatchedBucket:
        """Return a live copy of a bucket, warm when the call returns and current when a write of this process returns."""
        self._follow()
        watch = self._watched.make(bucket)
        with self._lock:
            documents = self._copy(bucket).copied(bucket)
            self._watched.open(watch, documents)
        return watch

    def written(self, outputs: Sequence[Output], now_s: float, sequences: Sequence[int]) -> None:
        """Bring the watches up to date with what this process wrote."""
        changes: list[tuple[int, Change]] = []
        for output, sequence in zip(outputs, sequences, strict=True):
            expires = None if output.ttl_s is None else now_s + output.ttl_s
            document = None if output.value is None else Document(output.key, bytes(output.value), sequence)
            changes.append((sequence, Change(output.bucket, output.key, document, expires)))
        with self._lock:
            # A later write of another thread may have come here before.
            news = [(s, c) for s, c in changes if s > max(self._position, self._ahead.get((c.bucket, c.key), 0))]
            self._ahead.update({(change.bucket, change.key): sequence for sequence, change in news})
            self._apply([change for _, change in news])
        self._link.start(self._link.client.publish(NEWS, b""))

    def purge(self) -> int:
        """Drop what has expired from memory; the server forgets by itself."""
        with self._lock:
            for known in self._known.values():
                known.purge(self.now_s())
        self._watched.purge(self.now_s())
        return 0

    def tell(self) -> None:
        """Look for changes now: someone said that there are some."""
        self._told.set()

    def close(self) -> None:
        """Follow no more."""
        self._stop.set()
        self._told.set()
        if self._following is not None:
            self._following.join()

    def now_s(self) -> float:
        """Return the clock's unix seconds."""
        return self._now().timestamp()

    def _write(self, output: Output, expected: int | None = None) -> int:
        now_s = self.now_s()
        sequence = self._link.call(self._link.publish(STREAM, _draft(output, now_s, expected)))
        self.written([output], now_s, [sequence])
        return sequence

    def _live(self, stored: Stored | None) -> Document | None:
        if stored is None:
            return None
        wire = msgspec.msgpack.decode(stored.data, type=_Wire)
        gone = wire.value is None or (wire.expires is not None and wire.expires <= self.now_s())
        return None if gone or wire.value is None else Document(wire.key, wire.value, stored.sequence)

    def _expected(self, bucket: str, key: str, revision: int) -> int:
        """Return the sequence that the subject must still have, given that its document has a revision now."""
        stored = self._link.call(self._link.newest(STREAM, _subject(bucket, key)))
        live = self._live(stored)
        found = 0 if live is None else live.revision
        if found != revision:
            raise Conflict(f"document {bucket}/{key} must have revision {revision}, got {found}")
        return 0 if stored is None else stored.sequence

    def _follow(self) -> None:
        """Have all documents in memory, as of now at least, and follow what changes from then on."""
        with self._starting:
            if self._following is not None:
                return
            # A replica may be behind. What is written now through the leader is seen only after all that was written before.
            mark = Draft(
                f"{self._followed()}_mark.{uuid4().hex}", msgspec.msgpack.encode(_Wire("", None, None)), {"Nats-TTL": _MARK_TTL}
            )
            marked = self._link.call(self._link.publish(STREAM, mark))
            while self._position < marked:
                if not self._advance():
                    self._stop.wait(0.01)
            self._following = threading.Thread(target=self._run, name="documents", daemon=True)
            self._following.start()

    def _followed(self) -> str:
        """Return how all subjects begin that are followed."""
        return _PREFIX if self.only is None else f"{_PREFIX}{self.only}."

    def _run(self) -> None:
        while not self._stop.is_set():
            self._told.wait(_POLL_S)
            self._told.clear()
            try:
                while not self._stop.is_set() and self._advance():
                    pass
            except StoreFailed:
                self._stop.wait(_POLL_S)  # the cluster is away; what is in memory stays until it expires

    def _advance(self) -> bool:
        """Take a page of changes by anybody; return whether there may be more."""
        asked = {**_PAGE, "seq": self._position + 1, "next_by_subj": f"{self._followed()}>"}
        page, end = self._link.call(self._link.some(STREAM, asked))
        changes = _changes(page)
        more = bool(page) and int(end.get("Nats-Num-Pending", 0)) > 0
        with self._lock:
            self._apply([c for sequence, c in changes if sequence > self._ahead.get((c.bucket, c.key), 0)])
            if page:
                self._position = page[-1].sequence
                self._forget_behind(changes, more=more)
        return more

    def _forget_behind(self, changes: Iterable[tuple[int, Change]], *, more: bool) -> None:
        """Forget our own writes that are followed by now; the caller holds the lock.

        Those of a page alone while more is to come: of a tick there may be a hundred thousand. What a page never shows, since it expired or was
        written over, goes with the last one.
        """
        for sequence, change in changes:
            if self._ahead.get((change.bucket, change.key), sequence + 1) <= sequence:
                del self._ahead[change.bucket, change.key]
        if not more:
            self._ahead = {place: sequence for place, sequence in self._ahead.items() if sequence > self._position}

    def _apply(self, changes: Sequence[Change]) -> None:
        """Apply changes to memory and watches; the caller holds the lock."""
        by_bucket: dict[str, list[Change]] = {}
        for change in changes:
            by_bucket.setdefault(change.bucket, []).append(change)
        for bucket, of_bucket in by_bucket.items():
            self._copy(bucket).apply(of_bucket)
        self._watched.apply(changes)

    def _copy(self, bucket: str) -> WatchedBucket:
        if bucket not in self._known:
            self._known[bucket] = WatchedBucket(self.now_s, lambda _: None)
        return self._known[bucket]
