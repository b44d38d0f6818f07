"""The power of all machines goes at once: what was acknowledged is there, and nothing of it twice.

That these disks lose what is not synced is shown by servers that do not write through, which lose what they acknowledged.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from app.history.delta import DeltaHistory
from app.history.tables import rows_schema
from app.settings import StoreSettings
from app.store.jetstream import ClusterPlan, open_jetstream
from app.store.sqlite import SqliteStore, open_store
from features.errors import ForeshockError
from tests.cluster.invariants import summary
from tests.cluster.nodes import Shape
from tests.cluster.power import Disk, can_lose_power
from tests.cluster.servers import Servers
from tests.cluster.session import Session

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

PLAN = ClusterPlan(partitions=2, streams=1, replicas=1)
ENTRIES = 300

MakeDisk = Callable[[Path], Disk]


@pytest.fixture
def make_disk(tmp_path: Path) -> Generator[MakeDisk]:
    reason = can_lose_power(tmp_path)
    if reason:
        pytest.skip(f"needs root and loop devices: {reason}")
    disks: list[Disk] = []

    def made(place: Path) -> Disk:
        disks.append(Disk(tmp_path / f"disk{len(disks)}.img", place))
        return disks[-1]

    yield made
    for disk in disks:
        disk.close()


@pytest.mark.parametrize(("sync", "all_there"), [("always", True), ("2m", False)])
def test_a_server_that_writes_through_keeps_what_it_acknowledged(
    tmp_path: Path, make_disk: MakeDisk, sync: str, all_there: bool
) -> None:
    disk = make_disk(tmp_path / "data0")
    with closing(Servers(tmp_path, 1, sync)) as servers:
        with closing(open_jetstream({"servers": servers.urls}, PLAN, lambda: datetime.now(UTC))) as store:
            acknowledged = {store.log.append(0, f"{n}", b"%d" % n) for n in range(ENTRIES)}
            servers.pause(0)
            disk.keep()
            servers.kill(0)
            disk.lose()
            servers.start(0)
        there: set[int] = set()
        with (
            suppress(ForeshockError),
            closing(open_jetstream({"servers": servers.urls}, PLAN, lambda: datetime.now(UTC))) as store,
        ):
            there = {entry.offset for entry in store.log.read(0, 0, 2 * ENTRIES)}
    assert (acknowledged <= there) == all_there, f"{len(acknowledged & there)} of {len(acknowledged)} are there"


def test_a_data_folder_keeps_what_it_acknowledged(tmp_path: Path, make_disk: MakeDisk) -> None:
    disk = make_disk(tmp_path / "disk")

    def opened() -> SqliteStore:
        return open_store(disk.place, settings=StoreSettings(), max_in_flight_bytes=2**28, now=lambda: datetime.now(UTC))

    with opened() as store:
        acknowledged = [store.log.append(0, f"{n}", b"%d" % n) for n in range(ENTRIES)]
        disk.keep()
    disk.lose()
    with opened() as store:
        assert [entry.offset for entry in store.log.read(0, 0, 2 * ENTRIES)] == acknowledged


@pytest.mark.parametrize("optimise", [False, True])
def test_history_keeps_what_it_appended(tmp_path: Path, make_disk: MakeDisk, optimise: bool) -> None:
    disk = make_disk(tmp_path / "disk")
    history = DeltaHistory(disk.place / "history")
    row = dict.fromkeys(rows_schema("facts").names) | {"window": 60, "partition": 0}
    for offset in range(1, 4):
        history.append({"facts": pa.Table.from_pylist([row | {"offset": offset}], rows_schema("facts"))}, {0: offset})
        if optimise:
            history.optimise(retention_hours=0)
        disk.keep()
        disk.lose()
        history = DeltaHistory(disk.place / "history")
        assert sorted(history.read("facts")["offset"].to_pylist()) == list(range(1, offset + 1))


def test_nothing_is_lost_and_nothing_counts_twice_when_all_machines_lose_power(tmp_path: Path, make_disk: MakeDisk) -> None:
    disks = [make_disk(tmp_path / "servers" / f"data{number}") for number in range(3)]
    disks += [make_disk(tmp_path / "history"), make_disk(tmp_path / "node0" / "data")]
    with Session(
        tmp_path, Shape(log_bytes=2**26), random.Random(1)
    ) as session:  # servers want room for all of it on their disks
        cluster = session.cluster
        for _ in range(2):
            time.sleep(3.0 * session.shape.checkpoint_s)
            for node in cluster.nodes:
                node.pause()
            for number in range(3):
                cluster.servers.pause(number)
            for disk in disks:
                disk.keep()
            for node in cluster.nodes:
                node.kill()
            for number in range(3):
                cluster.servers.kill(number)
            for disk in disks:
                disk.lose()
            healed, healed_at = time.monotonic(), time.time()
            cluster.heal()
            session.until(lambda: session.resumed(healed, healed_at) is not None, "predictions after the power came back")  # noqa: B023 - called at once
            found = session.check()
            assert not found, summary(found)
        found = session.compare()
        assert not found, summary(found)
