"""What is kept of runs over history, training runs and backtests, and which of a tenant may wait, over all nodes.

`app.jobs` writes them while it works; `app.api` and `app.situation` read them. A run names the node that works on it, so that others can tell when
it is lost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from app.cache.backtests import BacktestRun
from app.cache.documents import decode_document, encode_document, tenant_key
from app.cache.records import TrainingRun
from app.store.contract import Document, Documents
from features.errors import AlreadyWaiting, Conflict, Overloaded

__all__ = ["RUN_TTL_S", "WORDS", "Places", "Run", "put_run", "swap_run", "unfinished"]

Run: TypeAlias = TrainingRun | BacktestRun
"""What is kept of a run."""

RUN_TTL_S = 30 * 86_400.0
"""Seconds for which a run is kept."""

WORDS: dict[type[Run], str] = {TrainingRun: "training run", BacktestRun: "backtest"}
"""What a person calls them."""

_BUCKETS: dict[type[Run], str] = {TrainingRun: "training-runs", BacktestRun: "backtests"}
_PLACES = "waiting-runs"
_UNWRITTEN = timedelta(
    seconds=60
)  # guessed: between a place and the run that it is for lies one write, which is insisted on for 10 s
_TRIES = 8


def put_run(documents: Documents, run: Run) -> None:
    """Write the document of a run; it is kept for 30 days."""
    documents.put(_BUCKETS[type(run)], _key(run), encode_document(run), ttl_s=RUN_TTL_S)


def swap_run(documents: Documents, run: Run, revision: int) -> bool:
    """Write the document of a run unless somebody else has written it since; return whether it was."""
    try:
        documents.swap(_BUCKETS[type(run)], _key(run), encode_document(run), revision, ttl_s=RUN_TTL_S)
    except Conflict:
        return False
    return True


def unfinished(documents: Documents) -> list[tuple[Run, int]]:
    """Return the runs that wait or are worked on, whoever does, each with the revision of its document."""
    found: list[tuple[Run, int]] = []
    for kind, bucket in _BUCKETS.items():
        found += [(decode_document(document.value, kind), document.revision) for document in documents.items(bucket)]
    return [(run, revision) for run, revision in found if run.state in ("queued", "running")]


@dataclass(frozen=True, slots=True)
class _Place:
    """For which run, asked of which node at what time, a tenant's place was taken."""

    run: str
    node: str
    at: datetime


class Places:
    """One place a tenant and kind for a run that waits, whichever node is asked: a document that changes by compare-and-set.

    A place is never given back: it is free once its run does not wait any more, or the node that would take it is gone.

    Parameters
    ----------
    documents : Documents
        Where places and runs lie.
    now : callable
        Aware UTC.
    """

    def __init__(self, documents: Documents, now: Callable[[], datetime]) -> None:
        self._documents = documents
        self._now = now

    def take(self, run: Run, lives: Callable[[str], bool]) -> None:
        """Take the place of a run's tenant; the run is to be written next.

        Parameters
        ----------
        run : Run
            That is to wait.
        lives : callable
            Whether another node lives.

        Raises
        ------
        Overloaded
            When a run that another node took waits, or too many ask at once.
        """
        key, mine = tenant_key(run.tenant, _BUCKETS[type(run)]), encode_document(_Place(run.id, run.node, self._now()))
        for _ in range(_TRIES):
            there = self._documents.get(_PLACES, key)
            self._see_that_it_is_free(run, there, lives)
            try:
                self._documents.swap(_PLACES, key, mine, there.revision if there else 0, ttl_s=RUN_TTL_S)
                return
            except Conflict:
                continue  # somebody took it in between, and may be done already
        raise Overloaded(f"at most {_TRIES} may ask for a {WORDS[type(run)]} of tenant {run.tenant!r} at once, got more")

    def _see_that_it_is_free(self, run: Run, there: Document | None, lives: Callable[[str], bool]) -> None:
        if there is None:
            return
        place = decode_document(there.value, _Place)
        # What waits on this node is known to `app.jobs` itself.
        if place.node != run.node and lives(place.node) and self._waits(type(run), run.tenant, place):
            raise AlreadyWaiting(
                f"at most 1 {WORDS[type(run)]} of tenant {run.tenant!r} may wait, and {place.run} of node {place.node} does; got one more"
            )

    def _waits(self, kind: type[Run], tenant: str, place: _Place) -> bool:
        document = self._documents.get(_BUCKETS[kind], tenant_key(tenant, place.run))
        if document is None:
            return self._now() - place.at < _UNWRITTEN
        return decode_document(document.value, kind).state == "queued"


def _key(run: Run) -> str:
    return tenant_key(run.tenant, run.id)
