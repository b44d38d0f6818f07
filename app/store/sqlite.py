"""Everything durable of one machine, in one folder: ``DATA/store.db``, ``DATA/blobs``, ``DATA/signing.key`` and ``DATA/lock``.

`app.main` opens it once; ingest, worker and API receive the contract that each of them needs.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from app.settings import StoreSettings
from app.store.file_blobs import FileBlobs
from app.store.folder import FolderLock
from app.store.group_commit import GroupCommit
from app.store.signing import signing_key
from app.store.sqlite_checkpoints import SqliteCheckpoints
from app.store.sqlite_documents import SqliteDocuments
from app.store.sqlite_log import SqliteLog
from app.store.sqlite_schema import Readers, connect_writer
from app.telemetry import Telemetry
from features.errors import StoreFailed

__all__ = ["SqliteStore", "open_store"]


class SqliteStore:
    """The four contracts over one data folder; made by `open_store`.

    Attributes
    ----------
    log : SqliteLog
        The durable log.
    checkpoints : SqliteCheckpoints
        State, offset and outputs by partition.
    documents : SqliteDocuments
        Buckets of small documents.
    blobs : FileBlobs
        Content-addressed bytes.
    signing_key : bytes
        What models are signed with.
    """

    signing_key: bytes = b""

    def __init__(
        self,
        lock: FolderLock,
        writer: GroupCommit,
        readers: Readers,
        log: SqliteLog,
        *,
        folder: Path,
        now: Callable[[], datetime],
    ) -> None:
        self._lock = lock
        self._writer = writer
        self._readers = readers
        self.folder = folder
        self.log = log
        self.documents = SqliteDocuments(writer, readers, now)
        self.checkpoints = SqliteCheckpoints(writer, self.documents, log.n_partitions, now)
        self.blobs = FileBlobs(folder / "blobs")

    @property
    def failure(self) -> str:
        """Why nothing is written any more, empty while all is well."""
        return self._writer.failure

    @property
    def trouble(self) -> str:
        """What is away for a while; nothing of one machine is."""
        return ""

    def close(self) -> None:
        """Finish what waits to be written and let go of the folder; a second call does nothing."""
        self._writer.close()
        self._readers.close()
        self._lock.release()

    def __enter__(self) -> SqliteStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_store(
    folder: Path,
    *,
    settings: StoreSettings,
    max_in_flight_bytes: int,
    now: Callable[[], datetime],
    telemetry: Telemetry | None = None,
    key_file: Path | None = None,
) -> SqliteStore:
    """Open the store of a data folder, or make it.

    Parameters
    ----------
    folder : Path
        The data folder; made when it is absent.
    settings : StoreSettings
        Partitions and the window of the group commit.
    max_in_flight_bytes : int
        Bytes that may wait for the log before appends are refused.
    now : Callable
        The clock that documents expire by; aware.
    telemetry : Telemetry, optional
        Where the store counts.
    key_file : Path, optional
        What models are signed with, where it does not lie in the folder.

    Returns
    -------
    SqliteStore
        To be closed by the caller.

    Raises
    ------
    DataInUse
        When another process holds the folder.
    InvalidSetting
        When the folder was made with another number of partitions, cannot be used, or holds a broken key.
    SnapshotMismatch
        When another version of the program made the tables.
    StoreFailed
        When the database cannot be opened.
    """
    lock = FolderLock(folder)
    path = folder / "store.db"
    telemetry = telemetry or Telemetry()
    writer: GroupCommit | None = None
    try:
        writer = GroupCommit(
            lambda: connect_writer(path, settings.partitions),
            settings.commit_window_ms / 1000,
            max_in_flight_bytes,
            telemetry,
        )
        key = signing_key(folder, key_file)
        readers = Readers(path)
        log = SqliteLog(writer, readers, settings.partitions, settings.log_max_bytes, telemetry)
        store = SqliteStore(lock, writer, readers, log, folder=folder, now=now)
        store.signing_key = key
        return store
    except BaseException as exc:
        if writer is not None:
            writer.close()
        lock.release()
        if isinstance(exc, OSError):
            raise StoreFailed(f"cannot open the store in {folder}: {exc}") from exc
        raise
