"""What ingest goes by, over a real log."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.pressure import LOOK_S, Pressure, PressureParts
from app.settings import StoreSettings
from app.store.sqlite import SqliteStore, open_store
from app.telemetry import Telemetry

PARTITIONS = 4


@dataclass
class Node:
    """What a node says of its worker."""

    lag: int
    held: tuple[int, ...]


@dataclass
class Stage:
    """A node that takes in, and others."""

    store: SqliteStore
    own: Node = field(default_factory=lambda: Node(0, ()))
    others: list[Node] = field(default_factory=list[Node])
    now_s: float = 0.0
    telemetry: Telemetry = field(default_factory=Telemetry)

    def __post_init__(self) -> None:
        parts = PressureParts(self.store.log, lambda: self.own.lag, lambda: frozenset(self.own.held), lambda: self.others)
        self.pressure = Pressure(parts, self.telemetry, lambda: self.now_s)

    def later(self) -> int:
        self.now_s += LOOK_S
        return self.pressure()

    def append(self, partition: int, n: int) -> None:
        self.store.log.append_many([(partition, "", b"x")] * n)


@pytest.fixture
def stage(tmp_path: Path) -> Generator[Stage]:
    settings = StoreSettings.model_validate({"partitions": PARTITIONS})
    with open_store(tmp_path, settings=settings, max_in_flight_bytes=10**6, now=lambda: datetime.now(UTC)) as store:
        yield Stage(store)


def test_the_node_that_is_furthest_behind_counts_whichever_it_is(stage: Stage) -> None:
    stage.own = Node(5, (0, 1))
    stage.others = [Node(70, (2,)), Node(30, (3,))]
    assert stage.later() == 70
    stage.own.lag = 90
    assert stage.later() == 90
    assert stage.telemetry.value("backlog_entries") == 90


def test_what_comes_into_partitions_that_nobody_holds_counts_until_somebody_does(stage: Stage) -> None:
    stage.others = [Node(0, (0, 1, 2, 3))]
    stage.append(1, 40)
    assert stage.later() == 0
    stage.others = [Node(0, (0, 3))]
    assert stage.later() == 0
    stage.append(1, 7)
    stage.append(2, 3)
    stage.append(3, 100)
    assert stage.later() == 10
    stage.others = [Node(12, (0, 1, 3))]
    assert stage.later() == 15, "of the other one only what came since"
    stage.others = [Node(0, (0, 1, 2, 3))]
    assert stage.later() == 0


def test_with_no_worker_anywhere_everything_counts(stage: Stage) -> None:
    assert stage.later() == 0
    for partition in range(PARTITIONS):
        stage.append(partition, 5)
    assert stage.later() == 20


def test_it_looks_twice_a_second_however_often_it_is_asked(stage: Stage) -> None:
    stage.own.held = tuple(range(PARTITIONS))
    assert stage.later() == 0
    stage.own.lag = 50
    stage.now_s += LOOK_S * 0.9
    assert stage.pressure() == 0
    stage.now_s += LOOK_S * 0.2
    assert stage.pressure() == 50
