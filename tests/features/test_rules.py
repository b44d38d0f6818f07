from __future__ import annotations

import pytest

from features.errors import InvalidValue
from features.event import ErrorRecord
from features.rules import DEFAULT, Rules

RECORD = ErrorRecord(
    "log",
    "seats",
    "*",
    0,
    exception_type="com.shop.SeatException",
    message="Seat 7 is taken",
    attributes={"http.response.status_code": "409", "error.type": "a::SeatTaken", "retry": "true"},
)

WHOLE = """
[[kind]]
name = "seat_taken"
category = "business"
severity = 13
retryable = true
transient = true
summary = "another customer was faster"

[[rule]]
kind = "seat_taken"
service = "seats"
message = 'seat \\d+ (is )?taken'
exception_type = "SeatException"
attributes = { "http.response.status_code" = 409, retry = true }
"""


def test_a_rule_holds_when_all_of_its_conditions_hold() -> None:
    rules = Rules.from_toml(WHOLE)
    assert rules.first(RECORD) == (1, "seat_taken")
    own = rules.kinds["seat_taken"]
    assert (own.category, own.severity, own.retryable, own.transient) == ("business", 13, True, True)


@pytest.mark.parametrize(
    "condition",
    ['service = "other"', 'message = "gone"', 'exception_type = "Exception"', 'attributes = { a = "b" }'],
)
def test_a_rule_does_not_hold_when_one_condition_fails(condition: str) -> None:
    assert Rules.from_toml(f'[[rule]]\nkind = "slow"\n{condition}').first(RECORD) is None


@pytest.mark.parametrize("name", ["com.shop.SeatException", "SeatException", "a::SeatTaken", "SeatTaken"])
def test_a_type_matches_as_a_whole_or_by_its_last_segment(name: str) -> None:
    assert Rules.from_toml(f'[[rule]]\nkind = "slow"\nexception_type = "{name}"').first(RECORD) == (1, "slow")


def test_the_first_rule_that_holds_decides() -> None:
    two = '[[rule]]\nkind = "slow"\nservice = "no"\n[[rule]]\nkind = "race"\nservice = "seats"\n[[rule]]\nkind = "dns"\nservice = "seats"'
    assert Rules.from_toml(two).first(RECORD) == (2, "race")


def test_without_rules_nothing_is_decided_and_the_built_in_kinds_are_there() -> None:
    assert DEFAULT.first(RECORD) is None
    assert Rules.from_toml("").kinds == DEFAULT.kinds


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[rule", "rules must be TOML"),
        ("[other]", "rules may hold the tables kind and rule, got other"),
        ("rule = 1", r"rule must be written \[\[rule\]\], got 1"),
        ("rule = [1]", r"rule must be written \[\[rule\]\], got \[1\]"),
        (
            '[[rule]]\nkind = "slow"\nservice = "a"\n[[rule]]\nkind = "slwo"\nservice = "a"',
            "rule 2: kind must be one of timeout, .*, got 'slwo'",
        ),
        (
            '[[rule]]\nkind = "slow"',
            "rule 1: at least one of exception_type, message, service, attributes must be given, got only kind",
        ),
        ('[[rule]]\nkind = "slow"\nmesage = "a"', "rule 1: fields must be among kind, .*, got mesage"),
        ('[[rule]]\nkind = "slow"\nmessage = "("', r"rule 1: message must be a regular expression, got '\('"),
        ('[[rule]]\nkind = "slow"\nmessage = "(a+)+b"', r"rule 1: message must not repeat a repetition, got '\(a\+\)\+b'"),
        (f'[[rule]]\nkind = "slow"\nmessage = "{"a" * 501}"', "rule 1: message must be at most 500 characters, got 501"),
        ('[[rule]]\nkind = "slow"\nservice = 3', "rule 1: service must be a text that is not empty, got 3"),
        ('[[rule]]\nkind = "slow"\nservice = ""', "rule 1: service must be a text that is not empty, got ''"),
        ('[[rule]]\nkind = "slow"\nattributes = { a = [1] }', "rule 1: attributes must be a table of texts or numbers, got"),
        (
            '[[kind]]\nname = "a b"\ncategory = "data"',
            "kind 1: name must be new, snake_case and of 1 to 64 characters, got 'a b'",
        ),
        ('[[kind]]\nname = "slow"\ncategory = "data"', "kind 1: name must be new"),
        ('[[kind]]\nname = "a"\ncategory = "weather"', "kind 1: category must be one of network, .*, got 'weather'"),
        (
            '[[kind]]\nname = "a"\ncategory = "data"\nseverity = 30',
            r"kind 1: severity must be a whole number in \[1, 24\], got 30",
        ),
        ('[[kind]]\nname = "a"\ncategory = "data"\nseverity = true', "severity must be a whole number"),
        ('[[kind]]\nname = "a"\ncategory = "data"\nretryable = "yes"', "kind 1: retryable must be true or false, got 'yes'"),
    ],
)
def test_a_bad_rule_is_refused_with_number_value_and_what_is_allowed(text: str, told: str) -> None:
    with pytest.raises(InvalidValue, match=told):
        Rules.from_toml(text)
