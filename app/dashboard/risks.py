"""The first page: a tenant's services by risk, in a table that stays quick with thousands of them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
from anyio import to_thread
from nicegui import ui
from nicegui.element import Element

from app.dashboard.board import Board, Boards, Delta, Row
from app.dashboard.collector import first_steps
from app.dashboard.frame import STATIC, Frame

__all__ = ["Rows", "show"]

_FIRST = 60  # rows that come with the page itself, more than a screen holds; the rest follows at once
_CODE: Path = STATIC / "rows.js"


class Rows(Element, component=_CODE):
    """The table in the browser.

    Parameters
    ----------
    rows : list of Row
        The first ones.
    link, query : str
        Of a service's page, before and behind its name.
    search, sort : str
        As the URL says.
    """

    def __init__(self, rows: list[Row], link: str, query: str, search: str, sort: str) -> None:
        super().__init__()
        self.props.update({"rows": rows, "link": link, "query": query, "search": search, "sort": sort})

    def send(self, method: str, said: object) -> None:
        """Hand the table what changed, as one text: it is parsed many times faster than a call with many values."""
        self.run_method(method, msgspec.json.encode(said).decode())


async def show(frame: Frame, boards: Boards) -> None:
    """Show the page."""
    content = frame.head("Services by risk")
    table: list[Rows] = []
    waiting: list[Delta] = []

    def told(delta: Delta) -> None:
        if table:
            table[0].send("patch", delta)
        else:
            waiting.append(delta)

    board, leave = await boards.follow(frame.view.tenant, told)
    frame.client.on_delete(leave)
    with content:
        ui.html(
            "<h1>Services by risk</h1><span class='soft'>The probability that an incident begins within 5, 15 and 60 minutes.</span>",
            sanitize=False,
        ).classes("title")
        if board.rows():
            table.append(_table(frame, board))
        else:
            await _first(frame, board, content, table)


def _table(frame: Frame, board: Board) -> Rows:
    rows, view = board.rows(), frame.view
    link, _, query = view.link("service").partition("?")
    sort = frame.client.request.query_params.get("sort", "")[:16]
    table = Rows(rows[:_FIRST], link, f"?{query}" if query else "", view.search, sort)

    async def rest() -> None:
        if len(rows) > _FIRST:
            table.send("replace", {"rows": board.rows()})
        await to_thread.run_sync(board.remember)
        table.send("replace", {"sparks": board.sparks()})

    frame.client.on_connect(rest)
    return table


async def _first(frame: Frame, board: Board, content: Element, table: list[Rows]) -> None:
    """Say what to do, and show the table as soon as there is something."""
    with content:
        steps = ui.html(first_steps(frame.sources, frame.view.tenant), sanitize=False)

    async def appears() -> None:
        while not board.rows():
            await asyncio.sleep(0.1)
        steps.delete()
        with content:
            table.append(_table(frame, board))
            table[0].send("replace", {"rows": board.rows(), "sparks": board.sparks()})

    frame.client.on_connect(appears)
