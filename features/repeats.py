"""What was seen before: requests that a client sent twice, and failures that are reported up to three times.

Part of a partition's checkpointed state, so that a repeat is known after a restart too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice, takewhile
from typing import Any

from features.event import ErrorRecord

__all__ = ["Repeats"]

_HOUR_TICKS = 60
_FAILURE_TICKS = 15
_MAX_KEPT = 200_000


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
        self.batches: dict[str, int] = {}
        self.failures: dict[str, tuple[int, tuple[str, ...]]] = {}  # no lists: the collector need not visit them

    def batch(self, batch_id: str, tick: int) -> bool:
        """Remember a Batch and return whether it came within the last `batch_ticks`."""
        seen = self.batches.get(batch_id)
        if seen is not None and tick - seen <= self.batch_ticks:
            return True
        self.batches.pop(batch_id, None)
        self.batches[batch_id] = tick
        return False

    def failure(self, tenant: str, record: ErrorRecord, tick: int) -> bool:
        """Remember a failure and return whether it was reported before.

        The same tenant, trace and span, and the exception type equal or absent on one side. Without
        ids nothing is a repeat.
        """
        if not (record.trace_id and record.span_id):
            return False
        key = f"{tenant}/{record.trace_id}/{record.span_id}"
        known = self.failures.get(key)
        if known is None:
            self.failures[key] = (tick, (record.exception_type,))
            return False
        seen, types = known if tick - known[0] <= self.failure_ticks else (tick, ())
        if record.exception_type in types or (types and not record.exception_type):
            return True
        if "" in types:  # the report without a type is of this failure; it cannot be of a second one too
            self.failures[key] = (seen, tuple(each or record.exception_type for each in types))
            return True
        del self.failures[key]  # the newest stands last, where `forget` finds it last
        self.failures[key] = (tick, (*types, record.exception_type))
        return False

    def forget(self, tick: int) -> None:
        """Drop what is too old to matter, and the oldest past the bound."""
        # The oldest stand first, so what is young enough need not be looked at.
        aged = takewhile(lambda seen: tick - seen[1] > self.batch_ticks, self.batches.items())
        _drop(self.batches, [key for key, _ in aged])
        old = takewhile(lambda seen: tick - seen[1][0] > self.failure_ticks, self.failures.items())
        _drop(self.failures, [key for key, _ in old])
        for kept in (self.batches, self.failures):
            _drop(kept, list(islice(kept, max(len(kept) - _MAX_KEPT, 0))))

    def snapshot(self) -> dict[str, object]:
        """Return everything as plain values."""
        return {"batches": dict(self.batches), "failures": {k: [t, list(types)] for k, (t, types) in self.failures.items()}}

    def restore(self, batches: Mapping[str, int], failures: Mapping[str, tuple[int, Sequence[str]]]) -> None:
        """Put a snapshot back."""
        self.batches = dict(batches)
        self.failures = {k: (t, tuple(types)) for k, (t, types) in failures.items()}


def _drop(kept: dict[str, Any], keys: Iterable[str]) -> None:
    for key in keys:
        del kept[key]
