from __future__ import annotations

import pytest

from features.errors import InvalidValue
from features.taxonomy import CATEGORIES, KINDS, UNKNOWN, Kind, kind

ASKED_FOR = [
    "timeout",
    "connection_refused",
    "connection_reset",
    "dns",
    "tls",
    "malformed_data",
    "validation",
    "schema_mismatch",
    "bad_configuration",
    "missing_secret",
    "business_rule",
    "permission_denied",
    "unauthenticated",
    "rate_limited",
    "quota_exceeded",
    "dependency_unavailable",
    "bad_upstream_response",
    "out_of_memory",
    "disk_full",
    "pool_exhausted",
    "handle_exhaustion",
    "deadlock",
    "race",
    "lock_timeout",
    "slow",
    "overload",
    "version_mismatch",
    "api_incompatible",
    "export_failed",
    "pipeline_failed",
    "crash",
    "not_found",
    "duplicate",
    "conflict",
    "cancelled",
    "data_loss",
    "integrity",
    "assertion",
    "null_reference",
    "unknown",
]


def test_there_are_13_categories_and_each_has_a_kind() -> None:
    assert len(set(CATEGORIES)) == 13
    assert {row.category for row in KINDS.values()} == {*CATEGORIES, UNKNOWN}


@pytest.mark.parametrize("name", ASKED_FOR)
def test_every_kind_that_engineers_expect_is_there(name: str) -> None:
    assert kind(name).summary


def test_only_unknown_has_no_category_of_the_13() -> None:
    assert [row.name for row in KINDS.values() if row.category not in CATEGORIES] == [UNKNOWN]


def test_names_and_summaries_are_unique() -> None:
    assert len({row.summary for row in KINDS.values()}) == len(KINDS)
    assert all(name == row.name for name, row in KINDS.items())


def test_what_passes_by_itself_can_be_retried() -> None:
    assert all(row.retryable for row in KINDS.values() if row.transient)


@pytest.mark.parametrize(
    ("name", "category", "severity", "told"),
    [
        ("a", "weather", 17, "category of kind 'a' must be one of network, .*, got 'weather'"),
        ("a", "unknown", 17, "got 'unknown'"),
        ("a", "data", 25, r"severity of kind 'a' must be in \[1, 24\], got 25"),
    ],
)
def test_a_kind_checks_itself(name: str, category: str, severity: int, told: str) -> None:
    with pytest.raises(InvalidValue, match=told):
        Kind(name, category, severity, retryable=False, transient=False, summary="x")


def test_an_unknown_name_is_answered_with_those_that_exist() -> None:
    with pytest.raises(InvalidValue, match=r"kind must be one of timeout, .*, got 'tmieout'"):
        kind("tmieout")
