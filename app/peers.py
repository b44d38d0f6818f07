"""A node among the others: who they are, what each holds, and how this one comes and goes.

`app.main` makes `Alone` for a node over a folder of its own and `Peers` for one over a cluster.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import replace

from app.cache.member_records import ALIVE, Member, Nodes, NodeState
from app.membership import Membership
from app.ownership import Holder, Ownership
from app.store.signing import check_signing
from features.errors import ForeshockError

__all__ = ["Alone", "Bystander", "Peers"]

logger = logging.getLogger(__name__)

_NAME_TTLS = 2  # guessed: times to live for which a stop waits until its name is free, which takes one and a beat where the store answers


class Bystander:
    """Who holds nothing: a node without the role ``worker``."""

    held = frozenset[int]()

    def want(self, partitions: frozenset[int]) -> None:
        """Take nothing over."""

    def lag(self) -> int:
        """Return 0."""
        return 0

    def loads(self) -> Mapping[int, float]:
        """Return nothing."""
        return {}


class Alone:
    """The only node, with all that is there.

    Parameters
    ----------
    me : Member
        This node.
    worker : Holder
        Who holds.
    n_partitions : int
        Of the log.
    tick : callable
        Returns the unix seconds of the newest closed tick, None before the first.
    """

    def __init__(self, me: Member, worker: Holder, n_partitions: int, tick: Callable[[], float | None]) -> None:
        self.me = me
        self._worker = worker
        self._n_partitions = n_partitions
        self._tick = tick

    def nodes(self) -> Nodes:
        """Return this node with what its worker holds."""
        loads = self._worker.loads()
        member = replace(
            self.me,
            lag=self._worker.lag(),
            tick=self._tick(),
            load=sum(loads.values()) if loads else None,
            loads=loads,
            held=tuple(sorted(self._worker.held)),
        )
        return Nodes(self._n_partitions, (NodeState(member, 0.0, ALIVE),))

    def others(self) -> Sequence[Member]:
        """Return nobody."""
        return ()


class Peers:
    """A node of a cluster, and the others.

    Parameters
    ----------
    membership : Membership
        Who lives.
    ownership : Ownership
        Who owns what.
    handover_s : float
        Seconds that a stop waits for the end of a tick.
    """

    def __init__(self, membership: Membership, ownership: Ownership, handover_s: float) -> None:
        self._membership = membership
        self._ownership = ownership
        self._handover_s = handover_s

    def nodes(self) -> Nodes:
        """Return all nodes as this one sees them."""
        return self._ownership.nodes()

    def others(self) -> Sequence[Member]:
        """Return the others that live."""
        return self._membership.others()

    def alive(self) -> Container[str]:
        """Return the names of those that live; all that were ever seen while this node does not know."""
        if self._membership.listening:
            return {state.member.id for state in self.nodes().states}
        return {member.id for member in self.others()}

    def tell(self, api: str) -> None:
        """Say where REST is, once that is known."""
        self._membership.me = replace(self._membership.me, api=api)

    def run(self, stop: threading.Event) -> None:
        """Take part until told to stop.

        Raises
        ------
        InvalidSetting
            When another process has this node's id.
        PartStopped
            When the store has ended.
        """
        self._ownership.run(stop)

    def check(self) -> None:
        """See that this node signs models with the key of those that were there before it.

        Raises
        ------
        InvalidSetting
            When one of them has another key: of two that differ the later one is refused.
        """
        me = self._membership.me
        if not self._membership.listening:
            before = {m.id: m.signing for m in self.others() if (m.started_at, m.id) < (me.started_at, me.id)}
            check_signing(me.signing, before, me.id)

    def leave(self, *, waits: bool = True) -> None:
        """Hand over what is held at the end of a tick, and go; what could not be handed over in time others read again.

        Parameters
        ----------
        waits : bool
            Whether an end of a tick may come; else nothing is waited for, and others take over at once.
        """
        began_s = time.monotonic()
        try:
            in_order = self._ownership.leave(self._handover_s if waits else 0.0, _NAME_TTLS * self._membership.ttl_s)
        except ForeshockError as exc:  # what else there is to stop stops all the same
            logger.error("node %s goes without a word to the others: %s", self._membership.me.id, exc)
            return
        how = "handed everything over" if in_order else "left with partitions that others have to read again"
        logger.info("node %s %s within %.1f s", self._membership.me.id, how, time.monotonic() - began_s)

    def close(self) -> None:
        """Watch the others no more."""
        self._membership.close()
