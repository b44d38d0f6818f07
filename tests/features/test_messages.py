from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import messages
from features.messages import MAX_CHARS, kind_of_message, kind_said
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


# Whatever a digit of may tell, and numbers that look like it.
_PARTS = (
    "errno ", "exit code ", "exited with status ", "exit status ", "missing ", " required positional", "e", "x", "x509: ", "tls ",
    "status: ", "http/1.1 ", "code=", "error ", "returned ", " internal server", " not found", " exist", " find", "404", "137", "111",
    "11000", "1", "0", "503", "429", "Http404Error", "com.a.Foo2Exception", " ", ".", ":", "_", "/", "İ", "²", "٣", "job failed ", "pool ",
    "14 UNAVAILABLE: ", "code = NotFound", "UNAVAILABLE: ",
)  # fmt: skip


@settings(max_examples=500)
@given(parts=st.lists(st.one_of(st.sampled_from(_PARTS), st.integers(0, 99_999).map(str)), max_size=9))
def test_what_is_remembered_of_like_messages_is_what_each_says(parts: list[str]) -> None:
    message = "".join(parts)
    assert kind_said(message) == kind_of_message(message)[0]


@given(st.text())
def test_any_message_is_answered_alike_with_and_without_memory(text: str) -> None:
    assert kind_said(text) == kind_of_message(text)[0]
