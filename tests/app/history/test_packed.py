"""Rows that wait packed: the same rows in order, in a part of the memory, as often as asked."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from app.history.packed import PackedRows
from app.history.tables import errors_table, rows_schema
from tests.api_builders import an_error_event


@given(st.lists(st.lists(st.tuples(st.text(), st.integers(0, 3)), min_size=1), max_size=4))
def test_rows_come_back_in_order_with_their_places(ticks: list[list[tuple[str, int]]]) -> None:
    packed, expected = PackedRows(), list[dict[str, object]]()
    for tick, rows in enumerate(ticks):
        texts, partitions = zip(*rows, strict=True)
        packed.add(pa.table({"text": texts, "code": pa.array(texts).dictionary_encode()}), partitions)
        packed.place({partition: 10 * tick + partition for partition in range(4)})
        expected += [{"text": t, "code": t, "partition": p, "offset": 10 * tick + p} for t, p in rows]
    assert [row for part in packed for row in part.to_pylist()] == expected
    assert [row for part in packed for row in part.to_pylist()] == expected, "a second time as well"
    assert packed.num_rows == len(expected)


def test_rows_without_an_offset_stay_when_the_others_are_forgotten() -> None:
    packed = PackedRows()
    packed.add(pa.table({"text": ["a"]}), [0])
    packed.place({0: 7})
    packed.add(pa.table({"text": ["b"]}), [1])
    assert packed.num_rows == 1
    packed.clear()
    assert (packed.num_rows, list(packed)) == (0, [])
    packed.place({1: 9})
    assert [part.to_pylist() for part in packed] == [[{"text": "b", "partition": 1, "offset": 9}]]


def test_errors_that_are_alike_take_a_tenth_of_their_memory() -> None:
    stack = "\n".join(f"at shop.Cart.step{n}(Cart.java:{n})" for n in range(20))
    events = [replace(an_error_event("web"), stack=f"{n % 9}{stack}", span_id=f"{n:016x}") for n in range(1000)]
    rows = errors_table(events).cast(pa.schema([rows_schema("errors").field(n) for n in rows_schema("errors").names[:-2]]))
    packed = PackedRows()
    packed.add(rows, [0] * 1000)
    packed.place({0: 1})
    assert 0 < packed.n_bytes < rows.nbytes / 10
