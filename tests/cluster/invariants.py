"""What must hold of a history, whatever was killed, stopped or cut while it was made: an unkind reader of everything that is left.

In the manner of Jepsen's sets (each event that was acknowledged is there once, and none that nobody sent) and counters (the sums are those
of what was sent). All of it is pure: `tests.cluster.evidence` reads what is looked at here.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from tests.cluster.ledger import Event

__all__ = ["Evidence", "Failure", "Gain", "Sent", "Violation", "check", "summary"]

Count = tuple[str, str, int, str]
"""Service, operation, window, and ``total`` or ``errors``."""


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must not be."""

    what: str
    detail: str


@dataclass(frozen=True, slots=True)
class Failure:
    """A row of ``errors``."""

    service: str
    span_id: str
    received_at_us: int
    offset: int


@dataclass(frozen=True, slots=True)
class Gain:
    """A row of ``windows``."""

    service: str
    operation: str
    window: int
    received: int
    total: int
    errors: int


@dataclass(frozen=True, slots=True)
class Sent:
    """What senders know at the end.

    Parameters
    ----------
    acknowledged, uncertain : sequence of Event
        What must be there, and what may be.
    """

    acknowledged: Sequence[Event]
    uncertain: Sequence[Event] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is left at the end.

    Parameters
    ----------
    gains, failures : sequence
        Rows of ``windows`` and ``errors``.
    ticks : sequence of (int, int)
        Partition and tick of the facts that say that a tick was closed.
    predictions : sequence of (str, str, int)
        Service, operation and tick of all predictions.
    partitions : Mapping of str to int
        Where services lie.
    markers : Mapping of int to sequence of int
        Ticks in the log, by partition, without repeats.
    log : Mapping of str to sequence of int
        Numbers of the events of each service in the order of the log, repeats among them.
    begun : Mapping of int to int
        Tick in which the first Batch of a partition came: a marker up to it has nothing to close.
    """

    gains: Sequence[Gain]
    failures: Sequence[Failure]
    ticks: Sequence[tuple[int, int]]
    predictions: Sequence[tuple[str, str, int]]
    partitions: Mapping[str, int]
    markers: Mapping[int, Sequence[int]]
    log: Mapping[str, Sequence[int]] = field(default_factory=dict[str, Sequence[int]])
    begun: Mapping[int, int] = field(default_factory=dict[int, int])


def check(sent: Sent, evidence: Evidence) -> list[Violation]:
    """Return all that is wrong; an empty list is what everybody hopes for."""
    return [violation for look in _LOOKS for violation in look(sent, evidence)]


def summary(found: Sequence[Violation], most: int = 5) -> str:
    """Return violations as text, some of each kind."""
    kinds: dict[str, list[str]] = defaultdict(list)
    for violation in found:
        kinds[violation.what].append(violation.detail)
    return "\n".join(f"{what}: {len(all_)}\n  " + "\n  ".join(all_[:most]) for what, all_ in kinds.items())


def _events(sent: Sent, evidence: Evidence) -> Iterator[Violation]:
    """Every event that was acknowledged is there once, and none that nobody sent."""
    there = Counter(failure.span_id for failure in evidence.failures)
    wanted = {event.span_id: event for event in sent.acknowledged if event.failed}
    allowed = wanted.keys() | {event.span_id for event in sent.uncertain if event.failed}
    for span_id, event in wanted.items():
        if span_id not in there:
            yield Violation("lost", f"{event.service} {event.number}")
    for span_id, n in there.items():
        if span_id not in allowed:
            yield Violation("never sent", span_id)
        if n > 1:
            yield Violation("doubled", f"{span_id} {n} times")


def _sums(sent: Sent, evidence: Evidence) -> Iterator[Violation]:
    """Every window of every series has counted what was sent, no more and no less."""
    counted: Counter[Count] = Counter()
    for gain in evidence.gains:
        counted[gain.service, gain.operation, gain.window, "total"] += gain.total
        counted[gain.service, gain.operation, gain.window, "errors"] += gain.errors
    least, may = _counts(sent.acknowledged), _counts(sent.uncertain)
    for key in sorted(counted.keys() | least.keys()):
        if not least[key] <= counted[key] <= least[key] + may[key]:
            yield Violation("miscounted", f"{key}: {least[key]} to {least[key] + may[key]} sent, {counted[key]} counted")


def _counts(events: Iterable[Event]) -> Counter[Count]:
    counts: Counter[Count] = Counter()
    for event in events:
        for operation in ("*", event.operation):
            counts[event.service, operation, event.window, "total"] += 1
            counts[event.service, operation, event.window, "errors"] += event.failed
    return counts


def _rows(_: Sent, evidence: Evidence) -> Iterator[Violation]:
    """No row is there twice."""
    keys: dict[str, Iterable[Hashable]] = {
        "windows": ((g.service, g.operation, g.window, g.received) for g in evidence.gains),
        "predictions": evidence.predictions,
        "ticks": evidence.ticks,
    }
    for table, rows in keys.items():
        yield from (Violation(f"row twice in {table}", f"{key} {n} times") for key, n in Counter(rows).items() if n > 1)


def _ticks(_: Sent, evidence: Evidence) -> Iterator[Violation]:
    """Every tick that the log holds was closed in its partition, and none that no partition's log holds."""
    closed: dict[int, set[int]] = defaultdict(set)
    for partition, tick in evidence.ticks:
        closed[partition].add(tick)
    anywhere = {tick for ticks in evidence.markers.values() for tick in ticks}
    for partition, ticks in evidence.markers.items():
        # What came after the last checkpoint is not in history yet; before the first marker a partition is not begun.
        newest = max(closed[partition], default=0)
        yield from (
            Violation("hole in ticks", f"partition {partition} tick {tick}")
            for tick in ticks
            if evidence.begun.get(partition, 0) < tick <= newest and tick not in closed[partition]
        )
        yield from (
            Violation("tick of nobody", f"partition {partition} tick {t}") for t in closed[partition] if t not in anywhere
        )


def _forecasts(_: Sent, evidence: Evidence) -> Iterator[Violation]:
    """From its first prediction on, every service was forecast at every tick that its partition closed."""
    closed: dict[int, set[int]] = defaultdict(set)
    for partition, tick in evidence.ticks:
        closed[partition].add(tick)
    made: dict[str, set[int]] = defaultdict(set)
    for service, operation, tick in evidence.predictions:
        if operation == "*":
            made[service].add(tick)
    for service, ticks in made.items():
        due = {tick for tick in closed[evidence.partitions[service]] if min(ticks) <= tick <= max(ticks)}
        yield from (Violation("hole in predictions", f"{service} tick {tick}") for tick in sorted(due - ticks))


def _order(_: Sent, evidence: Evidence) -> Iterator[Violation]:
    """Events of one service are in the order in which it sent them, in the log and in what became of it."""
    rows: dict[str, list[Failure]] = defaultdict(list)
    for failure in evidence.failures:
        rows[failure.service].append(failure)
    for service, found in rows.items():
        found.sort(key=lambda failure: failure.span_id)
        for one, other in pairwise(found):
            if (one.received_at_us, one.offset) > (other.received_at_us, other.offset) or one.offset > other.offset:
                yield Violation("order", f"{service}: {one} before {other}")
    for service, numbers in evidence.log.items():
        first = dict.fromkeys(numbers)  # what comes again changes nothing
        yield from (Violation("order in the log", f"{service}: {b} after {a}") for a, b in pairwise(first) if b < a)


_LOOKS: Collection[Callable[[Sent, Evidence], Iterator[Violation]]] = (_events, _sums, _rows, _ticks, _forecasts, _order)
