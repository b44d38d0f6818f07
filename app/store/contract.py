"""The four contracts that everything durable goes through.

`app.ingest` appends to a `Log`; `app.worker` reads it and moves `Checkpoints`; predictions, feedback,
models and members are `Documents`; artifacts are `Blobs`. `app.store.sqlite` implements them on one
machine; every implementation passes `tests/contracts`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from features.values import hot_value

__all__ = [
    "SHORT_BYTES",
    "Blobs",
    "Checkpoints",
    "Commit",
    "Document",
    "Documents",
    "Entry",
    "Head",
    "Log",
    "Output",
    "Rewriting",
    "State",
    "Watch",
]

State: TypeAlias = Mapping[str, bytes]
"""What a partition's checkpoint keeps, by name."""

SHORT_BYTES = 64
"""A message of no more bytes, such as a tick marker, is appended also while the log is full: only ticks let it be trimmed."""


@hot_value()
class Entry:
    """One acknowledged message of a partition.

    Parameters
    ----------
    offset : int
        Rises within a partition, starts at 1, never reused; gaps are allowed.
    data : bytes
        The message.
    """

    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """Where an owner starts: its token, the committed offset (0 at first) and the state as of it."""

    token: int
    offset: int
    state: Mapping[str, bytes] = field(default_factory=dict[str, bytes])


@dataclass(frozen=True, slots=True)
class Output:
    """A document that a commit publishes.

    Parameters
    ----------
    bucket, key : str
        Where it goes.
    value : bytes or None
        None deletes the document.
    ttl_s : float or None
        Seconds until it expires; None keeps it.
    """

    bucket: str
    key: str
    value: bytes | None
    ttl_s: float | None = None


