"""The store families that the contract suites run over. A new family is one line in `FAMILIES`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from app.settings import StoreSettings
from app.store.contract import Store
from app.store.jetstream import ClusterPlan, open_jetstream
from app.store.sqlite import open_store
from tests.cluster.servers import Accounts

__all__ = ["FAMILIES", "IN_FLIGHT", "LOG_BYTES", "PARTITIONS", "Clock", "OpenFamily", "Store"]

PARTITIONS = 4
IN_FLIGHT = 1_000_000
LOG_BYTES = 3_000_000


class Clock:
    """A clock that only moves when it is told to."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Return the time."""
        return self.time

    def pass_by(self, seconds: float) -> None:
        """Move on."""
        self.time += timedelta(seconds=seconds)


OpenFamily = Callable[[Path, Callable[[], datetime]], Store]


def _sqlite(folder: Path, clock: Callable[[], datetime]) -> Store:
    settings = StoreSettings.model_validate({"partitions": PARTITIONS, "log_max_bytes": LOG_BYTES})
    return open_store(folder, settings=settings, max_in_flight_bytes=IN_FLIGHT, now=clock)


@cache
def _accounts() -> Accounts:
    return Accounts()


def _jetstream(folder: Path, clock: Callable[[], datetime]) -> Store:
    plan = ClusterPlan(PARTITIONS, streams=2, replicas=1, window_s=0.001, max_in_flight_bytes=IN_FLIGHT, max_bytes=LOG_BYTES)
    return open_jetstream(_accounts().connect(folder), plan, clock)


FAMILIES: dict[str, OpenFamily] = {
    "sqlite": _sqlite,
    "jetstream": _jetstream,
}
