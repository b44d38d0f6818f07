"""Whether matchers fit labels."""

from __future__ import annotations

import pytest

from app.alerts.labels import admits, matchers_of
from app.cache.alert_records import MatcherRecord


@pytest.mark.parametrize(
    ("pattern", "value", "fits"),
    [
        ("GET /users/[id]*", "GET /users/[id]/orders", True),
        ("GET /users/[id]*", "GET /users/i/orders", False),
        ("GET /a?b*", "GET /aXb", False),
        ("GET /a?b*", "GET /a?b=1", True),
        ("a*\nb", "a\n\nb", True),
        ("*[*", "x[y", True),
        ("", "", True),
        ("*", "", True),
    ],
)
def test_a_star_is_the_only_character_of_a_pattern_that_stands_for_others(pattern: str, value: str, fits: bool) -> None:
    assert admits((MatcherRecord("operation", pattern),), {"operation": value}) == fits


def test_all_matchers_must_fit_and_an_absent_label_is_empty() -> None:
    both = matchers_of({"service": "pay*", "operation": "!GET *"})
    assert admits(both, {"service": "payment", "operation": "POST /charge"})
    assert not admits(both, {"service": "payment", "operation": "GET /charge"})
    assert not admits(both, {"operation": "POST /charge"})
    assert admits(matchers_of({"zone": ""}), {})


def test_a_name_with_brackets_fits_itself() -> None:
    assert admits(matchers_of({"operation": "GET /items/[id]"}), {"operation": "GET /items/[id]"})
