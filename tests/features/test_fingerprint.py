from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import InvalidValue, SnapshotMismatch
from features.fingerprint import MIN_VARIANTS, Templates, fingerprint

WORDS = st.sampled_from(
    [
        "order",
        "cart",
        "user",
        "failed",
        "refused",
        "for",
        "alice",
        "bob",
        "carol",
        "dave",
        "eve",
        "mallory",
        "17",
        "db1",
        "at",
        "in",
        "<*>",
    ]
)
MESSAGES = st.lists(WORDS, min_size=0, max_size=7).map(" ".join)
NAMES = ("alice", "bob", "carol", "dave", "eve", "mallory", "trent", "victor")


def test_messages_that_differ_in_masked_values_share_a_template() -> None:
    templates = Templates()
    assert templates.add("order 17 not paid") == templates.add("order 18 not paid")
    assert len(templates) == 1


def test_a_word_that_takes_many_values_becomes_a_variable_of_the_oldest_template() -> None:
    templates = Templates()
    ids = [templates.add(f"login of {name} was refused") for name in NAMES]
    first = ids[0]
    assert len(set(ids[: MIN_VARIANTS - 1])) == MIN_VARIANTS - 1
    assert ids[MIN_VARIANTS - 1 :] == [first] * (len(NAMES) - MIN_VARIANTS + 1)
    assert templates.template(first) == "login of <*> was refused"
    assert templates.count(first) == 1 + len(NAMES) - MIN_VARIANTS + 1


def test_a_word_joins_at_once_where_a_like_template_has_a_masked_value() -> None:
    templates = Templates()
    masked = templates.add("cannot reach node db1 in time")
    assert templates.add("cannot reach node primary in time") == masked


def test_short_messages_never_generalise() -> None:
    templates = Templates()
    assert len({templates.add(f"{name} refused") for name in NAMES}) == len(NAMES)


def test_the_key_stays_while_the_template_generalises() -> None:
    templates = Templates()
    first = templates.add("login of alice was refused")
    key = templates.key(first)
    for name in NAMES:
        templates.add(f"login of {name} was refused")
    assert templates.key(first) == key
    assert templates.template(first) != "login of alice was refused"


def test_a_forgotten_template_returns_under_another_id_and_the_same_key() -> None:
    templates = Templates(max_templates=8)
    first = templates.add("zero happened")
    key = templates.key(first)
    for name in NAMES:
        templates.add(f"{name} happened")
    assert templates.template(first) == "<*>"
    assert templates.count(first) == 0
    with pytest.raises(InvalidValue, match="template id must be one of 8 in memory, got 1"):
        templates.key(first)
    again = templates.add("zero happened")
    assert again != first
    assert templates.key(again) == key


def test_a_forgotten_variant_no_longer_counts_towards_a_variable() -> None:
    templates = Templates(max_templates=MIN_VARIANTS - 2)
    ids = [templates.add(f"login of {name} was refused") for name in NAMES]
    assert len(set(ids)) == len(NAMES)
    assert "<*>" not in templates.template(ids[-1])


def test_what_is_used_is_not_forgotten() -> None:
    templates = Templates(max_templates=4)
    kept = templates.add("heartbeat lost")
    for name in NAMES:
        templates.add(f"{name} happened")
        assert templates.add("heartbeat lost") == kept


@pytest.mark.parametrize("number", [0, -1, 2])
def test_an_id_that_was_never_given_is_refused(number: int) -> None:
    templates = Templates()
    templates.add("a")
    with pytest.raises(InvalidValue, match=rf"template id must be in \[1, 1\], got {number}"):
        templates.template(number)


@given(st.lists(MESSAGES, max_size=40), st.integers(1, 12))
def test_templates_are_bounded_and_ids_never_return(messages: list[str], bound: int) -> None:
    templates = Templates(max_templates=bound)
    seen = 0
    for message in messages:
        number = templates.add(message)
        assert 0 < number <= seen + 1
        seen = max(seen, number)
        assert len(templates) <= bound
        assert templates.key(number)


@given(st.lists(MESSAGES, max_size=60), st.lists(MESSAGES, max_size=60), st.integers(2, 30))
@settings(deadline=None)
def test_ids_are_the_same_after_snapshot_and_restore(before: list[str], after: list[str], bound: int) -> None:
    templates = Templates(max_templates=bound)
    for message in before:
        templates.add(message)
    restored = Templates.restore(templates.snapshot())
    assert [restored.add(message) for message in after] == [templates.add(message) for message in after]
    assert restored.snapshot() == templates.snapshot()


@given(st.text())
def test_any_text_has_a_template(text: str) -> None:
    templates = Templates()
    assert templates.template(templates.add(text)) is not None
    assert templates.add(text) == 1


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "cannot be read"),
        (b"[]", "cannot be read"),
        (b"{}", "cannot be read"),
        (json.dumps({"version": 0}).encode(), "must have version 1, got 0"),
    ],
)
def test_a_foreign_snapshot_is_refused(data: bytes, told: str) -> None:
    with pytest.raises(SnapshotMismatch, match=told):
        Templates.restore(data)


def test_every_part_of_a_fingerprint_counts() -> None:
    stack = "  at shop.Cart.add(Cart.java:42)"
    base = ("cart", "timeout", "TimeoutError", "b1", stack)
    prints = {fingerprint(*base)}
    for place in range(5):
        prints.add(fingerprint(*[part + "x" if at == place else part for at, part in enumerate(base)]))
    assert len(prints) == 6


def test_a_fingerprint_does_not_know_lines_or_addresses() -> None:
    one = fingerprint("cart", "timeout", "", "b1", "  at shop.Cart.add(Cart.java:42)")
    assert one == fingerprint("cart", "timeout", "", "b1", "  at shop.Cart.add(Cart.java:57)")
