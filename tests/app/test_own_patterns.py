"""Expressions of the settings become rules, or are refused with the reason."""

from __future__ import annotations

import re

import pytest

from app.own_patterns import MAX_PATTERN_CHARS, own_rules
from features.errors import InvalidSetting


def test_only_the_group_secret_goes_where_there_is_one() -> None:
    with_group, without = own_rules({"customers": r"customer (?P<secret>\d{6})", "plates": r"\b[A-Z]{2}-\d{4}\b"})
    assert with_group.pattern.sub(with_group.replace, "customer 123456, customer 7") == "customer REDACTED, customer 7"
    assert without.pattern.sub(without.replace, "car XY-1234 left") == "car REDACTED left"


def test_a_group_that_took_no_part_takes_the_whole_match() -> None:
    [rule] = own_rules({"either": r"id=(?P<secret>\d+)|ticket \d+"})
    assert rule.pattern.sub(rule.replace, "ticket 12 id=7") == "REDACTED id=REDACTED"


@pytest.mark.parametrize("pattern", [r"(a+)+$", r"(\w+\s?)*!", r"(x+x+)+y", r"id=(\d+)*z", r"\s+\s+\s+end"])
def test_an_expression_that_a_text_makes_stand_still_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidSetting, match=r"security\.redaction\.patterns\.slow: must take <= 0\.1 s"):
        own_rules({"slow": pattern})


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(", "is no regular expression"),
        ("a*", "matches an empty text"),
        ("", "1 to 1000"),
        ("a" * (MAX_PATTERN_CHARS + 1), "got 1001"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(pattern: str, why: str) -> None:
    with pytest.raises(InvalidSetting, match=re.escape("security.redaction.patterns.mine") + f".*{why}"):
        own_rules({"mine": pattern})
