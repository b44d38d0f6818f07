from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from features.mask import MAX_CHARS, mask, outline, words, zeroed


@pytest.mark.parametrize(
    ("message", "masked"),
    [
        ("took 31.5 ms", "took <*>"),
        ("took 19 seconds", "took <*>"),
        ("block blk_-3544583377289625738 lost", "block <*> lost"),
        ("at 10.250.19.102:54106 and fe80::1", "at <*> and <*>"),
        ("id 123e4567-e89b-12d3-a456-426614174000", "id <*>"),
        ("0x7ffde3a1 freed", "<*> freed"),
        ("2026-01-01T00:00:00.000Z failed", "<*> failed"),
        ("cannot open /var/lib/x.db", "cannot open <*>"),
        ("GET https://a.b/c?d=e#f failed", "GET <*> failed"),
        ("mail to bob.k@example.com bounced", "mail to <*> bounced"),
        ("column \"user name\" and 'b c' unknown", "column <*> and <*> unknown"),
        ("can't find it, won't try", "can't find it, won't try"),
        ('"GET /a/7 HTTP/1.1" done', '"GET <*>" done'),
        ("host=db1 user=bob", "host=<*> user=<*>"),
        ("reason=refused code=busy", "reason=refused code=<*>"),
        ("java.net.ConnectException from api.shop.svc.cluster", "java.net.ConnectException from <*>"),
        ("action android.intent.action.SCREEN_ON", "action android.intent.action.SCREEN_ON"),
        ("1, 2, 3 gone", "<*> gone"),
        ("no variables here", "no variables here"),
        ("7'' of it", "<*> of it"),  # the quotes stand alone only once the number is gone
    ],
)
def test_what_varies_is_masked_and_words_stay(message: str, masked: str) -> None:
    assert mask(message) == masked


@given(st.text())
@example("<*>1")
@example("'a'b'")
@example("a=b=1 c= d")
def test_masking_twice_is_masking_once(text: str) -> None:
    assert mask(mask(text)) == mask(text)


@given(st.text(alphabet="ab1.=/'\" -<*>:@{}", max_size=60))
def test_masking_twice_is_masking_once_for_text_full_of_signs(text: str) -> None:
    assert mask(mask(text)) == mask(text)


def test_a_message_is_looked_at_up_to_its_bound() -> None:
    assert mask("a " * MAX_CHARS) == "a " * (MAX_CHARS // 2)


@pytest.mark.parametrize(
    ("message", "found"),
    [
        ("first line\nsecond line", ["first", "line"]),
        ("Traceback (most recent call last):\n  File x\nValueError: bad thing", ["ValueError", ":", "bad", "thing"]),
        ('{"time": "now", "msg": "it failed"}', ["it", "failed"]),
        ('{"time": "now", "message": " "}', ["{", "<*>", "}"]),
        ("{not json", ["{", "not", "json"]),
        ("{", ["{"]),
        ("   ", []),
        ("", []),
    ],
)
def test_the_telling_line_gives_the_words(message: str, found: list[str]) -> None:
    assert words(message) == found


def test_a_long_message_is_told_by_its_first_words() -> None:
    assert len(words("word " * 300)) == 64


@settings(max_examples=500)
@given(st.lists(st.one_of(st.sampled_from(["0", "17", "10ms", "-5", "7f3a", "http://a1/2", "x=1", "'", '"', "java.net.E2Error", "²", "٣"]),
                          st.sampled_from(list(" .,:;=_-/<*>@$%()[]{}aZé\u0301\n"))), max_size=12).map("".join))  # fmt: skip
def test_digits_are_masked_alike_whatever_they_are(line: str) -> None:
    assert mask(zeroed(line)) == mask(line)
    assert outline(line) == (" ".join(words(line)), tuple(words(line)))


def test_numbers_of_a_structured_message_stay_until_it_is_read() -> None:
    assert outline('{"code": 10, "message": "order 7 \\u0061t 9"}')[0] == "order <*> at <*>"
