"""``foreshock migrate``: a stopped node's data folder into an empty cluster, its history under a URL, on which the node then goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import urlsplit

from app.history.moving import move_tables, tables_in, went_on
from app.history.place import place_of
from app.main import Node, history_place
from app.opening import join_target
from app.settings import Settings
from app.store.folder import FolderLock
from app.store.moving import Left, refuse_moved, say_moved, transfer
from features.errors import InvalidValue, StoreFailed

__all__ = ["migrate"]


def migrate(settings: Settings, to_nats: str | None, progress: Callable[[float, str], None]) -> tuple[dict[str, Any], str]:
    """Carry the folder to its last tick, copy its history to where the settings have it and the rest into a cluster, and mark it as moved.

    Killed at any point, it can be called again.

    Parameters
    ----------
    settings : Settings
        Those of the node, with what `cluster` says of the servers. Where `history_url` names another place than the folder, the
        tables of the folder are copied there.
    to_nats : str or None
        Addresses of the servers, as `nats_url`; None to copy history alone.
    progress : callable
        Told the share done and a word for what is done.

    Returns
    -------
    report : dict
        What was copied, and the settings that the node needs now.
    table : str
        The same for a terminal.

    Raises
    ------
    DataInUse
        When a node holds the folder.
    InvalidSetting
        When the folder was moved before, or the cluster is not one.
    InvalidValue
        When the cluster or the history's new place holds other data, or there is nothing to move.
    StoreFailed
        When history could not be copied or took no rows, or the cluster is away.
    """
    begun = time.monotonic()
    moves_history = _has_history(settings)
    if to_nats is not None:
        refuse_moved(settings.data)
        copied, moved = _move_all(settings, to_nats, progress, moves_history=moves_history)
    elif moves_history:
        copied, moved = _copy_alone(settings, progress), {}
    else:
        raise InvalidValue(
            f"--to-nats must be given, or history_url name another place for the tables of {settings.data / 'history'}, "
            f"got history_url {settings.history_url!r} and tables {tables_in(settings.data / 'history')}"
        )
    report: dict[str, Any] = {**copied, **moved, "history": str(history_place(settings)[0])}
    if moved:
        report["partitions"] = settings.store.partitions
    report["seconds"] = round(time.monotonic() - begun, 1)
    lines = [f"copied {_counted(copied)} of history to {report['history']}"] if moves_history else []
    lines += [f"moved {_counted(moved)}"] if moved else []
    lines[-1] += f" in {report['seconds']} s"
    return report, "\n".join((*lines, _needed(settings, to_nats, moves_history)))


def _has_history(settings: Settings) -> bool:
    """Say whether the folder has tables that the settings have at another place."""
    folder = settings.data / "history"
    if not settings.history_url or not tables_in(folder):
        return False
    other = place_of(settings.history_url).folder
    return other is None or other.resolve() != folder.resolve()


def _copy_history(settings: Settings, told: Callable[[float], None]) -> dict[str, int]:
    return move_tables(settings.data / "history", *history_place(settings), told)


def _copy_alone(settings: Settings, progress: Callable[[float, str], None]) -> dict[str, int]:
    """Copy the tables while nobody holds the folder."""
    lock = FolderLock(settings.data)
    try:
        return _copy_history(settings, lambda share: progress(share, "copying history"))
    finally:
        lock.release()


def _move_all(
    settings: Settings, to_nats: str, progress: Callable[[float, str], None], *, moves_history: bool
) -> tuple[dict[str, int], dict[str, int]]:
    """Move history, where it does, and the rest, and return how much of both."""
    n_partitions = settings.store.partitions  # state moves as it is, partition by partition
    there = settings.model_copy(
        update={"nats_url": to_nats, "cluster": settings.cluster.model_copy(update={"partitions": n_partitions})}
    )
    # A checkpoint at every tick: the last one has to be behind a checkpoint, and its rows in history.
    eager = settings.store.model_copy(update={"checkpoint_s": 0.0})
    # Rows of the last ticks go to history as the folder's node has it: who goes back to the folder finds all of them there.
    is_there = not moves_history or went_on(settings.data / "history", *history_place(settings))
    url = settings.history_url if is_there else ""
    copied: dict[str, int] = {}
    with closing(Node(settings.model_copy(update={"nats_url": "", "history_url": url, "store": eager}))) as node:
        if moves_history and is_there:  # of a copy that was killed a table may be left
            copied = _copy_history(settings, lambda _share: progress(0.0, "copying history"))
        progress(0.0, "reading the log to its last tick")
        node.worker.acquire()
        node.worker.drain()
        if node.worker.flow.chronicle.n_rows:
            raise StoreFailed(f"history took none of {node.worker.flow.chronicle.n_rows} rows: the log says why")
        node.worker.archive.finish()
        begins = 0.3
        if not is_there:
            copied = _copy_history(settings, lambda share: progress(0.3 + 0.4 * share, "copying history"))
            begins = 0.7
        with closing(join_target(there)) as target:
            moved = transfer(
                cast("Left", node.store), target, lambda share: progress(begins + (1.0 - begins) * share, "copying")
            )
        say_moved(settings.data, _named(to_nats), datetime.now(UTC))
    progress(1.0, "copying")
    return copied, moved


def _needed(settings: Settings, to_nats: str | None, moved_history: bool) -> str:
    """Say what the node needs now."""
    if to_nats is None:
        return f"now start the node with history_url as it is: {settings.data / 'history'} is as it was, and nothing reads it any more"
    stays = "signing.key stays" if settings.history_url else "its history and signing.key stay"
    needs = f"nats_url and cluster.partitions = {settings.store.partitions}"
    as_it_is = ", with history_url as it is" if moved_history else ""
    return f"now start the node with {needs}{as_it_is}, on this folder: {stays} in it"


def _counted(copied: dict[str, int]) -> str:
    return ", ".join(f"{number} {what}" for what, number in copied.items())


def _named(urls: str) -> str:
    """Return addresses without users, passwords and tokens."""
    parts = [urlsplit(url.strip()) for url in urls.split(",")]
    return ",".join(f"{part.scheme}://{part.netloc.rpartition('@')[2]}" for part in parts)
