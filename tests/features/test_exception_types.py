from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features import exception_types
from features.exception_types import kind_of_type, stem
from features.taxonomy import KINDS


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("*errors.errorString", "errorstring"),
        ("System.Collections.Generic.Dictionary`2[System.String]", "dictionary"),
        ("com.a.Outer$InnerException", "inner"),
        ("Foo::BarError", "bar"),
        ("RATE_LIMITED", "ratelimited"),
        ("", ""),
        ("...", ""),
    ],
)
def test_a_stem_is_the_last_segment_without_its_ending(name: str, found: str) -> None:
    assert stem(name) == found


@pytest.mark.parametrize(
    "name", ["Exception", "java.lang.RuntimeException", "*errors.errorString", "Error", "", "com.acme.Oops"]
)
def test_a_generic_name_says_nothing(name: str) -> None:
    assert kind_of_type(name) == ("", False)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("com.acme.OrderConflictException", "conflict"),
        ("CustomerNotFoundError", "not_found"),
        ("VendorRateLimitError", "rate_limited"),
        ("LegacyXmlParsingException", "malformed_data"),
        ("UserForbiddenException", "permission_denied"),
        ("InventoryServiceUnavailable", "dependency_unavailable"),
    ],
)
def test_a_name_of_ones_own_is_known_by_its_telling_word(name: str, kind: str) -> None:
    assert kind_of_type(name) == (kind, True)


def test_every_entry_of_the_tables_names_a_kind_and_is_reduced_to_a_stem() -> None:
    tables = (exception_types._BY_STEM, exception_types._WEAK_BY_STEM, exception_types._FULL)  # pyright: ignore[reportPrivateUsage]
    assert {kind for table in tables for kind in table.values()} <= set(KINDS)
    assert {kind for _, kind in exception_types._PARTS} <= set(KINDS)  # pyright: ignore[reportPrivateUsage]
    assert [word for table in tables[:2] for word in table if stem(word) != word] == []


def test_no_name_is_in_two_tables() -> None:
    assert not set(exception_types._BY_STEM) & set(exception_types._WEAK_BY_STEM)  # pyright: ignore[reportPrivateUsage]
    words = [word for row in exception_types._STEMS.values() for word in row.split()]  # pyright: ignore[reportPrivateUsage]
    assert sorted({word for word in words if words.count(word) > 1}) == []


@given(st.text())
def test_any_name_has_an_answer(name: str) -> None:
    kind, _ = kind_of_type(name)
    assert kind in KINDS or kind == ""
