"""Rows of series, and what happens at their limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.directory import Directory
from features.errors import InvalidValue
from features.series import OTHER, WHOLE, SeriesKey


def names(directory: Directory) -> list[str]:
    return [str(key) for key in directory.keys]


def test_operations_past_the_quota_share_a_row() -> None:
    directory = Directory(max_operations=2)
    rows = [directory.row("a", "web", f"GET /{i}", 0) for i in range(5)]
    assert rows == [1, 2, 3, 3, 3]
    assert names(directory) == ["a/web/*", "a/web/GET /0", "a/web/GET /1", f"a/web/{OTHER}"]
    assert directory.folded == 3
    assert directory.operations("a", "web") == ["GET /0", "GET /1", OTHER]


def test_known_operation_keeps_its_row_when_the_quota_is_full() -> None:
    directory = Directory(max_operations=1)
    first = directory.row("a", "web", "GET /", 0)
    directory.row("a", "web", "PUT /", 0)
    assert directory.row("a", "web", "GET /", 0) == first
    assert directory.folded == 1


def test_quotas_are_those_of_a_service_of_a_tenant() -> None:
    directory = Directory(max_operations=1)
    for tenant, service in (("a", "web"), ("a", "cart"), ("b", "web")):
        directory.row(tenant, service, "GET /", 0)
    assert directory.folded == 0


def test_service_is_refused_where_no_row_is_left() -> None:
    directory = Directory(max_series=1)
    assert directory.row("a", "web", WHOLE, 0) == 0
    assert directory.row("a", "cart", WHOLE, 0) is None
    assert directory.row("a", "cart", "GET /", 0) is None
    assert directory.refused == 2
    assert len(directory) == 1


def test_operation_counts_for_its_service_where_no_row_is_left() -> None:
    directory = Directory(max_operations=1, max_series=2)
    assert directory.row("a", "web", "GET /", 0) == 1
    assert directory.row("a", "web", "PUT /", 0) == 0
    assert directory.row("a", "web", OTHER, 0) == 0
    assert (directory.folded, directory.refused) == (1, 2)


def test_sender_of_the_reserved_name_takes_no_quota() -> None:
    directory = Directory(max_operations=1)
    assert [directory.row("a", "web", name, 0) for name in (OTHER, "GET /", "PUT /")] == [1, 2, 1]


@pytest.mark.parametrize(("max_operations", "max_series"), [(0, 1), (1, 0)])
def test_bounds_must_be_positive(max_operations: int, max_series: int) -> None:
    with pytest.raises(InvalidValue, match="must be >= 1"):
        Directory(max_operations, max_series)


def test_restored_key_keeps_its_row_though_the_quota_shrank() -> None:
    directory = Directory(max_operations=1, max_series=1)
    keys = [SeriesKey("a", "web", name) for name in (WHOLE, "GET /", "PUT /", OTHER)]
    assert [directory.restore(key, 3) for key in keys] == [0, 1, 2, 3]
    assert [directory.restore(key, 3) for key in keys] == [0, 1, 2, 3]
    assert directory.partition.tolist() == [3, 3, 3, 3]
    assert directory.row("a", "web", "HEAD /", 3) == 3


def test_restored_operation_needs_its_service_first() -> None:
    with pytest.raises(InvalidValue, match="a/web/GET / came before its whole service"):
        Directory().restore(SeriesKey("a", "web", "GET /"), 0)


@given(
    asked=st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), st.sampled_from(["*", "_other", "1", "2", "3"]))),
    max_operations=st.integers(1, 3),
    max_series=st.integers(1, 9),
)
def test_rows_stay_within_bounds_and_belong_to_their_tenant_and_service(
    asked: list[tuple[str, str, str]], max_operations: int, max_series: int
) -> None:
    directory = Directory(max_operations, max_series)
    for tenant, service, operation in asked:
        row = directory.row(tenant, service, operation, partition=1)
        if row is None:
            assert directory.find(tenant, service) is None
            continue
        key = directory.keys[row]
        assert (key.tenant, key.service) == (tenant, service)
        assert key.operation in (operation, OTHER, WHOLE)
        assert directory.keys[directory.whole[row]] == SeriesKey(tenant, service, WHOLE)
        assert directory.find(tenant, service, key.operation) == row
    assert len(directory) <= max_series
    assert directory.is_whole.tolist() == [key.operation == WHOLE for key in directory.keys]
    for tenant, service in {(t, s) for t, s, _ in asked}:
        assert len(set(directory.operations(tenant, service)) - {OTHER}) <= max_operations


def test_one_tenant_leaves_room_for_the_others() -> None:
    directory = Directory(max_series=10, max_series_per_tenant=3)
    assert [directory.row("a", f"s{i}", WHOLE, 0) for i in range(5)] == [0, 1, 2, None, None]
    assert directory.row("a", "s0", "GET /", 0) == 0, "the service's own counts stay complete"
    assert directory.refused == 3
    assert directory.row("b", "web", "GET /", 0) == 4


def test_restored_rows_count_towards_their_tenants_quota() -> None:
    directory = Directory(max_series_per_tenant=1)
    directory.restore(SeriesKey("a", "web", WHOLE), 0)
    assert directory.row("a", "cart", WHOLE, 0) is None
    assert directory.row("b", "cart", WHOLE, 0) == 1
