"""What a table needs once a day: days that are too old go, small files are joined, and files that nobody reads any more are deleted.

`app.history.delta` calls it, beside appends of this node and others: each step is a Delta commit of its own, and one that meets another
commit in its way is left for the next day.
"""

from __future__ import annotations

from deltalake import DeltaTable, WriterProperties
from deltalake.exceptions import CommitFailedError

from app.history.tables import DAY_S, day_of

__all__ = ["FILES", "drop_days", "join_files", "sweep"]

FILES = WriterProperties(compression="ZSTD", compression_level=1)
"""How rows are written: a quarter of the disk that Delta's default takes for errors, in the same time (measured)."""


def drop_days(delta: DeltaTable, days: int, now_s: int) -> int:
    """Drop the days that ended more than some days ago; their files stay until they are swept.

    Parameters
    ----------
    delta : DeltaTable
        Partitioned by ``day``.
    days : int
        How many whole days stay beside the present one; 0 keeps all.
    now_s : int
        Unix seconds of the log's time.

    Returns
    -------
    int
        Days dropped. A day is a partition, so no file is read or written for it.
    """
    if not days:
        return 0
    oldest = day_of(max(now_s - days * DAY_S, 0))
    old = [partition["day"] for partition in delta.partitions() if str(partition["day"]) < oldest]
    if not old:
        return 0
    try:
        delta.delete(f"day < '{oldest}'")
    except CommitFailedError:
        return 0  # a late row came into one of the days
    return len(old)


def join_files(delta: DeltaTable) -> None:
    """Join the many small files of a day into few."""
    try:
        delta.optimize.compact(writer_properties=FILES)
    except CommitFailedError:
        return  # someone else joined or dropped them


def sweep(delta: DeltaTable, retention_hours: int, *, strays: bool = True) -> None:
    """Delete files that no version of the last hours needs, and what the log of commits holds of them.

    Parameters
    ----------
    delta : DeltaTable
        The table.
    retention_hours : int
        Hours for which files that were replaced or dropped stay, for those who read an older version.
    strays : bool
        Also those that no commit names, left behind by a crash. An append that is under way has such files too, younger than the
        hours that matter only where these are more than an append takes.
    """
    delta.create_checkpoint()
    delta.cleanup_metadata()
    delta.vacuum(retention_hours, dry_run=False, enforce_retention_duration=False, full=strays)
