"""What a stopped cluster holds, changed or removed: the counterpart of `app.store.sqlite_rewrite` for `app.forget`.

Nodes are stopped and servers run. From the beginning to the end no node opens the cluster (`app.store.jetstream_rewrite`), and what was
killed in between is brought to its end by the next call for the same.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager

from app.cache.member_records import MEMBERS
from app.clock import utc_now
from app.ingest.codec import TickMessage, unpack
from app.settings import Settings
from app.store import jetstream_rewrite
from app.store.cluster import join_cluster, reach_cluster
from app.store.contract import Rewriting, State
from app.store.jetstream import JetStreamStore
from app.store.jetstream_copy import ClusterRewriting
from app.telemetry import Telemetry
from features.errors import DataInUse, InvalidValue

__all__ = ["finish_earlier", "rewritten_cluster"]


def finish_earlier(settings: Settings, asked: str, rest: Callable[[], object]) -> bool:
    """Bring an earlier call that was killed to its end, and return whether there was one.

    Parameters
    ----------
    settings : Settings
        With `nats_url`.
    asked : str
        A fingerprint of what is asked for now. It lies in the cluster as long as the copy does.
    rest : callable
        Changes what lies beside the cluster; called once the cluster is as it is to be, before a node can start.

    Raises
    ------
    DataInUse
        When that call lives, or has changed the cluster and asked for something else.
    StoreFailed
        When the cluster refused, or as `rest`.
    """
    with closing(reach_cluster(settings)) as link:
        return jetstream_rewrite.finish(link, asked, rest)


@contextmanager
def rewritten_cluster(settings: Settings, rewriting: Rewriting, asked: str) -> Generator[Counter[str]]:
    """Change log, state, documents and models of a stopped cluster, and keep nodes out until the end of the block.

    What an earlier call left is to be brought to its end before, by `finish_earlier`.

    Parameters
    ----------
    settings : Settings
        With `nats_url`.
    rewriting : Rewriting
        What becomes of it.
    asked : str
        A fingerprint of what is asked for.

    Yields
    ------
    Counter of str
        How many entries, parts of state, documents and models changed or went.

    Raises
    ------
    DataInUse
        When a node is a member, or another call is at it.
    InvalidValue
        When ticks were closed that no checkpoint has passed, or what is refused by `rewriting`; nothing was changed.
    StoreFailed
        When the cluster refused.
    """
    with closing(reach_cluster(settings)) as link, jetstream_rewrite.beating(link):
        with closing(join_cluster(settings, utc_now, Telemetry())) as store:
            _refuse_members(store)
            done = store.copy(ClusterRewriting(rewriting, _refuse_closed, asked))
        jetstream_rewrite.place(link)
        try:
            yield done
        finally:
            jetstream_rewrite.release(link)


def _refuse_members(store: JetStreamStore) -> None:
    store.documents.only = MEMBERS
    if names := [document.key for document in store.documents.items(MEMBERS)]:
        raise DataInUse(
            f"no node must be a member of the cluster, got {', '.join(names)}: stop them first; one that was killed counts for an hour, "
            "or until it was started and stopped in order"
        )


def _refuse_closed(partition: int, state: State, data: bytes) -> None:
    """Refuse a tick behind the checkpoint: history and predictions may name offsets of what it closed, which do not stay."""
    message = _read(data)
    markers = json.loads(state.get("worker/markers", b"[]"))
    newest_s = markers[-1][0] if markers else 0
    if isinstance(message, TickMessage) and message.tick_s > newest_s:
        raise InvalidValue(
            f"partition {partition} must have no tick behind its checkpoint of {newest_s}, got one of {message.tick_s}: the nodes did not "
            "stop in order. Start one with the role worker, wait until it is ready, and stop it with SIGTERM; nothing was changed"
        )


def _read(data: bytes) -> object:
    try:
        return unpack(data)
    except InvalidValue:
        return None
