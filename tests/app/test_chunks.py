"""Values that are cut into parts come back whole."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.chunks import CHUNK_BYTES, chunks, joined


@given(st.dictionaries(st.text("ab._-", min_size=1, max_size=4), st.binary(min_size=1, max_size=40)), st.integers(1, 9))
def test_parts_are_bounded_and_come_back_whole(values: dict[str, bytes], n_bytes: int) -> None:
    parts = chunks(values, "learners", n_bytes)
    assert all(0 < len(part) <= n_bytes for part in parts.values())
    assert joined(parts | {"memory/head": b"other"}, "learners") == values


def test_a_part_is_at_most_half_a_mebibyte() -> None:
    parts = chunks({"a": bytes(CHUNK_BYTES * 11 + 1)}, "x")
    assert len(parts) == 12
    assert joined(parts, "x") == {"a": bytes(CHUNK_BYTES * 11 + 1)}
