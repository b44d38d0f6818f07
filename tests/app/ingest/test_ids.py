"""Ids and times at their bounds."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ingest.ids import INVALID_TIME, Ids, time_ns, trace_hash


@given(st.binary(min_size=16, max_size=16).filter(any))
def test_a_trace_id_reads_alike_from_bytes_and_from_hexadecimal_of_any_case(trace_id: bytes) -> None:
    counters: Counter[str] = Counter()
    as_bytes, as_hex = Ids(counters, from_hex=False), Ids(counters, from_hex=True)
    assert as_bytes.trace(trace_id) == as_hex.trace(trace_id.hex()) == as_hex.trace(trace_id.hex().upper()) == trace_id  # type: ignore[arg-type]
    assert 0 <= trace_hash(trace_id) < 2**64
    assert not counters


@pytest.mark.parametrize("absent", ["", None, "00" * 8])
def test_an_absent_id_is_empty_and_fine(absent: str | None) -> None:
    counters: Counter[str] = Counter()
    assert Ids(counters, from_hex=True).span(absent) == b""
    assert not counters


@pytest.mark.parametrize("wrong", ["1", "zz", "00" * 7, "AAAAAAAAAAA=", "é" * 16])
def test_a_wrong_id_is_empty_and_counted(wrong: str) -> None:
    counters: Counter[str] = Counter()
    assert Ids(counters, from_hex=True).span(wrong) == b""
    assert counters == {"ids_invalid": 1}


@given(st.integers())
def test_a_time_is_itself_within_64_bits_and_invalid_outside(time: int) -> None:
    expected = time if 0 <= time < 2**63 else INVALID_TIME
    assert time_ns(time) == time_ns(str(time)) == expected


@pytest.mark.parametrize("word", ["noon", "1.5", "0x10", "9" * 5000])
def test_a_time_that_is_no_number_raises(word: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - int words it in many ways
        time_ns(word)
