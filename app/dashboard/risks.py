"""The first page: a tenant's services by risk, in a table that stays quick with thousands of them."""

from __future__ import annotations

import logging
from pathlib import Path

from nicegui import background_tasks
from nicegui.element import Element

from app.dashboard.board import Board, Boards, Row
from app.dashboard.collector import first_steps
from app.dashboard.frame import STATIC, Frame, Section
from app.dashboard.markup import h, join
from app.dashboard.sources import View
from features.errors import ForeshockError

__all__ = ["Rows", "show"]

logger = logging.getLogger(__name__)

_FIRST = 60  # rows that come with the page itself, more than a screen holds; the rest follows at once
_CODE: Path = STATIC / "rows.js"


class Rows(Element, component=_CODE):
    """The table in the browser.

    Parameters
    ----------
    rows : sequence of Row
        The first ones.
    number : int
        Of the look that they are from.
    view : View
        Whose, and what is searched for.
    sort : str
        As the URL says.
    tick_s : float
        Seconds from one forecast to the next.
    """

    def __init__(self, rows: tuple[Row, ...], number: int, view: View, sort: str, tick_s: float) -> None:
        super().__init__()
        _, _, query = view.link().partition("?")
        shown = {"rows": rows, "number": number, "query": f"?{query}" if query else "", "search": view.search, "sort": sort}
        self.props.update(shown | {"tick": tick_s})

    def send(self, method: str, said: str) -> None:
        """Hand the table what changed, as one text: it is parsed many times faster than a call with many values."""
        self.run_method(method, said)


async def show(frame: Frame, boards: Boards) -> None:
    """Show the page."""
    content = frame.head("Services by risk")
    page = _Risks(frame, boards, content)
    board, leave = await boards.follow(frame.view.tenant, page.told)
    frame.client.on_delete(leave)
    page.open(board)
    frame.client.on_connect(page.fill)


class _Risks:
    """The page in one browser: what to do first, and from the first service on the table."""

    def __init__(self, frame: Frame, boards: Boards, content: Element) -> None:
        self._frame = frame
        self._boards = boards
        self._content = content
        self._board: Board | None = None
        self._steps: Section | None = None
        self._table: Rows | None = None

    def open(self, board: Board) -> None:
        """Show what there is."""
        self._board = board
        said = "The probability that an incident begins within 5, 15 and 60 minutes; where one is open that is no question."
        with self._content:
            Section(join([h("h1", "Services by risk"), h("span.soft", said)])).classes("title")
            if board.rows():
                self._table = self._rows(board)
            else:
                self._steps = Section(first_steps(self._frame.sources, self._frame.view.tenant))

    def told(self, said: str) -> None:
        """Hand a delta on, and put the table where the first steps were as soon as there is a row."""
        if self._table is not None:
            self._table.send("patch", said)
        elif self._board is not None and self._board.rows():
            with self._content:
                self._table = self._rows(self._board)
            if self._steps is not None:
                self._steps.delete()
            background_tasks.create(self.fill(), name="dashboard rows")

    async def fill(self) -> None:
        """Send all rows, and the last hour of each; a browser that comes back is filled anew."""
        board, table = self._board, self._table
        if board is None or table is None:
            return
        if len(board.rows()) > _FIRST:
            table.send("replace", await self._boards.whole(board))
        try:
            await self._boards.remember(board)
        except ForeshockError as exc:  # sparklines then begin with what is seen from now on
            logger.warning("the last hour of the services could not be read: %s", exc)
        said = await self._boards.whole(board)
        if not self._frame.client.is_deleted:
            table.send("replace", said)

    def _rows(self, board: Board) -> Rows:
        sort = self._frame.client.request.query_params.get("sort", "")[:16]
        return Rows(board.rows()[:_FIRST], board.number, self._frame.view, sort, self._frame.sources.tick_s)
