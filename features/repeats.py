"""What was seen before: requests that a client sent twice, and failures that are reported up to three times.

Part of a partition's checkpointed state, so that a repeat is known after a restart too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from features.event import ErrorRecord
from features.past import Past, PastState, key_of

__all__ = ["Repeats", "RepeatsState"]

_HOUR_TICKS = 60
_FAILURE_TICKS = 15
_MAX_KEPT = 131_072
"""Of one partition, 2.6 MB. At full load (700 requests/s, half a message of each and 440 failures/s for a partition: measured)
those of five minutes, for which exporters and Collectors send a request again; at a tenth of it those of the whole time."""
_MAX_NEW = 4_096  # guessed: what waits as objects, under 2 MB; to put them to those of the past takes a millisecond


@dataclass(frozen=True, slots=True)
class RepeatsState:
    """A `Repeats` as plain values.

    Parameters
    ----------
    past_batches, past_failures : PastState
        Batches and failures that were seen.
    types : sequence of sequence of str
        Exception types of failures, by their place.
    batches, failures : mapping
        Of earlier releases: ticks by Batch id; ticks and exception types by tenant, trace and span.
    """

    past_batches: PastState = field(default_factory=PastState)
    past_failures: PastState = field(default_factory=PastState)
    types: Sequence[Sequence[str]] = ()
    batches: Mapping[str, int] = field(default_factory=dict[str, int])
    failures: Mapping[str, tuple[int, Sequence[str]]] = field(default_factory=dict[str, tuple[int, Sequence[str]]])


class Repeats:
    """Recent Batch ids and recent failures of one partition.

    Parameters
    ----------
    batch_ticks, failure_ticks : int
        Ticks for which they are remembered; the defaults are an hour and a quarter of one at ticks of a minute.

    Examples
    --------
    >>> repeats = Repeats()
    >>> repeats.batch("a", 1), repeats.batch("a", 2), repeats.batch("a", 62)
    (False, True, False)
    """

    def __init__(self, batch_ticks: int = _HOUR_TICKS, failure_ticks: int = _FAILURE_TICKS) -> None:
        self.batch_ticks = batch_ticks
        self.failure_ticks = failure_ticks
        self._batches: dict[int, tuple[int, None]] = {}
        self._failures: dict[int, tuple[int, tuple[str, ...]]] = {}  # no lists: the collector need not visit them
        self._past_batches = Past[None](_MAX_KEPT)
        self._past_failures = Past[tuple[str, ...]](_MAX_KEPT)

    def __len__(self) -> int:
        """Return how many Batches and failures are remembered; one that came again may count twice until it is packed."""
        return len(self._batches) + len(self._past_batches) + len(self._failures) + len(self._past_failures)

    def batch(self, batch_id: str, tick: int) -> bool:
        """Remember a Batch and return whether it came within the last `batch_ticks`."""
        key = key_of(batch_id)
        seen = self._batches.get(key) or self._past_batches.find(key)
        if seen is not None and tick - seen[0] <= self.batch_ticks:
            return True
        self._batches[key] = tick, None
        if len(self._batches) >= _MAX_NEW:
            self._pack()
        return False

    def failure(self, tenant: str, record: ErrorRecord, tick: int) -> bool:
        """Remember a failure and return whether it was reported before.

        The same tenant, trace and span, and the exception type equal or absent on one side. Without
        ids nothing is a repeat.
        """
        if not (record.trace_id and record.span_id):
            return False
        key = key_of(f"{tenant}/{record.trace_id}/{record.span_id}")
        known = self._failures.get(key) or self._past_failures.find(key)
        seen, types = known if known is not None and tick - known[0] <= self.failure_ticks else (tick, ())
        if record.exception_type in types or (types and not record.exception_type):
            return True
        if "" in types:  # the report without a type is of this failure; it cannot be of a second one too
            self._failures[key] = (seen, tuple(each or record.exception_type for each in types))
            return True
        self._failures[key] = (tick, (*types, record.exception_type))
        if len(self._failures) >= _MAX_NEW:
            self._pack()
        return False

    def forget(self, tick: int) -> None:
        """Drop what is too old to matter, and the oldest past the bound."""
        self._pack()
        self._past_batches.forget(tick - self.batch_ticks)
        self._past_failures.forget(tick - self.failure_ticks)

    def snapshot(self) -> RepeatsState:
        """Return everything as plain values."""
        self._pack()
        batches, _ = self._past_batches.snapshot()
        failures, types = self._past_failures.snapshot()
        return RepeatsState(batches, failures, types)

    def restore(self, state: RepeatsState) -> None:
        """Put a snapshot back."""
        self._past_batches.restore(state.past_batches, [None])
        self._past_failures.restore(state.past_failures, [tuple(types) for types in state.types])
        self._batches = {key_of(name): (tick, None) for name, tick in state.batches.items()}
        self._failures = {key_of(name): (tick, tuple(types)) for name, (tick, types) in state.failures.items()}
        self._pack()

    def _pack(self) -> None:
        self._past_batches.add(self._batches)
        self._past_failures.add(self._failures)
        self._batches, self._failures = {}, {}
