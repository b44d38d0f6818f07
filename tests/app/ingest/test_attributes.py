"""Attributes as text."""

from __future__ import annotations

from typing import cast

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue as ProtobufValue

from app.ingest.attributes import number, text, texts
from app.ingest.shapes import AnyValue, ArrayValue, KeyValue, KeyValueList


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ""),
        (AnyValue(), ""),
        (ProtobufValue(), ""),
        (AnyValue(double_value=1), "1"),
        (AnyValue(double_value="-Infinity"), "-inf"),
        (AnyValue(bool_value=False), "false"),
        (AnyValue(bytes_value="AQI="), "AQI="),
        (ProtobufValue(bytes_value=b"\x01\x02"), "AQI="),
        (AnyValue(array_value=ArrayValue()), "[]"),
        (AnyValue(kvlist_value=KeyValueList([KeyValue("a", AnyValue(int_value=1)), KeyValue(None)])), "{a: 1, : }"),
    ],
)
def test_values_read_alike_in_both_encodings(value: AnyValue | None, expected: str) -> None:
    assert text(value, 6, 99) == (expected, False)


def test_structures_are_shown_to_a_depth_and_a_length() -> None:
    value = AnyValue(string_value="deep")
    for _ in range(20):
        value = AnyValue(array_value=ArrayValue([value]))
    assert text(value, 6, 99) == ("[" * 6 + "]" * 6, True)
    many = AnyValue(array_value=ArrayValue([AnyValue(int_value=1)] * 100))
    assert text(many, 1, 999) == (str([1] * 32), True)
    # One character more than is wanted says that there are more; what does not fit is not left out.
    assert text(many, 1, 7) == ("[1, 1, 1", False)
    assert text(cast("AnyValue", ProtobufValue(bytes_value=b"\xff" * 99)), 1, 7)[0].startswith("////////")
    assert text(AnyValue(array_value=ArrayValue([AnyValue(), AnyValue(bytes_value="AQI=")])), 1, 99) == ("[, AQI=]", False)


def test_the_last_of_equal_keys_wins() -> None:
    assert texts([KeyValue("a", AnyValue(string_value=value)) for value in "xy"], 6, 99) == {"a": "y"}


@pytest.mark.parametrize("word", ["²", "-1", "1" * 30, " 5"])
def test_what_is_no_plain_number_is_none(word: str) -> None:
    assert number(word) == 0
