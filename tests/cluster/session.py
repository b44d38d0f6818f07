"""A cluster under load and under watch: strikes it with faults, measures what that cost, and checks what is left."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from features.errors import StoreFailed
from tests.cluster.evidence import entries_of, evidence_of, rows_without_offsets, undisturbed
from tests.cluster.invariants import Evidence, Sent, Violation, check
from tests.cluster.load import Load, services_over
from tests.cluster.nodes import Cluster, Shape
from tests.cluster.watch import Watch

if TYPE_CHECKING:
    from tests.cluster.faults import Fault

__all__ = ["Record", "Session"]

PATIENCE_S = 120.0
FIRST_S = 180.0


@dataclass(frozen=True, slots=True)
class Record:
    """What one fault cost.

    Parameters
    ----------
    fault, target : str
        What, and who.
    hand_over_s : float, optional
        From the strike until every partition is held by a living node; None where nothing had to change hands.
    resumed_s : float
        From the strike, or from its end where nobody could take over, until every node shows newer predictions of every service.
    refusal_s : float
        The longest time in which nothing was acknowledged anywhere.
    wait_s : float
        The longest time from the first try of a request to its acknowledgement.
    retries : int
        Tries beyond the first.
    """

    fault: str
    target: str
    hand_over_s: float | None
    resumed_s: float
    refusal_s: float
    wait_s: float
    retries: int


@dataclass(eq=False)
class Session(AbstractContextManager["Session"]):
    """Everything that a run needs, up and running."""

    folder: Path
    shape: Shape
    rng: random.Random
    records: list[Record] = field(default_factory=list[Record])
    _probes: int = 0

    def __post_init__(self) -> None:
        self.cluster = Cluster(self.folder, self.shape)
        self.services = services_over(self.shape.partitions)
        self.watch = Watch(self.cluster)
        self.load = Load(lambda: [n.ports["http"] for n in self.cluster.living], self.services, self.shape.tick_s)

    def __enter__(self) -> Self:
        self.load.start()
        self.watch.look()
        began, now = time.monotonic(), time.time()
        try:
            self.until(lambda: self.resumed(began, now) is not None, "the first predictions", FIRST_S)
            self.until(self.shared, "every node to hold something", FIRST_S)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.load.end(patience_s=1.0)
        finally:
            self.watch.close()
            self.cluster.close()

    def next_probe(self) -> int:
        """Return a number for events that no sender sends."""
        self._probes += 2
        return self._probes

    def revived(self) -> bool:
        """Start nodes that ended by themselves, and return whether all live."""
        for node in self.cluster.nodes:
            if not node.alive:
                node.start()
                node.until_ready()
        return True

    def shared(self) -> bool:
        """Whether every living node holds something, where nodes tell."""
        names = {node.name for node in self.cluster.living}
        return not self.watch.tells_holders or self.watch.holders() >= names

    def resumed(self, since: float, as_of: float) -> float | None:
        """Return when every living node had predictions of every service newer than a unix second; None if that is not so yet."""
        return self.watch.resumed(since, as_of, self.services, self.cluster.living)

    def until(self, done: Callable[[], object], what: str, patience_s: float = PATIENCE_S) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + patience_s
        while not done():
            if time.monotonic() > deadline:
                held = next((sample.held for sample in reversed(self.watch.samples) if sample.held is not None), None)
                logs = "\n".join(f"--- {node.name}\n{node.tail()}" for node in self.cluster.nodes)
                raise TimeoutError(f"waited {patience_s:g} s for {what}; as of {self._newest()}; held {held}\n{logs}")
            time.sleep(0.05)

    def strike(self, fault: Fault) -> Record:
        """Let a fault happen, wait until the cluster works again, and return what it cost."""
        began, now, holders = time.monotonic(), time.time(), self.watch.holders()
        strike = fault.strike(self, self.rng)
        hand_over = resumed = None
        others = [node for node in self.cluster.living if node.name not in strike.gone]
        if strike.gone and others and self.watch.tells_holders:
            gone = strike.gone
            if strike.hold_s == 0.0 or strike.hold_s >= 12.0:  # long enough for others to see it
                self.until(lambda: self.watch.handed_over(began, gone) is not None, f"others to take over from {set(gone)}")
                if gone & holders:
                    hand_over = (self.watch.handed_over(began, gone) or began) - began
                others_resumed = lambda: self.watch.resumed(began, now, self.services, others)  # noqa: E731 - asked twice
                self.until(lambda: others_resumed() is not None, "predictions of the others")
                resumed = (others_resumed() or began) - began
        time.sleep(max(began + strike.hold_s - time.monotonic(), 0.0))
        healed, healed_at = time.monotonic(), time.time()
        fault.heal(self)
        self.until(lambda: self.resumed(healed, healed_at) is not None, f"predictions after: {fault.name}, {strike.target}")
        ended = self.resumed(healed, healed_at) or healed
        if resumed is None:
            resumed = ended - healed
        ledger, until = self.load.ledger, time.monotonic()
        record = Record(
            fault.name, strike.target, hand_over, resumed,
            ledger.longest_refusal(began, until), ledger.longest_wait(began, until), ledger.retries(began, until),
        )  # fmt: skip
        self.records.append(record)
        return record

    def check(self, patience_s: float = 90.0) -> list[Violation]:
        """Return what is wrong with history once it had time to get all that was acknowledged; nothing is sent meanwhile."""
        with self.load.quiet():
            deadline = time.monotonic() + patience_s
            while True:
                try:
                    violations = check(self._sent(), self._evidence())
                except StoreFailed:  # a server that was started anew a moment ago may not answer yet
                    if time.monotonic() > deadline:
                        raise
                else:
                    if not violations or time.monotonic() > deadline:
                        return violations
                time.sleep(1.0)

    def compare(self) -> list[Violation]:
        """Return what an undisturbed worker makes otherwise of the same log, up to what history holds; call `check` before."""
        log = entries_of(self.cluster.servers.urls, self.cluster.shape)
        evidence = evidence_of(self.cluster.history, lambda: log, self.cluster.shape, self.services)
        newest = min(max((t for p, t in evidence.ticks if p == partition), default=0) for partition in log)
        # History was read after the log, and may know of ticks that came in between.
        newest = min(newest, max(set[int].intersection(*map(set, evidence.markers.values()))))
        found: list[Violation] = []
        with tempfile.TemporaryDirectory() as folder:
            alone = undisturbed(Path(folder), log, self.cluster.shape)
            for table in ("windows", "facts"):
                places = (self.cluster.history, alone)
                ours, theirs = (rows_without_offsets(place, table, newest, evidence.markers) for place in places)
                extra, missing = set(ours) - set(theirs), set(theirs) - set(ours)
                found += [Violation(f"not in an undisturbed run: {table}", str(row)) for row in sorted(extra)]
                found += [Violation(f"only in an undisturbed run: {table}", str(row)) for row in sorted(missing)]
        return found

    def _sent(self) -> Sent:
        ledger = self.load.ledger
        return Sent(list(ledger.acknowledged), list(ledger.uncertain))

    def _evidence(self) -> Evidence:
        read_log = partial(entries_of, self.cluster.servers.urls, self.cluster.shape)
        return evidence_of(self.cluster.history, read_log, self.cluster.shape, [*self.services, "svc-60000"])

    def _newest(self) -> Sequence[tuple[str, float]]:
        last = {sample.node: min(sample.as_of.values(), default=0.0) for sample in self.watch.samples}
        return sorted(last.items())
