"""Who decides for a tenant: exactly one of the nodes that share its services."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from app.cache.documents import tenant_key
from app.home import Home, everywhere
from app.settings import StoreSettings
from app.store.contract import Document
from app.store.sqlite import open_store
from app.store.watched import Change, WatchedBucket
from features.series import partition_of

PARTITIONS = 8
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


def watched(tenant: str, services: list[str]) -> WatchedBucket:
    watch = WatchedBucket(lambda: 0.0, lambda _: None)
    keys = [tenant_key(tenant, service) for service in services]
    watch.apply([Change("services", key, Document(key, b"", 1), None) for key in keys])
    return watch


@given(
    tenant=names, services=st.lists(names, min_size=1, max_size=6), owner=st.lists(st.integers(0, 2), min_size=8, max_size=8)
)
def test_exactly_the_holder_of_the_lowest_partition_of_a_service_is_home(
    tenant: str, services: list[str], owner: list[int]
) -> None:
    watch = watched(tenant, services)
    lowest = min(partition_of(tenant, service, PARTITIONS) for service in services)
    homes = [Home(watch, PARTITIONS, lambda n, node=node: owner[n] == node) for node in range(3)]
    for _ in range(2):  # as remembered too
        assert [home(tenant) for home in homes] == [node == owner[lowest] for node in range(3)]


def test_home_moves_with_services_that_come_and_go(tmp_path: Path) -> None:
    by_partition = {partition_of("red", f"s{n}", PARTITIONS): f"s{n}" for n in range(200)}
    assert set(by_partition) == set(range(PARTITIONS))
    with open_store(tmp_path, settings=StoreSettings(), max_in_flight_bytes=2**20, now=lambda: datetime.now(UTC)) as store:
        documents, held = store.documents, {2}
        home = Home(documents.watch("services"), PARTITIONS, held.__contains__)
        assert not home("red"), "nobody decides for a tenant without services"
        documents.put("services", tenant_key("red", by_partition[2]), b"")
        assert home("red")
        assert not home("blue")
        documents.put("services", tenant_key("red", by_partition[1]), b"")
        assert not home("red")
        held |= {1}
        assert home("red")
        held -= {1}
        documents.delete("services", tenant_key("red", by_partition[1]))
        assert home("red")


def test_one_node_is_home_of_all() -> None:
    assert everywhere("anybody")
