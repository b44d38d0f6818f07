"""``foreshock migrate``: a stopped node's data folder into an empty cluster, on which the node then goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import urlsplit

from app.main import Node, join_target
from app.settings import Settings
from app.store.moving import Left, say_moved, transfer
from features.errors import StoreFailed

__all__ = ["migrate"]


def migrate(settings: Settings, to_nats: str, progress: Callable[[float, str], None]) -> tuple[dict[str, Any], str]:
    """Carry the folder to its last tick, copy it, and mark it as moved; killed at any point, it can be called again.

    Parameters
    ----------
    settings : Settings
        Those of the node on the folder, with what `cluster` says of the servers.
    to_nats : str
        Addresses of the servers, as `nats_url`.
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
        When the cluster holds other data.
    StoreFailed
        When history took no rows, or the cluster is away.
    """
    begun = time.monotonic()
    n_partitions = settings.store.partitions  # state moves as it is, partition by partition
    there = settings.model_copy(
        update={"nats_url": to_nats, "cluster": settings.cluster.model_copy(update={"partitions": n_partitions})}
    )
    # A checkpoint at every tick: the last one has to be behind a checkpoint, and its rows in history.
    eager = settings.store.model_copy(update={"checkpoint_s": 0.0})
    node = Node(settings.model_copy(update={"nats_url": "", "store": eager}))
    with closing(node):
        progress(0.0, "reading the log to its last tick")
        node.worker.acquire()
        node.worker.drain()
        if node.worker.flow.chronicle.n_rows:
            raise StoreFailed(f"history took none of {node.worker.flow.chronicle.n_rows} rows: the log says why")
        progress(0.3, "copying")
        with closing(join_target(there)) as target:
            copied = transfer(cast("Left", node.store), target, lambda share: progress(0.3 + 0.7 * share, "copying"))
        say_moved(settings.data, _named(to_nats), datetime.now(UTC))
    report = {
        **copied,
        "seconds": round(time.monotonic() - begun, 1),
        "partitions": n_partitions,
        "history": str(settings.data / "history"),
    }
    shown = ", ".join(f"{number} {what}" for what, number in copied.items())
    return report, (
        f"moved {shown} in {report['seconds']} s\n"
        f"now start the node with nats_url and cluster.partitions = {n_partitions}, on this folder: its history and signing.key stay in it"
    )


def _named(urls: str) -> str:
    """Return addresses without users, passwords and tokens."""
    parts = [urlsplit(url.strip()) for url in urls.split(",")]
    return ",".join(f"{part.scheme}://{part.netloc.rpartition('@')[2]}" for part in parts)