@dataclass(frozen=True, slots=True)
class Commit:
    """What changes in one partition.

    Parameters
    ----------
    partition, token : int
        Whose, and the newest token of its owner.
    offset : int
        Up to which the log is read; not below the committed one.
    changed_state : Mapping of str to bytes or None
        None removes a key.
    outputs : iterable of Output
        Documents that go with it.
    """

    partition: int
    token: int
    offset: int
    changed_state: Mapping[str, bytes | None] = field(default_factory=dict[str, "bytes | None"])
    outputs: Iterable[Output] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A small document with the revision that a compare-and-set names."""

    key: str
    value: bytes
    revision: int


@dataclass(frozen=True, slots=True)
class Rewriting:
    """What becomes of what a stopped store holds; what comes back as it was is left alone.

    Parameters
    ----------
    entry : callable
        Takes the bytes of a message of the log, returns those that take their place, or None to remove it.
    state : callable
        Takes a partition and its state, returns that which takes its place.
    document : callable
        Takes bucket, key and value, returns the value that takes its place, or None to remove it.
    blobs : callable
        Called when all documents were seen, and returns the hashes of blobs that go: those that only removed documents named.
    """

    entry: Callable[[bytes], bytes | None]
    state: Callable[[int, State], State]
    document: Callable[[str, str, bytes], bytes | None]
    blobs: Callable[[], frozenset[str]] = frozenset


class Log(Protocol):
    """A durable, ordered log by partition."""

    @property
    def n_partitions(self) -> int:
        """How many partitions the data folder was made with."""
        ...

    def append(self, partition: int, batch_id: str, data: bytes) -> int:
        """Append a message and return its offset once it is durable.

        Concurrent callers share one flush (group commit). A `batch_id` is a hint for engines that
        drop repeats; consumers drop them for certain.

        Raises
        ------
        Overloaded
            When the bound of bytes in flight is reached; nothing was written.
        LogFull
            When the log holds as many bytes as it may; nothing was written. Messages of at most `SHORT_BYTES` are taken all the same.
        """
        ...

    def append_many(self, messages: Sequence[tuple[int, str, bytes]]) -> list[int]:
        """Append messages (partition, batch_id, data) and return their offsets once all are durable.

        On one machine they are one unit: all or none, also after a crash.

        Raises
        ------
        InvalidValue
            When a partition does not exist; nothing was written.
        Overloaded, LogFull
            As for `append`; nothing was written.
        StoreFailed
            When the disk or the cluster refused.
        """
        ...

    def append_later(self, messages: Sequence[tuple[int, str, bytes]]) -> Future[list[int]]:
        """Append messages as `append_many` does, but return at once; the future has the offsets once all are durable.

        Callers' messages are appended in the order of their calls. Callbacks of the future run on a thread of the
        log, those of one flush right after each other, and must not block.

        Raises
        ------
        InvalidValue, Overloaded, LogFull
            As `append_many`, at once.
        StoreFailed, LogFull
            Raised by the future: a cluster may learn last that it is full.
        """
        ...

    def read(self, partition: int, after: int, limit: int = 1024) -> list[Entry]:
        """Return at most `limit` entries with an offset above `after`, in order."""
        ...

    def end(self, partition: int) -> int:
        """Return the offset of the last entry ever appended, also when it was trimmed; 0 when there was none."""
        ...

    def waiting(self, partition: int, after: int) -> int:
        """Return how many entries lie above an offset, as far as this process knows and about; 0 only where it knows of none.

        Offsets have gaps, so their difference is no number of entries.
        """
        ...

    def trim(self, partition: int, through: int) -> None:
        """Forget entries up to and with an offset."""
        ...

    def size(self) -> int:
        """Return how many bytes the log holds, all partitions together, as far as this process knows. Reads memory only."""
        ...

    def fullness(self, partition: int) -> float:
        """Return how much of what may be held where a partition lies is there: 0 with no bound, from 1 on appends are refused.

        Reads memory only. Partitions share their place, and what is trimmed in one makes room for others.
        """
        ...

    def wait(self, timeout_s: float) -> bool:
        """Block until something is appended or the time is over; return whether something was.

        What was appended since the calling thread's last call counts, so an append between a read and
        the call is never slept through.
        """
        ...


class Checkpoints(Protocol):
    """State, offset and outputs of a partition, changed in one unit and fenced by a token."""

    def acquire(self, partition: int, owner: str) -> Head:
        """Take the partition over; every earlier token is refused from now on."""
        ...

    def commit(
        self,
        partition: int,
        token: int,
        offset: int,
        changed_state: Mapping[str, bytes | None],
        outputs: Iterable[Output] = (),
    ) -> int:
        """Change state, offset and outputs together and return the next token.

        A state value of None removes its key.

        Raises
        ------
        Fenced
            When the token is not the newest; nothing was changed.
        InvalidValue
            When the offset lies before the committed one; nothing was changed.
        """
        ...

    def commit_all(self, commits: Sequence[Commit]) -> list[int]:
        """Commit several partitions in one unit, all or none, and return their next tokens; see `commit`."""
        ...


class Watch(Protocol):
    """A live copy of a bucket in memory. Iterating or reading it never touches the disk or network."""

    @property
    def changes(self) -> int:
        """How many changes have come so far; the same number again says that no document was written or deleted meanwhile."""
        ...

    @property
    def n_documents(self) -> int:
        """How many documents are in memory, those that expired and were not dropped yet among them; cheap."""
        ...

    def get(self, key: str) -> Document | None:
        """Return a document, None when absent or expired."""
        ...

    def items(self, prefix: str = "") -> Iterator[Document]:
        """Iterate over the live documents whose key starts with a prefix, by key."""
        ...

    def close(self) -> None:
        """Stop following the bucket."""
        ...


class Documents(Protocol):
    """Buckets of small documents with revision, compare-and-set, expiry and watch."""

    def get(self, bucket: str, key: str) -> Document | None:
        """Return a document, None when absent or expired."""
        ...

    def put(self, bucket: str, key: str, value: bytes, *, ttl_s: float | None = None) -> int:
        """Write a document and return its revision, which rises and is never used again for the key."""
        ...

    def swap(self, bucket: str, key: str, value: bytes, revision: int, *, ttl_s: float | None = None) -> int:
        """Write a document if its revision is the given one (0: it must not exist); return the new revision.

        Raises
        ------
        Conflict
            When the revision is another one.
        """
        ...

    def add_all(self, bucket: str, values: Mapping[str, bytes]) -> None:
        """Write documents by key that must not exist, all in one unit or none.

        Raises
        ------
        Conflict
            When one exists; nothing was written.
        """
        ...

    def delete(self, bucket: str, key: str) -> None:
        """Remove a document; absent is fine."""
        ...

    def items(self, bucket: str, prefix: str = "") -> list[Document]:
        """Return the live documents whose key starts with a prefix, by key."""
        ...

    def purge(self) -> int:
        """Forget expired documents, a bounded number at a time, and return how many."""
        ...

    def watch(self, bucket: str) -> Watch:
        """Return a live copy of a bucket, warm when the call returns.

        A write of the same process is in it when the write returns.
        """
        ...


class Blobs(Protocol):
    """Content-addressed bytes, never overwritten."""

    def put(self, data: bytes) -> str:
        """Store bytes durably and return their sha256 in hexadecimal."""
        ...

    def get(self, sha256: str) -> bytes:
        """Return the bytes of a hash.

        Raises
        ------
        UntrustedArtifact
            When the bytes are absent or are not those that the hash names.
        """
        ...


class Store(Protocol):
    """The four contracts, opened together."""

    signing_key: bytes
    """With which models are signed."""

    @property
    def log(self) -> Log:
        """The log."""
        ...

    @property
    def checkpoints(self) -> Checkpoints:
        """The checkpoints."""
        ...

    @property
    def documents(self) -> Documents:
        """The documents."""
        ...

    @property
    def blobs(self) -> Blobs:
        """The blobs."""
        ...

    @property
    def failure(self) -> str:
        """Why nothing is written any more, empty while all is well."""
        ...

    @property
    def trouble(self) -> str:
        """What is away for long and why, and is waited for; empty while all is well."""
        ...

    def close(self) -> None:
        """Let go; a second call does nothing."""
        ...
