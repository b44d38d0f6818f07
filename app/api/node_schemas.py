"""The wire models of the nodes; `app.api.nodes` answers with them."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime

from app.api.schemas import Out

__all__ = ["NodesOut"]


class _Node(Out):
    id: str
    state: Literal["alive", "leaving", "dead"]
    """As the node that answers sees it; one that is dead is listed for about an hour."""
    age_s: float
    """Seconds since its last heartbeat was seen."""
    leader: bool
    """It holds partition 0, and does what one node does for all."""
    leaving: bool
    """It stops, and lets go of its partitions at the end of a tick."""
    listening: bool
    """It has just come, or could not beat for a while, and takes nothing over yet."""
    version: str
    """Of the software."""
    started_at: AwareDatetime
    roles: list[str]
    """`worker` holds partitions."""
    weight: float
    load: float | None
    """Entries of the log that it absorbs a second; null where that is not measured."""
    lag: int
    """Entries of the log that it has not absorbed."""
    as_of: AwareDatetime | None
    """End of the newest tick that it closed; null before the first."""
    partitions: list[int]
    """That it holds or takes over now. Of a dead node: that it held last."""
    taking: list[int]
    """Partitions that it is about to take over."""
    handovers: int
    """Partitions that it took over since it started."""
    api: str
    """Where its REST API is; empty where it does not say."""


class NodesOut(Out):
    """The nodes, as one of them sees them."""

    items: list[_Node]
    leader: str | None
    """Id of the node that holds partition 0; null while nobody does."""
    partitions: int
    """Of the log."""
    unheld: list[int]
    """Partitions that no live node holds: what comes in waits in the log."""
