"""Each built-in rule takes its secrets, leaves what only looks like one, and is quick on texts that are made to be hard."""

from __future__ import annotations

import time

import pytest

from app.own_patterns import MAX_PATTERN_S, WINDOW_CHARS
from app.pattern_probe import slowest_s
from app.redaction import Redaction
from app.redaction_settings import RedactionSettings
from app.secret_rules import REDACTED, RULES, Rule
from features.mask import zeroed
from tests.secrets import PLANTED, only

KEPT = (
    "basic authentication failed",
    "Bearer token expired",
    "unexpected token: name",
    "KeyError: 'customer'",
    "passed 3 of 4 checks",
    "risk-adjusted-return-of-2026 is off",
    "order 4111111111111112 not found",  # adds up to nothing
    "trace 5b8efff798038103d269b633813fc60c",
    "at 1700000000000000000 ns",
    "GET https://shop.example/cart?id=7",
    "user bob@example.com on 10.0.0.7",
    "sk-learn-pipelines-are-not-keys",
)


@pytest.mark.parametrize("text", KEPT)
def test_what_is_no_secret_stays(text: str) -> None:
    assert Redaction().text(text) == text


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_each_rule_takes_its_secrets_alone_and_finds_nothing_twice(rule: Rule) -> None:
    alone = Redaction(only(rule.name))
    for before, secret, after in PLANTED[rule.name]:
        redacted = alone.text(before + secret + after)
        assert secret not in redacted, redacted
        assert REDACTED in redacted
        assert alone.text(redacted) == redacted


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_match_of_a_rule_holds_one_of_its_hints(rule: Rule) -> None:
    for before, secret, after in PLANTED[rule.name]:
        match = rule.pattern.search(before + secret + after)
        assert match is not None
        text = match[0] if rule.cased else match[0].lower()
        assert not rule.hints or any(hint in text for hint in rule.hints)


@pytest.mark.parametrize("rule", [rule for rule in RULES if not rule.exact], ids=lambda rule: rule.name)
def test_which_digit_stands_where_makes_no_difference(rule: Rule) -> None:
    for before, secret, after in PLANTED[rule.name]:
        text = before + secret + after
        spans = [match.span() for match in rule.pattern.finditer(text)]
        assert [match.span() for match in rule.pattern.finditer(zeroed(text))] == spans


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_no_text_makes_a_rule_stand_still(rule: Rule) -> None:
    flags = "(?i)" if rule.pattern.flags & 2 else ""
    assert slowest_s(flags + rule.pattern.pattern, WINDOW_CHARS) < MAX_PATTERN_S


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_what_a_rule_looks_for_over_and_over_takes_no_square_of_the_length(rule: Rule) -> None:
    for hint in rule.hints or ("4",):
        for text in (hint * (2**15 // len(hint)), f"{hint}a" * (2**15 // (len(hint) + 1))):
            begun_s = time.process_time()
            rule.pattern.sub(rule.replace, text)
            assert time.process_time() - begun_s < 0.5, hint  # the square of it takes seconds, the length milliseconds


def test_rules_are_those_that_settings_switch() -> None:
    assert {rule.name for rule in RULES} <= set(RedactionSettings.model_fields)
    off = {rule.name for rule in RULES if not getattr(RedactionSettings(), rule.name)}
    assert off == {"emails", "addresses"}
