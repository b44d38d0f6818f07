"""What became of partitions that this node wanted: when they came, from whom, and which were taken from it.

`app.ownership` tells it what it sees; it counts hand-overs for `/metrics` and for the node's own document.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection

from app.cache.member_records import ALIVE, DEAD, LEAVING, NodeState
from app.telemetry import Telemetry

__all__ = ["Claims"]

logger = logging.getLogger(__name__)


class Claims:
    """Hand-overs of one node.

    Parameters
    ----------
    me : str
        Its id.
    telemetry : Telemetry
        Where it counts.
    monotonic : callable
        Seconds.
    """

    def __init__(self, me: str, telemetry: Telemetry, monotonic: Callable[[], float]) -> None:
        self.handovers = 0
        self._me = me
        self._telemetry = telemetry
        self._monotonic = monotonic
        self._held: frozenset[int] = frozenset()
        self._open: dict[int, tuple[float, str]] = {}  # since when it is wanted, and what became of who had it
        self._before: dict[int, str] = {}  # who held it last, but this node

    def want(self, partitions: Collection[int], wanted: Collection[int], states: Collection[NodeState]) -> None:
        """Note partitions that are wanted from now on, and forget those that are wanted no more.

        Parameters
        ----------
        partitions : collection of int
            Not held yet, and not wanted before.
        wanted : collection of int
            All that are wanted.
        states : collection of NodeState
            All members.
        """
        self._open = {partition: claim for partition, claim in self._open.items() if partition in wanted}
        now_s, state_of = self._monotonic(), {each.member.id: each.state for each in states}
        for partition in partitions:
            self._open[partition] = now_s, self._reason(partition, state_of)

    def note(self, held: frozenset[int], wanted: Collection[int]) -> None:
        """Count what came since the last call, and what went although it is wanted."""
        now_s, came = self._monotonic(), dict[str, list[int]]()
        for partition in sorted(held - self._held):
            since_s, reason = self._open.pop(partition, (now_s, ""))
            if reason:
                self.handovers += 1
                came.setdefault(reason, []).append(partition)
                self._telemetry.handovers.labels(reason=reason).inc()
                self._telemetry.handover_seconds.observe(now_s - since_s)
            self._before.pop(partition, None)
        for reason, partitions in came.items():
            logger.info("took over partitions %s (%s)", partitions, reason)
        for partition in self._held - held:
            if partition in wanted:
                self._telemetry.handovers.labels(reason="fenced").inc()
                self._open[partition] = now_s, "start"
        self._held = held
        self._telemetry.partitions_held.set(len(held))

    def show(self, states: Collection[NodeState]) -> None:
        """Show how many members there are, and remember who holds what."""
        count = Counter(each.state for each in states)
        for state in (ALIVE, LEAVING, DEAD):
            self._telemetry.members.labels(state=state).set(count[state])
        for each in states:
            if each.state != DEAD and each.member.id != self._me:
                self._before.update(dict.fromkeys(each.member.held, each.member.id))

    def _reason(self, partition: int, state_of: dict[str, str]) -> str:
        """Return what became of who held a partition before, as far as this node saw it."""
        before = self._before.get(partition)
        if before is None:
            return "start"
        # Who is not there any more took its document away; one that dies leaves it behind.
        return {ALIVE: "move", LEAVING: "leave", DEAD: "death"}[state_of.get(before, LEAVING)]
