from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features import messages
from features.messages import MAX_CHARS, kind_of_message
from features.taxonomy import KINDS


def test_every_row_names_a_kind_in_lower_case_words() -> None:
    rows = messages._ROWS  # pyright: ignore[reportPrivateUsage]
    assert {kind for kind, _, _ in rows} <= set(KINDS)
    assert all(word and word == word.lower() for _, words, _ in rows for word in words.split("|"))


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("rpc error: code = Unknown desc = oops", ""),
        ("Status{code=DEADLINE_EXCEEDED, description=x}", "timeout"),
        ("14 UNAVAILABLE: nobody", "dependency_unavailable"),
        ("got http 418 from tea", "validation"),
        ("saw 500 server error", "bad_upstream_response"),
        ("com.a.FooException caused by com.a.BarNotFoundException", "not_found"),
        ("wrapped java.io.IOException", "io_error"),
        ("com.a.FooException", ""),
        ("status: 200", ""),
        ("ERROR: something", ""),
        ("pool party", ""),
    ],
)
def test_codes_and_types_that_a_message_quotes_are_read_last(message: str, kind: str) -> None:
    assert kind_of_message(message)[0] == kind


def test_only_the_first_characters_count() -> None:
    assert kind_of_message("x" * MAX_CHARS + " deadlock") == ("", "")


def test_the_words_that_decided_are_told() -> None:
    assert kind_of_message("Connection POOL is exhausted") == ("pool_exhausted", "pool is exhausted")


@given(st.text())
def test_any_message_has_an_answer(text: str) -> None:
    kind, _ = kind_of_message(text)
    assert kind in KINDS or kind == ""
