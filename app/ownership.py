"""What this node should hold: its share of the partitions among the members that live, taken over only once nobody else holds it.

`app.membership` says who lives, `app.placement` who should own what, and the holder (`app.worker`) is told what to hold. Every node decides
for itself. A node lists what it holds and what it is about to take (its claims) in its own document before it takes anything, so that two
nodes which see each other never take the same partition; where they do not, the store's fence refuses the earlier one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from app.cache.member_records import WORKER, Member, Nodes
from app.claims import Claims
from app.loads import SteadyLoads
from app.membership import Membership
from app.placement import STRATEGIES, Candidate, placed
from app.telemetry import Telemetry
from features.errors import InvalidSetting, PartStopped

__all__ = ["Holder", "Ownership", "OwnershipPlan"]

logger = logging.getLogger(__name__)

_GLANCE_S = 0.02  # guessed: between two looks at what changed in memory; a hand-over waits for two of them at most


class Holder(Protocol):
    """Who holds partitions: the worker. What it lets go of, it has committed."""

    @property
    def held(self) -> frozenset[int]:
        """Partitions that it holds or takes over now."""
        ...

    def want(self, partitions: frozenset[int]) -> None:
        """Hold exactly these as soon as may be; called again and again, from other threads."""
        ...

    def lag(self) -> int:
        """Return how many entries it has not absorbed."""
        ...

    def loads(self) -> Mapping[int, float]:
        """Return entries a second by partition that it holds; empty where nothing measures it."""
        ...


@dataclass(frozen=True, slots=True)
class OwnershipPlan:
    """What is shared among the members, and how.

    Parameters
    ----------
    n_partitions : int
        Of the log.
    strategy : {"even", "weighted", "least_loaded"}
        By what partitions are placed. That of the member which started first counts for all, so that no partition is left to nobody while
        nodes are started anew with another one.

    Raises
    ------
    InvalidSetting
        When there is no such strategy, or no partition.
    """

    n_partitions: int
    strategy: str = "even"

    def __post_init__(self) -> None:
        if self.strategy not in STRATEGIES:
            raise InvalidSetting(f"cluster.placement must be one of {STRATEGIES}, got {self.strategy!r}")
        if self.n_partitions < 1:
            raise InvalidSetting(f"n_partitions must be at least 1, got {self.n_partitions}")


class Ownership:
    """Tells the holder what to hold, and the others what it holds.

    Parameters
    ----------
    holder : Holder
        Who holds.
    membership : Membership
        Who lives; its `me` is what this node says of itself, the rest is filled in at each beat.
    plan : OwnershipPlan
        What is shared.
    telemetry : Telemetry
        Where it counts.
    tick : callable
        Returns the unix seconds of the newest closed tick, None before the first.
    monotonic : callable
        Seconds on a clock that nobody sets; the one of the membership.
    """

    def __init__(
        self,
        holder: Holder,
        membership: Membership,
        plan: OwnershipPlan,
        telemetry: Telemetry,
        tick: Callable[[], float | None] = lambda: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.holder = holder
        self.membership = membership
        self.plan = plan
        self.telemetry = telemetry
        self._tick = tick
        self._monotonic = monotonic
        self._claims = Claims(membership.me.id, telemetry, monotonic)
        self._loads = SteadyLoads(monotonic)
        self._lock = threading.RLock()
        self._woken = threading.Event()
        self._wanted = self._said = frozenset[int]()
        self._heard: list[tuple[object, ...]] = []
        self._leaving = self._left = False
        self._done = False  # whether the last look came to its end; one that did not is no reason to look again at once

    @property
    def wanted(self) -> frozenset[int]:
        """What the holder was told last."""
        return self._wanted

    def look(self) -> None:
        """Beat, and if that went through tell the holder what to hold.

        Raises
        ------
        InvalidSetting
            When another process has this node's id; the holder is told to let go of everything.
        """
        with self._lock:
            self._done = False
            if self._left:
                return
            began_s = self._monotonic()
            try:
                if not self._beat(self._wanted):
                    return
                wanted = self._chosen()
                if wanted - self._wanted - self.holder.held:
                    if not self._beat(self._wanted | wanted):  # the others must know before anything is taken
                        return
                    wanted = self._uncontested(wanted)
            except InvalidSetting:
                self._tell(frozenset())
                raise
            if self._monotonic() - began_s > self.membership.ttl_s:
                return  # this process did not run meanwhile: what was found is old, and the next look listens first
            self._tell(wanted)
            if self._listed(wanted) != self._said:
                self._beat(wanted)
            self._done = True

    def run(self, stop: threading.Event) -> None:
        """Look at every heartbeat, and at once when what is held here, or what others say of it, changes, until told to stop.

        Raises
        ------
        InvalidSetting
            When another process has this node's id.
        PartStopped
            When the store has ended.
        """
        while not stop.is_set():
            self._try_to_look()
            self._rest(stop.is_set)

    def poke(self) -> None:
        """Look at once: what is held has changed. Safe to call from any thread."""
        self._woken.set()

    def leave(self, timeout_s: float, name_s: float = 0.0) -> bool:
        """Let go of everything, and out of the members once nothing is held or the time is over.

        Parameters
        ----------
        timeout_s : float
            Seconds for which the holder may take to let go, which it does at a tick.
        name_s : float
            Seconds for which it may take to see that nobody else beats under this node's name. Who goes before leaves what a process that
            was killed had said of itself, and counts as that until its time is over.

        Returns
        -------
        bool
            Whether all of it was let go in order; what was not, others take over and read again from the last checkpoint.

        Raises
        ------
        InvalidSetting
            When another process has this node's id.
        PartStopped
            When the store has ended.
        """
        self._leaving = True
        with self._lock:
            self._tell(frozenset())  # also where no beat goes through
        began_s = self._monotonic()

        def over() -> bool:
            passed_s = self._monotonic() - began_s
            return (not self.holder.held or passed_s >= timeout_s) and (not self.membership.waits or passed_s >= name_s)

        while True:
            self._try_to_look()
            if over():
                break
            self._rest(over)
        with self._lock:
            self._left, left = True, not self.holder.held
            self.membership.leave()
        return left

    def nodes(self) -> Nodes:
        """Return all nodes as this one sees them."""
        return Nodes(self.plan.n_partitions, self.membership.states())

    def _try_to_look(self) -> None:
        """Look, and go on after what may pass by: who does not beat is taken for dead."""
        try:
            self.look()
        except (InvalidSetting, PartStopped):
            raise
        except Exception:
            logger.exception("a look at who owns what failed")
            self.telemetry.faults.labels(place="ownership").inc()

    def _beat(self, wanted: frozenset[int]) -> bool:
        """Say what this node holds and claims; return whether it is known now."""
        held, now = self.holder.held, self.holder.loads()
        self._claims.note(held, self._wanted)
        self._said = held | wanted
        me = replace(
            self.membership.me,
            placement=self.plan.strategy,
            load=sum(now.values()) if now else None,
            loads=self._loads.steadied(now, held),
            lag=self.holder.lag(),
            tick=self._tick(),
            held=tuple(sorted(held)),
            claimed=tuple(sorted(wanted - held)),
            listening=self.membership.listening,
            leaving=self._leaving,
            handovers=self._claims.handovers,
        )
        went_through = self.membership.beat(me)
        self._claims.show(self.membership.states())
        return went_through

    def _chosen(self) -> frozenset[int]:
        """Return what this node should hold now, as far as nobody else has it."""
        self._heard, others, held = self._signature(), self.membership.others(), self.holder.held
        for each in others:
            self._loads.learn(each.loads, held)
        if self._leaving:
            return frozenset()
        if self.membership.listening:  # what others have meanwhile is theirs, and nothing is taken
            return self._wanted - _listed_by(others)
        me = replace(self.membership.me, placement=self.plan.strategy)
        candidates = [each for each in (me, *others) if WORKER in each.roles and not each.leaving]
        if not candidates:
            return frozenset()
        owners = placed(
            self.plan.n_partitions,
            [Candidate(each.id, each.weight) for each in candidates],
            _strategy(candidates),
            self._loads.known,
        )
        waiting = {each.id for each in others if each.listening}
        # A member that listens takes nothing yet: until it does, what will be its own stays with who has it.
        mine = {n for n, owner in enumerate(owners) if owner == me.id or (owner in waiting and n in held & self._wanted)}
        return self._uncontested(frozenset(mine))

    def _uncontested(self, wanted: frozenset[int]) -> frozenset[int]:
        """Leave out what another living member has or, having claimed it at the same time, goes before us in the order of ids."""
        me, ours = self.membership.me.id, self._wanted & self.holder.held
        others = self.membership.others()
        theirs = {n for each in others for n in each.held}
        claimed = {n for each in others for n in each.claimed if each.id < me or n not in self._said}
        return wanted - ((theirs | claimed) - ours)

    def _tell(self, wanted: frozenset[int]) -> None:
        self._claims.want(wanted - self.holder.held - self._wanted, wanted, self.membership.states())
        self._wanted = wanted
        self.holder.want(wanted)

    def _listed(self, wanted: frozenset[int]) -> frozenset[int]:
        return self.holder.held | wanted

    def _signature(self) -> list[tuple[object, ...]]:
        """Return what of the others' words may change what this node should hold."""
        return [(m.id, m.incarnation, m.held, m.claimed, m.leaving, m.listening, m.weight) for m in self.membership.others()]

    def _rest(self, over: Callable[[], bool]) -> None:
        """Wait for the next heartbeat, less where there is a reason to look before."""
        until_s, changes = time.monotonic() + self.membership.heartbeat_s, -1
        while time.monotonic() < until_s and not over():
            if self._woken.wait(_GLANCE_S):
                break
            if not self._done:
                continue
            if self._listed(self._wanted) != self._said:
                break
            if changes != (changes := self.membership.changes) and self._signature() != self._heard:
                break
        self._woken.clear()


def _listed_by(members: Collection[Member]) -> frozenset[int]:
    return frozenset(n for each in members for n in (*each.held, *each.claimed))


def _strategy(candidates: Collection[Member]) -> str:
    """Return the strategy of the member that started first."""
    first = min(candidates, key=lambda each: (each.started_at, each.id)).placement
    return first if first in STRATEGIES else STRATEGIES[0]
