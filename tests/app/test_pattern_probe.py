"""Texts that are made to be hard for an expression."""

from __future__ import annotations

from app.pattern_probe import probes, slowest_s


def test_probes_are_as_long_as_asked_and_repeat_what_the_expression_names() -> None:
    found = list(probes(r"cust-(ab)+", 64))
    assert {len(text) for text in found} == {64}
    assert any(text.startswith("abab") for text in found)
    assert any(text.startswith("cust-aaa") for text in found)


def test_an_expression_of_a_square_takes_longer_than_one_of_a_line() -> None:
    assert slowest_s(r"\d+\d+\d+x", 512) > 10 * slowest_s(r"\dx", 512)
