"""What is let in."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, Gauge

from app.ingest.admit import (
    FallenBehind,
    Room,
    RoomFull,
    TenantRoomFull,
    UnknownContentType,
    admit_encoding,
    admit_lag,
    admit_tenant,
    limit_of,
)
from features.errors import InvalidValue, MalformedBody, Overloaded, StoreFailed


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/grpc", "application/jsonl", "x" * 5000])
def test_another_content_type_is_unknown(content_type: str) -> None:
    with pytest.raises(UnknownContentType, match="content type must be application/x-protobuf or application/json"):
        admit_encoding(content_type)


@pytest.mark.parametrize("tenant", ["a b", "a/b", "é", "x" * 129, "a\n", "*"])
def test_a_tenant_that_could_be_another_key_is_refused(tenant: str) -> None:
    with pytest.raises(InvalidValue, match="X-Scope-OrgID"):
        admit_tenant(tenant, "default")


def test_room_is_bounded_and_comes_back() -> None:
    registry = CollectorRegistry()
    room = Room(100, Gauge("held", "Held.", registry=registry))
    with room.hold() as first:
        first.grow_to(60)
        first.grow_to(50)
        with room.hold() as second, pytest.raises(RoomFull, match="bytes in flight must be <= 100, got 110"):
            second.grow_to(50)
        assert registry.get_sample_value("held") == 60
    with room.hold() as third:
        third.grow_to(100)
    assert registry.get_sample_value("held") == 0


def test_one_tenant_leaves_room_for_the_others() -> None:
    room = Room(100, Gauge("held", "Held.", registry=CollectorRegistry()), max_tenant_bytes=60)
    with room.hold("a") as first, room.hold("b") as other:
        first.grow_to(60)
        with room.hold("a") as second, pytest.raises(TenantRoomFull, match="of a tenant must be <= 60, got 61"):
            second.grow_to(1)
        other.grow_to(40)
        with room.hold("c") as third, pytest.raises(RoomFull):
            third.grow_to(1)
    with room.hold("a") as again:
        again.grow_to(60)


def test_bounds_let_in_what_just_fits() -> None:
    admit_lag(5, 5)
    with pytest.raises(FallenBehind, match="not yet absorbed must be <= 5, got 6"):
        admit_lag(6, 5)


def test_what_no_limit_refused_names_none() -> None:
    assert [limit_of(error) for error in (StoreFailed(""), MalformedBody(""), Overloaded(""))] == ["", "", "log_bytes"]
