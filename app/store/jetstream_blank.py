"""A cluster that a data folder is moved into: whether it is empty, and how its log is made to begin above the folder's offsets.

`app.store.jetstream` offers both to `app.store.moving`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.store.jetstream_documents import STREAM
from app.store.jetstream_link import Link
from app.store.jetstream_places import Layout, offset_before, sequence_above
from features.errors import StoreFailed

__all__ = ["ask", "count_messages", "empty_all"]


def count_messages(link: Link, layout: Layout) -> int:
    """Return how many messages log, state and documents hold."""
    return sum(int(_state(link, name)["messages"]) for name in (STREAM, *_logs(layout)))


def empty_all(link: Link, layout: Layout, above: int) -> int:
    """Forget log, state and documents, in this order, and let the log go on above an offset.

    Parameters
    ----------
    link : Link
        The connection.
    layout : Layout
        Of the log.
    above : int
        An offset.

    Returns
    -------
    int
        An offset, not below the given one; what is appended next to any partition lies above it.

    Raises
    ------
    StoreFailed
        When the servers did not do so.
    """
    first = max(sequence_above(above), *(int(_state(link, name)["last_seq"]) + 1 for name in _logs(layout)))
    for name in _logs(layout):
        # Also of an empty stream: what is below the sequence goes, and the next message has it.
        ask(link, f"STREAM.PURGE.{name}", {"seq": first})
        if (found := int(_state(link, name)["last_seq"]) + 1) != first:
            raise StoreFailed(f"stream {name} must go on at sequence {first}, got {found}")
    ask(link, f"STREAM.PURGE.{STREAM}", {})
    return offset_before(first)


def _logs(layout: Layout) -> list[str]:
    return [layout.stream(number) for number in range(layout.streams)]


def _state(link: Link, name: str) -> dict[str, Any]:
    return ask(link, f"STREAM.INFO.{name}", {})["state"]


def ask(link: Link, what: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Ask JetStream's API and return its answer.

    Raises
    ------
    StoreFailed
        When it refused, or nobody answers.
    """
    answer = link.call(link.api(what, asked))
    if "error" in answer:
        raise StoreFailed(f"{what} was refused: {answer['error'].get('description')}")
    return answer
