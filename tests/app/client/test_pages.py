"""Pages are asked for one after the other, and as many as it takes."""

from __future__ import annotations

from typing import Any

import httpx
import pandas as pd
import pytest

from app.api.group_schemas import EdgeOut
from app.client.exchange import Request
from app.client.failures import UnknownAnswer
from app.client.pages import listed
from features.errors import InvalidValue


def edge(number: int) -> dict[str, Any]:
    return {"caller": f"s{number}", "callee": "db", "calls": 1.0, "errors": 0.0, "lag_s": 0.0}


def walk(total: int, limit: int | None, largest: int = 1000) -> tuple[pd.DataFrame, list[dict[str, str]]]:
    """Play a server that has some items; return the frame, and the parameters of each page."""
    steps = listed(EdgeOut, "GET /edges", {"service": "db", "state": None, "limit": limit})
    asked: list[dict[str, str]] = []
    try:
        step = next(steps)
        while True:
            assert isinstance(step, Request)
            given = dict(step.parameters)
            asked.append(given)
            first, size = int(given.get("cursor", "0")), min(int(given["limit"]), largest)
            last = min(first + size, total)
            body = {"items": [edge(n) for n in range(first, last)], "next": str(last) if last < total else None}
            step = steps.send(httpx.Response(200, json=body))
    except StopIteration as stop:
        return stop.value, asked


def test_all_pages_come_as_one_frame() -> None:
    found, asked = walk(total=2500, limit=None)
    assert list(found["caller"]) == [f"s{n}" for n in range(2500)]
    assert asked == [
        {"service": "db", "limit": "1000"},
        {"service": "db", "limit": "1000", "cursor": "1000"},
        {"service": "db", "limit": "1000", "cursor": "2000"},
    ]


@pytest.mark.parametrize(("limit", "sizes"), [(3, ["3"]), (1000, ["1000"]), (1001, ["1000", "1"]), (5000, ["1000"] * 3)])
def test_a_limit_bounds_the_rows_over_all_pages(limit: int, sizes: list[str]) -> None:
    found, asked = walk(total=2500, limit=limit)
    assert len(found) == min(limit, 2500)
    assert [one["limit"] for one in asked][: len(sizes)] == sizes


def test_short_pages_go_on_to_the_limit() -> None:
    found, asked = walk(total=9, limit=7, largest=3)
    assert (len(found), [one["limit"] for one in asked]) == (7, ["7", "4", "1"])


def test_a_limit_of_nothing_is_refused() -> None:
    with pytest.raises(InvalidValue, match="limit must be at least 1, or None for all, got 0"):
        walk(total=1, limit=0)


@pytest.mark.parametrize("body", [{"predictions": []}, {"items": {}, "next": None}, {"items": [], "next": 4}])
def test_what_is_no_page_is_named(body: dict[str, object]) -> None:
    steps = listed(EdgeOut, "GET /edges", {})
    next(steps)
    with pytest.raises(UnknownAnswer, match="GET /edges must be answered with items and next"):
        steps.send(httpx.Response(200, json=body))
