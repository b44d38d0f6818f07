"""A value is taken out of texts as a whole word, of documents wherever it stands, and of templates as a variable."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cache.documents import encode_document
from app.forgotten_value import ForgottenValue
from features.errors import InvalidValue
from features.fingerprint import Templates


def test_a_long_value_goes_everywhere_and_a_short_one_where_it_is_meant() -> None:
    long, short = ForgottenValue("user.id", "u-4711"), ForgottenValue("user.id", "42")
    assert long.text("u-4711 and u-47112, (u-4711)") == "REDACTED and u-47112, (REDACTED)"
    assert short.text("42 carts, user.id=42, user.id: 421") == "42 carts, user.id=REDACTED, user.id: 421"
    assert short.text('42 of {"user.id": "42"}') == '42 of {"user.id": "REDACTED"}'
    assert short.text("user 42, line 42", carries=True) == "user REDACTED, line REDACTED"


def test_an_error_that_carries_it_loses_it_in_all_its_texts_and_others_keep_theirs() -> None:
    short = ForgottenValue("user.id", "42")
    events = [
        {"message": "no cart 42", "attributes": {"user.id": "42"}},
        {"message": "no cart 42", "attributes": {"user.id": "43"}},
    ]
    found = json.loads(short.document(encode_document({"events": events})))["events"]
    assert found[0] == {"message": "no cart REDACTED", "attributes": {"user.id": "REDACTED"}}
    assert found[1] == events[1]


def test_a_row_of_history_is_told_by_its_attributes() -> None:
    short = ForgottenValue("user.id", "42")
    carried, other = '{"user.id":"42","z":"of 42"}', '{"user.id":"43"}'
    assert short.row_text(carried, carried) == '{"user.id":"REDACTED","z":"of REDACTED"}'
    assert short.row_text(carried, "no cart 42") == "no cart REDACTED"
    assert short.row_text(other, other) == other
    assert short.row_text("", "no cart 42") == "no cart 42"


def test_documents_without_it_and_what_is_no_json_come_back_as_they_are() -> None:
    value = ForgottenValue("user.id", "u-4711")
    for data in (b'{"a" : 1.0}', b"1795479300", b"\xff\x00", b'"u-4712"'):
        assert value.document(data) is data
    assert value.document(b'{"u-4711":["u-4711"]}') == b'{"REDACTED":["REDACTED"]}'


def test_templates_that_differ_in_it_alone_become_one_and_stay_usable() -> None:
    store = Templates()
    for who in ("Wilhelmina", "Theodora"):
        for what in ("has no cart today", "is not known here"):
            store.add(f"customer {who} {what}")
    store.add("customer <*> has no cart today")
    data = ForgottenValue("user", "Wilhelmina").templates(store.snapshot())
    assert b"Wilhelmina" not in data
    again = Templates.restore(data)
    assert b"Theodora" in again.snapshot()
    assert again.add("customer Theodora is not known here") == store.add("customer Theodora is not known here")
    for number in range(5000):  # the least recently used are forgotten, merged ones among them
        again.add(f"message {chr(97 + number % 26)}{chr(97 + number // 26 % 26)}{chr(97 + number // 676)} came")
    assert ForgottenValue("user", "Brunhilde").templates(data) is data


@given(st.text(min_size=4, max_size=20), st.text(max_size=30), st.text(max_size=30))
def test_a_long_value_between_spaces_never_stays(value: str, before: str, after: str) -> None:
    if value not in "REDACTED":
        text = ForgottenValue("k", value).text(f"{before} {value} {after}")
        assert f" {value} " not in f" {text} " or value in f"{before} {after} REDACTED "


@pytest.mark.parametrize(
    ("key", "value"), [("", "x"), ("k", ""), ("k", "x" * 4097), ("service.name", "cart"), ("host.name", "h1")]
)
def test_what_cannot_be_forgotten_is_refused(key: str, value: str) -> None:
    with pytest.raises(InvalidValue):
        ForgottenValue(key, value)


def test_a_name_that_holds_it_is_refused_with_the_name() -> None:
    with pytest.raises(InvalidValue, match="GET /users/u-4711"):
        ForgottenValue("user.id", "u-4711").refuse_names(["GET /", "GET /users/u-4711"])
    ForgottenValue("user.id", "42").refuse_names(["GET /42"])
