"""Pages: every item once and in order, and cursors that only their own list takes."""

from __future__ import annotations

from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.pages import Listing, microseconds
from app.api.problems import InvalidCursor
from tests.api_builders import NOON

Row = tuple[float, str]

ROWS: Listing[Row] = Listing("rows", (float, str), lambda row: row)
WORDS: Listing[str] = Listing("words", (str,), lambda word: (word,))

row = st.tuples(st.floats(-1, 1), st.text(st.characters(exclude_categories=["Cs"]), max_size=5))


@given(st.sets(row, max_size=30), st.integers(1, 7))
def test_paging_yields_each_item_once_and_in_order(rows: set[Row], limit: int) -> None:
    seen: list[Row] = []
    cursor = None
    while True:
        page = ROWS.sorted_page(list(rows), limit, cursor)
        seen += page.rows
        assert len(page.rows) == limit or page.next is None
        cursor = page.next
        if cursor is None:
            break
    assert seen == sorted(rows)


@given(st.sets(row, min_size=2, max_size=30), row)
def test_item_that_appears_between_two_pages_moves_no_other(rows: set[Row], new: Row) -> None:
    first = ROWS.sorted_page(list(rows), 1)
    second = ROWS.sorted_page(list(rows | {new}), 100, first.next)
    assert set(second.rows) - {new} == rows - set(first.rows)


@given(st.text(max_size=60))
def test_foreign_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidCursor):
        ROWS.page([(0.5, "a"), (0.75, "b")], 1, cursor)


@pytest.mark.parametrize(
    "body", [b'["rows",1.5]', b'["rows","a",1.5]', b'["rows",1,"a"]', b"[]", b'["words","a"]', b'{"rows":1}']
)
def test_cursor_of_another_shape_or_list_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidCursor, match="page of rows"):
        ROWS.page([(0.5, "a")], 1, urlsafe_b64encode(body).decode())


def test_cursor_of_another_list_is_refused() -> None:
    cursor = WORDS.page(["a", "b"], 1).next
    with pytest.raises(InvalidCursor, match="got one of 'words'"):
        ROWS.page([(0.5, "a")], 1, cursor)


def test_microseconds_are_exact() -> None:
    assert microseconds(NOON.replace(microsecond=1)) == 1772452800000001
