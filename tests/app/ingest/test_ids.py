"""Ids and times at their bounds."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ingest.ids import INVALID_TIME, NO_SPAN, NO_TRACE, Ids, time_ns


@given(st.binary(min_size=16, max_size=16).filter(any))
def test_a_trace_id_reads_alike_from_bytes_and_from_hexadecimal_of_any_case(trace_id: bytes) -> None:
    counters: Counter[str] = Counter()
    as_bytes, as_hex = Ids(counters, from_hex=False), Ids(counters, from_hex=True)
    assert as_bytes.trace(trace_id) == as_hex.trace(trace_id.hex()) == as_hex.trace(trace_id.hex().upper()) == trace_id
    assert as_bytes.trace_text(trace_id) == as_hex.trace_text(trace_id.hex().upper()) == trace_id.hex()
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


@given(st.lists(st.binary(min_size=16, max_size=16)))
def test_a_column_of_trace_ids_holds_their_halves(trace_ids: list[bytes]) -> None:
    halves = [[int.from_bytes(trace_id[:8], "big"), int.from_bytes(trace_id[8:], "big")] for trace_id in trace_ids]
    counters: Counter[str] = Counter()
    assert Ids(counters, from_hex=False).column(trace_ids, NO_TRACE).tolist() == halves
    assert Ids(counters, from_hex=True).column([trace_id.hex() for trace_id in trace_ids], NO_TRACE).tolist() == halves
    assert not counters


@given(
    st.lists(
        st.sampled_from(["00f067aa0ba902b7", "", None, "zz" * 8, "0" * 16, "00", "00 f067aa0ba902b", "a" * 17]), max_size=6
    )
)
def test_a_column_reads_each_id_as_it_is_read_alone(values: list[str | None]) -> None:
    together: Counter[str] = Counter()
    alone: Counter[str] = Counter()
    column = Ids(together, from_hex=True).column(values, NO_SPAN)
    assert column[:, 0].tolist() == [int.from_bytes(Ids(alone, from_hex=True).span(value), "big") for value in values]
    assert together == alone


@pytest.mark.parametrize(("value", "n_invalid"), [(b"", 0), (b"x" * 8, 0), (bytes(8), 0), (b"x", 1), (b"x" * 9, 1)])
def test_a_span_id_that_is_not_needed_is_checked_all_the_same(value: bytes, n_invalid: int) -> None:
    counters: Counter[str] = Counter()
    Ids(counters, from_hex=False).check_span(value)
    Ids(counters, from_hex=True).check_span(value.hex())
    assert counters["ids_invalid"] == 2 * n_invalid
