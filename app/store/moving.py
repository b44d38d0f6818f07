"""The way of a data folder into an empty cluster: state, documents, blobs, and what of the log is not behind the checkpoint.

`app.commands.migrate_command` calls it with a folder that was carried to its last tick. A mark in the cluster says whose data it is and whether all of
it is there, so that a move which was killed begins anew, and one that ended is not done twice.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import msgspec

from app.store.contract import Blobs, Checkpoints, Commit, Documents, Log, Output, Store
from app.store.folder import write_whole
from features.errors import InvalidSetting, InvalidValue

__all__ = ["MOVED_FILE", "Left", "Target", "refuse_half", "refuse_moved", "say_moved", "transfer"]

logger = logging.getLogger(__name__)

MOVED_FILE = "moved.json"
"""Its name in a data folder that was moved."""

_OWNER = "migrate"
_BUCKET, _FOLDER, _MARK = "migration", "folder", "from"
_MARKERS = "worker/markers"
_PAGE = 256


class KnownDocuments(Documents, Protocol):
    """Documents that can be read as a whole."""

    def everything(self) -> Iterator[Output]:
        """Return all live documents of all buckets, each with the seconds that it has left."""
        ...


class KnownBlobs(Blobs, Protocol):
    """Blobs that can be read as a whole."""

    def names(self) -> Iterable[str]:
        """Return the hashes of all."""
        ...


class Left(Protocol):
    """The store that is left."""

    @property
    def log(self) -> Log:
        """Return the log."""
        ...

    @property
    def checkpoints(self) -> Checkpoints:
        """Return state and offsets."""
        ...

    @property
    def documents(self) -> KnownDocuments:
        """Return the documents."""
        ...

    @property
    def blobs(self) -> KnownBlobs:
        """Return the blobs."""
        ...


class Target(Store, Protocol):
    """The store that is moved into."""

    def messages(self) -> int:
        """Return how many messages of log, state and documents it holds."""
        ...

    def empty(self, above: int) -> int:
        """Forget log, state and documents; return an offset, not below the given one, above which the log goes on."""
        ...


class _Mark(msgspec.Struct):
    folder: str
    whole: bool
    ends: list[int] = []
    """Where the folder's log ended, by partition: a folder that went on alone since holds more than the cluster."""


def transfer(left: Left, target: Target, told: Callable[[float], None]) -> dict[str, int]:
    """Copy everything, unless the cluster has it from this folder already.

    Parameters
    ----------
    left : Left
        The folder's store; nobody writes to it.
    target : Target
        The cluster's, with the same number of partitions.
    told : callable
        Receives the share done.

    Returns
    -------
    dict of str to int
        How many documents, blobs, parts of state and entries of the log were copied; zeros where all was there.

    Raises
    ------
    InvalidValue
        When the cluster holds other data, has another number of partitions, or holds the folder as it was before it took in more.
    """
    n_partitions = left.log.n_partitions
    if target.log.n_partitions != n_partitions:
        raise InvalidValue(f"the cluster must have {n_partitions} partitions as the folder has, got {target.log.n_partitions}")
    ends = [left.log.end(partition) for partition in range(n_partitions)]
    folder = _folder_id(left.documents)
    mark = _mark_of(target.documents)
    if mark is not None and mark.folder == folder and mark.whole:
        if mark.ends != ends:
            raise InvalidValue(
                f"the cluster must hold the folder as it is, with a log that ends at {ends}, got one moved at {mark.ends}: a node went on with "
                "the folder since. Remove the FS_ streams to move it anew, without what the cluster took in, or go on with the cluster"
            )
        return dict.fromkeys(("documents", "blobs", "state", "entries"), 0)
    if (mark is None or mark.folder != folder) and target.messages():
        raise InvalidValue(f"the cluster must be empty, got {target.messages()} messages that are not of this folder")
    # The log goes on above all offsets of the folder: history drops rows at or below the offset that it has recorded.
    base = target.empty(max(ends))
    _put_mark(target.documents, _Mark(folder, whole=False))
    told(0.05)
    blobs = [target.blobs.put(left.blobs.get(name)) for name in left.blobs.names()]
    told(0.2)
    commits: list[Commit] = []
    n_entries = 0
    for partition in range(n_partitions):
        head = left.checkpoints.acquire(partition, _OWNER)
        n_entries += _append_rest(left.log, target.log, partition, head.offset)
        state: dict[str, bytes | None] = {**head.state}
        if _MARKERS in head.state:  # where the log was at each tick: all of it lies before what is copied
            state[_MARKERS] = json.dumps([(s, base) for s, _ in json.loads(head.state[_MARKERS])[-1:]]).encode()
        commits.append(Commit(partition, target.checkpoints.acquire(partition, _OWNER).token, base, state))
        told(0.2 + 0.5 * (partition + 1) / n_partitions)
    documents = list(left.documents.everything())
    first, *others = commits
    carried = Commit(first.partition, first.token, first.offset, first.changed_state, documents)
    target.checkpoints.commit_all([carried, *others])
    _put_mark(target.documents, _Mark(folder, whole=True, ends=ends))
    told(1.0)
    n_state = sum(len(commit.changed_state) for commit in commits)
    return {"documents": len(documents), "blobs": len(blobs), "state": n_state, "entries": n_entries}


def say_moved(folder: Path, where: str, now: datetime) -> None:
    """Mark a folder as moved, so that no node takes it for its own store any more.

    Parameters
    ----------
    folder : Path
        The data folder.
    where : str
        The cluster, without secrets.
    now : datetime
        Aware.
    """
    write_whole(folder / MOVED_FILE, json.dumps({"to": where, "at": now.isoformat()}).encode())


def refuse_moved(folder: Path) -> None:
    """Refuse a folder whose log, state, documents and models were moved into a cluster.

    Raises
    ------
    InvalidSetting
        When it is marked so; the message has the way back.
    """
    path = folder / MOVED_FILE
    if path.exists():
        said = json.loads(path.read_bytes())
        raise InvalidSetting(
            f"setting nats_url must name {said['to']}: data folder {folder} was moved there at {said['at']}. "
            f"To go back to the folder as it was then, without what came in since, remove {path}"
        )


def refuse_half(documents: Documents) -> None:
    """Refuse a cluster into which a folder was moved in part.

    Raises
    ------
    InvalidSetting
        When a move began there and did not end.
    """
    mark = _mark_of(documents)
    if mark is not None and not mark.whole:
        raise InvalidSetting(
            "setting nats_url names a cluster into which a data folder was moved in part: let `foreshock migrate` run to its end"
        )


def _append_rest(source: Log, target: Log, partition: int, after: int) -> int:
    """Append what lies above the checkpoint, in its order, and return how many entries that is."""
    n = 0
    while entries := source.read(partition, after, _PAGE):
        target.append_many([(partition, uuid4().hex, entry.data) for entry in entries])
        after, n = entries[-1].offset, n + len(entries)
    return n


def _folder_id(documents: Documents) -> str:
    """Return what tells this folder from any other; made at the first try."""
    found = documents.get(_BUCKET, _FOLDER)
    if found is None:
        documents.put(_BUCKET, _FOLDER, uuid4().hex.encode())
        return _folder_id(documents)
    return found.value.decode()


def _mark_of(documents: Documents) -> _Mark | None:
    found = documents.get(_BUCKET, _MARK)
    return None if found is None else msgspec.json.decode(found.value, type=_Mark)


def _put_mark(documents: Documents, mark: _Mark) -> None:
    documents.put(_BUCKET, _MARK, msgspec.json.encode(mark))
