"""Small builders and comparisons that the tests share; each test states only what matters to it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from math import isnan

import numpy as np

from app.store.contract import Entry
from features.batch import Batch, Level

__all__ = ["ListLog", "same_batch"]

ARRAYS = ("group_series", "group_time_s", "counts", "histogram", "end_trace", "end_span", "end_service", "end_role")
VALUES = (
    "signal",
    "n_records",
    "series",
    "errors",
    "calls",
    "services",
    "presences",
    "durations",
    "counters",
    "rejected",
    "reason",
)


def same_batch(one: Batch, other: Batch) -> bool:
    """Return whether two Batches say the same, NaN equal to NaN."""
    return (
        all(getattr(one, name) == getattr(other, name) for name in VALUES)
        and all(np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True) for name in ARRAYS)
        and len(one.levels) == len(other.levels)
        and all(map(_same_level, one.levels, other.levels))
    )


def _same_level(one: Level, other: Level) -> bool:
    return (one.service, one.name, one.time_ns) == (other.service, other.name, other.time_ns) and (
        one.value == other.value or (isnan(one.value) and isnan(other.value))
    )


class ListLog:
    """A Log in memory: lists by partition, nothing durable."""

    def __init__(self, n_partitions: int = 8) -> None:
        self.n_partitions = n_partitions
        self.partitions: list[list[Entry]] = [[] for _ in range(n_partitions)]

    def append(self, partition: int, batch_id: str, data: bytes) -> int:
        """Append a message and return its offset."""
        return self.append_many([(partition, batch_id, data)])[0]

    def append_many(self, messages: Sequence[tuple[int, str, bytes]]) -> list[int]:
        """Append messages and return their offsets."""
        offsets: list[int] = []
        for partition, _, data in messages:
            offsets.append(len(self.partitions[partition]) + 1)
            self.partitions[partition].append(Entry(offsets[-1], data))
        return offsets

    def append_later(self, messages: Sequence[tuple[int, str, bytes]]) -> Future[list[int]]:
        """Append messages and return their offsets in a future that is done."""
        done: Future[list[int]] = Future()
        done.set_result(self.append_many(messages))
        return done

    def read(self, partition: int, after: int, limit: int = 1024) -> list[Entry]:
        """Return the entries behind an offset."""
        return self.partitions[partition][after : after + limit]

    def end(self, partition: int) -> int:
        """Return the last offset."""
        return len(self.partitions[partition])

    def waiting(self, partition: int, after: int) -> int:
        """Return how many entries lie behind an offset."""
        return max(0, len(self.partitions[partition]) - after)

    def trim(self, partition: int, through: int) -> None:
        """Forget nothing: offsets are list positions."""

    def size(self) -> int:
        return 0

    def fullness(self, partition: int) -> float:
        return 0.0

    def wait(self, timeout_s: float) -> bool:
        """Return whether anything is there."""
        return timeout_s >= 0 and any(self.partitions)
