"""Lists without their pages: a list is asked for page by page, until it ends or as much is there as was wanted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pandas as pd
from pydantic import BaseModel

from app.client.exchange import Query, Request, Steps, ask, json_of
from app.client.failures import UnknownAnswer
from app.client.frames import frame
from features.errors import InvalidValue

__all__ = ["LARGEST_PAGE", "items_of", "listed"]

LARGEST_PAGE = 1000
"""Items of a page that the API gives at most."""


def listed(model: type[BaseModel], route: str, query: Query) -> Steps[pd.DataFrame]:
    """Ask for a list and return it as one frame.

    Parameters
    ----------
    model : type
        The wire model of an item.
    route : str
        As in `Request`.
    query : Mapping[str, object]
        Parameters beside `cursor`; `limit` is of items at most, over all pages, and without it or with None it is all.

    Returns
    -------
    pandas.DataFrame
        One row an item, as `app.client.frames.frame` makes it.

    Raises
    ------
    InvalidValue
        When the limit is below 1.
    UnknownAnswer
        When a page is none.
    """
    limit = cast("int | None", query.get("limit"))
    if limit is not None and limit < 1:
        raise InvalidValue(f"limit must be at least 1, or None for all, got {limit}")
    items: list[Mapping[str, Any]] = []
    cursor: str | None = None
    while True:
        size = LARGEST_PAGE if limit is None else min(limit - len(items), LARGEST_PAGE)
        answer = yield from ask(Request(route, query={**query, "limit": size, "cursor": cursor}))
        found, cursor = items_of(json_of(answer, route), route)
        items += found
        if cursor is None or (limit is not None and len(items) >= limit):
            return frame(model, items)


def items_of(body: Mapping[str, object], route: str) -> tuple[list[Mapping[str, Any]], str | None]:
    """Return the items of a page, and the cursor of the next one.

    Raises
    ------
    UnknownAnswer
        When it is no page.
    """
    items, cursor = body.get("items"), body.get("next")
    if not isinstance(items, list) or not (cursor is None or isinstance(cursor, str)):
        raise UnknownAnswer(f"{route} must be answered with items and next, got {sorted(body)}")
    return cast("list[Mapping[str, Any]]", items), cursor
