"""Keys of series, and which partition a service belongs to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import InvalidValue
from features.series import SeriesKey, partition_of


@given(tenant=st.text(), name=st.text(), n_partitions=st.integers(1, 1024))
def test_partition_is_within_bounds_and_depends_on_nothing_else(tenant: str, name: str, n_partitions: int) -> None:
    partition = partition_of(tenant, name, n_partitions)
    assert 0 <= partition < n_partitions
    assert partition_of(tenant, name, n_partitions) == partition


def test_partition_never_changes_between_releases() -> None:
    # Worked out from the definition, blake2b-64 big-endian modulo 8: a change would orphan every data folder.
    assert [partition_of("default", name, 8) for name in ("payment", "web", "orders")] == [7, 1, 1]


def test_tenant_is_part_of_the_partition() -> None:
    assert len({partition_of(f"tenant-{i}", "web", 1024) for i in range(50)}) > 40


def test_lone_surrogates_in_a_name_do_no_harm() -> None:
    assert 0 <= partition_of("default", "\ud800", 8) < 8


def test_services_spread_over_the_partitions() -> None:
    counts = [0] * 8
    for i in range(800):
        counts[partition_of("default", f"service-{i}", 8)] += 1
    assert min(counts) > 60
    assert max(counts) < 145


@pytest.mark.parametrize("parts", [("", "web", "*"), ("default", "", "*"), ("default", "web", "")])
def test_key_with_an_empty_part_is_refused(parts: tuple[str, str, str]) -> None:
    with pytest.raises(InvalidValue, match="must not be empty"):
        SeriesKey(*parts)


def test_keys_sort_by_tenant_first() -> None:
    keys = [SeriesKey("b", "a", "*"), SeriesKey("a", "z", "*"), SeriesKey("a", "b", "*")]
    assert [str(key) for key in sorted(keys)] == ["a/b/*", "a/z/*", "b/a/*"]
