"""What a JSON body is checked for and mended in."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ingest.json_body import MAX_NESTING, nests_too_deep, without_lone_surrogates


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]")])
def test_nesting_is_bounded(opening: bytes, closing: bytes) -> None:
    n = MAX_NESTING // (opening.count(b"[") + opening.count(b"{"))
    assert not nests_too_deep(opening * n + b"0" + closing * n)
    assert nests_too_deep(opening * (n + 1) + b"0" + closing * (n + 1))


@pytest.mark.parametrize("text", ["[" * 500, '"' + "{" * 500, "\\" + "[" * 500, '\\"' + "[" * 500 + "\\"])
def test_brackets_in_texts_nest_nothing(text: str) -> None:
    assert not nests_too_deep(json.dumps([text, {text: text}]).encode())
    assert nests_too_deep(json.dumps([text]).encode() + b"[" * 101)


@given(st.text(st.sampled_from('"\\[{]}a'), max_size=300))
def test_no_text_makes_a_flat_body_too_deep(text: str) -> None:
    assert not nests_too_deep(json.dumps({"a": [text]}).encode())


@given(st.text(st.characters() | st.sampled_from("\\ud8\ud83d\ude00"), max_size=30))
def test_halves_of_pairs_are_replaced_and_nothing_else_is(text: str) -> None:
    mended, n_lone = without_lone_surrogates(json.dumps(text).encode())
    # Two halves that stand side by side are one character once they are written.
    whole: str = json.loads(json.dumps(text))
    expected = "".join("�" if "\ud800" <= char <= "\udfff" else char for char in whole)
    assert json.loads(mended) == expected
    assert n_lone == sum("\ud800" <= char <= "\udfff" for char in whole)


def test_an_escaped_backslash_begins_no_escape() -> None:
    body = rb'["\\ud83d", "\\\ud83d"]'
    assert without_lone_surrogates(body) == (rb'["\\ud83d", "\\\ufffd"]', 1)
