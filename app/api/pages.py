"""Cursor pages: a list is cut behind the last item's sort key, so an item that appears or goes moves no other.

Every list route sorts its rows by a key that is unique, and hands them here with the page that was
asked for. A cursor is the last key in base64; clients treat it as opaque.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeAlias, TypeVar

import msgspec

from app.api.problems import InvalidCursor

__all__ = ["Listing", "Page", "SortKey", "microseconds"]

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

SortKey: TypeAlias = tuple[float | int | str, ...]
"""Numbers and strings; a listing's keys all have the same types."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows, and the cursor of the page behind them.

    Parameters
    ----------
    rows : tuple
        In order.
    next : str or None
        None on the last page.
    """

    rows: tuple[T, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """How a list is ordered.

    Parameters
    ----------
    name : str
        Written into the cursors, so that another list refuses them.
    types : tuple of type
        Types of the key's parts.
    key : callable
        Unique sort key of a row.

    Examples
    --------
    >>> numbers = Listing("numbers", (int,), lambda n: (n,))
    >>> first = numbers.page([1, 2, 3], 2)
    >>> first.rows, numbers.page([1, 2, 3], 2, first.next)
    ((1, 2), Page(rows=(3,), next=None))
    """

    name: str
    types: tuple[type, ...]
    key: Callable[[T], SortKey]

    def page(self, rows: Sequence[T], limit: int, cursor: str | None = None) -> Page[T]:
        """Cut a page out of rows.

        Parameters
        ----------
        rows : Sequence
            Sorted by the listing's key.
        limit : int
            Rows at most, at least 1.
        cursor : str, optional
            The `next` of the page before; none for the first page.

        Raises
        ------
        InvalidCursor
            When the cursor is none of this listing's.
        """
        start = 0 if cursor is None else bisect_right(rows, self.decode(cursor), key=self.key)
        chosen = tuple(rows[start : start + limit])
        more = start + limit < len(rows)
        return Page(chosen, self._encode(self.key(chosen[-1])) if more else None)

    def sorted_page(self, rows: Sequence[T], limit: int, cursor: str | None = None) -> Page[T]:
        """Sort rows by the listing's key and cut a page out of them."""
        return self.page(sorted(rows, key=self.key), limit, cursor)

    def _encode(self, key: SortKey) -> str:
        return urlsafe_b64encode(msgspec.json.encode([self.name, *key])).rstrip(b"=").decode()

    def decode(self, cursor: str) -> SortKey:
        """Return the key of the last row before a cursor.

        Raises
        ------
        InvalidCursor
            When the cursor is none of this listing's.
        """
        try:
            padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
            name, *key = msgspec.json.decode(urlsafe_b64decode(padded), type=list[float | int | str])
        except (UnicodeEncodeError, binascii.Error, msgspec.DecodeError, ValueError) as exc:
            raise InvalidCursor(f"cursor must be the `next` of a page of {self.name}, got {cursor[:200]!r}") from exc
        if name != self.name or [type(part) for part in key] != list(self.types):
            raise InvalidCursor(f"cursor must be the `next` of a page of {self.name}, got one of {name!r}")
        return tuple(key)


def microseconds(time: datetime) -> int:
    """Return Unix microseconds, whole, so that newest-first keys are exact.

    Examples
    --------
    >>> microseconds(datetime(1970, 1, 1, 0, 0, 1, 5, UTC))
    1000005
    """
    return (time - _EPOCH) // timedelta(microseconds=1)
