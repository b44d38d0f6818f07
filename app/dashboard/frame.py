"""What all pages have in common: the head with its links, tenant and range, sections that are kept up to date, and acts.

A page says what its sections hold as functions that return markup or a chart; they run in a thread when the page is opened
and when something changed that it follows, and only what became other is pushed to the browser. A section that cannot be read
says so in its place, and keeps no other from being shown.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import msgspec
from anyio import to_thread
from nicegui import Client, ui
from nicegui.element import Element
from nicegui.elements import echart
from nicegui.events import GenericEventArguments

from app.auth import principal_of
from app.dashboard.live import Live
from app.dashboard.markup import Child, Markup, h, join
from app.dashboard.rest import Rest
from app.dashboard.rights import shown_to
from app.dashboard.sources import DEFAULT_RANGE, RANGES, Sources, View, tenants
from app.edge.gate import SESSION
from app.edge.login import LOGOUT
from features.errors import ForeshockError

__all__ = ["STATIC", "Act", "Chart", "ChartData", "Frame", "Given", "panel"]

logger = logging.getLogger(__name__)

STATIC = Path(__file__).parent / "static"

T = TypeVar("T")

Given: TypeAlias = Mapping[str, str]
"""What a button and the question behind it say: ``value`` and the fields that were filled in."""

Act: TypeAlias = Callable[[Given], Awaitable[str]]
"""Does what a button is for, and returns what is said to the person."""

_LINKS = (
    ("Services", ()),
    ("Incidents", ("incidents",)),
    ("Errors", ("errors",)),
    ("Alerts", ("alerts",)),
    ("Models", ("models",)),
    ("Backtests", ("backtests",)),
    ("System", ("system",)),
)
_BEAT_S = 30.0  # guessed: nothing that time alone changes is more than half a minute behind
_MOST_OPENED = 100  # guessed: as many as a page lists
_MOST_SAID = 100  # characters of what an address says wrong; guessed
_REMEMBERED = 32  # keys of acts that were done; guessed: nobody repeats one from further back
_MARK = Markup('<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M1 12h6l2-5 3 12 3-16 2 9h6"/></svg>')

assert echart  # NiceGUI registers the module of ECharts with it


@dataclass(frozen=True, slots=True)
class ChartData:
    """What a chart shows.

    Parameters
    ----------
    title : str
        Above it.
    note : Markup
        Beside the title: of when it is.
    options : mapping
        Of ECharts; a text that begins with two dashes is a colour of the page.
    label : str
        What it shows, for those who do not see it.
    format : {"number", "percent", "seconds"}
        Of its values.
    frames : sequence of mapping
        Where it moves: ``text`` and ``options`` of every moment.
    size : str
        A class.
    """

    title: str
    note: Markup
    options: Mapping[str, object]
    label: str
    format: str = "number"
    frames: Sequence[Mapping[str, object]] = ()
    size: str = ""


class Chart(Element, component=STATIC / "chart.js"):
    """A chart in the browser."""

    def __init__(self, data: ChartData) -> None:
        super().__init__()
        self.show(data)

    def show(self, data: ChartData) -> None:
        """Take other data."""
        self.props.update(
            {
                "options": data.options,
                "label": data.label,
                "format": data.format,
                "frames": list(data.frames),
                "size": data.size,
            }
        )


class Section(Element, component=STATIC / "section.js"):
    """Markup in the browser that changes in place."""

    def __init__(self, content: Markup, tag: str = "div") -> None:
        super().__init__()
        self.props.update({"content": content, "tag": tag})

    def show(self, content: Markup) -> None:
        """Take other markup."""
        self.props["content"] = content


@dataclass(frozen=True, slots=True)
class _Unread:
    """Stands for what could not be read, and says why."""

    reason: str

    def markup(self) -> Markup:
        why = f"{self.reason}. It is tried again when something changes."
        return panel("This part could not be read", h("p", h("span.chip", "not shown", data_status="warn"), f" {why}"))


class Frame:
    """One page in one browser.

    Parameters
    ----------
    sources : Sources
        What is read.
    live : Live
        Says when something changed.
    client : Client
        The browser.

    Attributes
    ----------
    acts : dict
        What buttons do, by name.
    reads : list of callable
        Awaited before sections are built anew, for what only the API can say, see `app.dashboard.rest.Reading`.
    opened : set of str
        What the person has opened of that which is sent only then: the ``data-opens`` of these elements.
    """

    def __init__(self, sources: Sources, live: Live, client: Client) -> None:
        self.sources = sources
        self.client = client
        self.view = View.of(client.request.query_params, sources.parts.default_tenant)
        self.principal = principal_of(client.request.scope)
        self.rest = Rest(sources.rest, self.view.tenant, client.request.scope)
        self.acts: dict[str, Act] = {}
        self.reads: list[Callable[[], Awaitable[None]]] = []
        self.opened: set[str] = set()
        self._live = live
        self._since = live.numbers()  # before anything is read: what changes while the page is made is told of, too
        self._parts: list[tuple[Callable[[], object], Callable[[Any], object]]] = []
        self._shown: list[object] = []
        self._turn = asyncio.Lock()
        self._asked = self._begun = 0
        self._acted: deque[str] = deque(maxlen=_REMEMBERED)

    def head(self, title: str, *place: str) -> Element:
        """Make the head of the page, and return what holds its content."""
        self.client.title = f"{title} · Foreshock"
        now = self.sources.parts.now().timestamp()
        ui.add_head_html(h("meta", name="foreshock-now", content=f"{now:.3f}"))
        content = ui.element("div").props("id=content tabindex=-1")
        with self.client.layout:
            skip = Section(h("a.skip", "Skip to the content", href="#content"))
            top = Section(self._top(place), "header").classes("top")
        for number, element in enumerate((skip, top)):  # before what holds the content, which NiceGUI makes first
            element.move(target_index=number)
        with content:
            self._misread()
        ui.on("act", self._act)
        ui.on("opens", self._opens)
        return content

    async def section(self, build: Callable[[], Markup], tag: str = "div", classes: str = "") -> None:
        """Add markup that is built anew when something changed."""
        build = shown_to(self.principal, build)
        content = await to_thread.run_sync(_built, build, limiter=self._live.reads)
        element = Section(_markup(content), tag).classes(classes)
        self._keep(build, lambda fresh: element.show(_markup(fresh)), content)

    async def chart(self, build: Callable[[], ChartData | None]) -> None:
        """Add a panel with a chart that is built anew when something changed, and is not there while there is nothing to draw."""
        data = await to_thread.run_sync(_built, build, limiter=self._live.reads)
        place = ui.element("section")
        made: list[tuple[Section, Chart]] = []

        def show(data: ChartData | _Unread | None) -> None:
            place.classes(replace="panel" if data else "")
            if isinstance(data, ChartData) and made:
                made[0][0].show(_chart_head(data))
                made[0][1].show(data)
                return
            place.clear()
            made.clear()
            with place:
                if isinstance(data, ChartData):
                    made.append((Section(_chart_head(data), "header"), Chart(data)))
                elif data is not None:
                    Section(data.markup())

        show(data)
        self._keep(build, show, data)

    def follow(self, *buckets: str, every_s: float | None = _BEAT_S) -> None:
        """Keep the sections up to date from now on, until the browser is gone.

        Parameters
        ----------
        *buckets : str
            After a change in which of them.
        every_s : float, optional
            Seconds after which it is looked again without one: a range moves on, and what is announced begins or ends.
        """
        self.client.on_delete(self._live.follow(buckets, self.refresh, every_s, self._since))

    async def refresh(self) -> None:
        """Build all sections anew and push those that are not as they were; one at a time, and once for all who ask meanwhile."""
        self._asked += 1
        mine = self._asked
        async with self._turn:
            if self._begun >= mine or self.client.is_deleted:
                return
            self._begun = self._asked
            for read in self.reads:
                await read()
            work = [build for build, _ in self._parts]
            built = await to_thread.run_sync(lambda: list(map(_built, work)), limiter=self._live.reads)
            if self.client.is_deleted:
                return
            for place, content in enumerate(built):
                if content != self._shown[place]:
                    self._shown[place] = content
                    self._parts[place][1](content)

    def say(self, text: str, bad: bool = False) -> None:
        """Tell the person something."""
        said, tone = msgspec.json.encode(text).decode(), "true" if bad else "false"
        self.client.run_javascript(f"toast({said}, {tone})")

    def search(self, found: Callable[[str], None]) -> None:
        """Have the words of the page's search box told when they change."""

        async def searched(event: GenericEventArguments) -> None:
            self.view = self.view.searching(str(event.args or ""))
            found(self.view.search)
            await self.refresh()

        ui.on("search", searched)

    async def _act(self, event: GenericEventArguments) -> None:
        given = {str(key): str(value) for key, value in dict(event.args).items()}
        act, key = self.acts.get(given.get("name", "")), given.get("key", "")
        if act is None or (key and key in self._acted):
            return
        self._acted.append(key)
        try:
            self.say(await act(given))
        except ForeshockError as exc:
            self.say(str(exc), bad=True)
        except Exception:  # a person waits for an answer
            logger.exception("%s on a page of the dashboard failed", given.get("name"))
            self.say("That failed for a reason of Foreshock's own; the log of the node says more.", bad=True)
        finally:
            self.client.run_javascript(f"acted({msgspec.json.encode(key).decode()})")
        await self.refresh()

    def _misread(self) -> None:
        """Say where the address asks for something that there cannot be, so that nobody takes one tenant for another."""
        query, view = self.client.request.query_params, self.view
        shown = {"tenant": view.tenant, "range": view.range}
        for name, taken in shown.items():
            asked = query.get(name, taken)
            if asked != taken:
                said = f"The address asks for the {name} {asked[:_MOST_SAID]!r}, which there cannot be: shown is {taken}."
                Section(
                    h("section.panel", h("p", h("span.chip", f"another {name}", data_status="warn"), f" {said}"), role="alert")
                )

    async def _opens(self, event: GenericEventArguments) -> None:
        name, opened = str(dict(event.args).get("name", "")), bool(dict(event.args).get("open"))
        if not opened:
            self.opened.discard(name)
        elif len(self.opened) < _MOST_OPENED:
            self.opened.add(name)
            await self.refresh()

    def _keep(self, build: Callable[[], object], show: Callable[[Any], object], shown: object) -> None:
        self._parts.append((build, show))
        self._shown.append(shown)

    def _top(self, place: tuple[str, ...]) -> Markup:
        view = self.view
        links = [
            h("li", h("a", text, href=view.link(*path), aria_current="page" if path == place[:1] else None))
            for text, path in _LINKS
        ]
        return join(
            [
                h("a.brand", _MARK, "Foreshock", href=view.link()),
                h("nav", h("ul", links), aria_label="Pages"),
                self._scope(),
                h("span.chip", "connecting", id="live", role="status"),
                h("button.plain", "Theme: system", type="button", data_theme_switch=True),
                self._person(),
            ]
        )

    def _person(self) -> Markup | None:
        """Return who is logged in and a way out, None where nobody had to log in."""
        if SESSION not in self.client.request.scope:
            return None
        return h("form", h("button.plain", f"Log out {self.principal.name}"), method="post", action=LOGOUT)

    def _scope(self) -> Markup:
        """Return the form of what all pages are about; choosing loads the page of that."""
        view = self.view
        known = sorted({view.tenant, *filter(self.principal.reaches, tenants(self.sources.cache, view.default))})
        return h(
            "form.scope",
            h("label", "Tenant ", _choice("tenant", {name: name for name in known}, view.tenant, view.default)),
            h("label", "Range ", _choice("range", {name: f"last {name}" for name in RANGES}, view.range, DEFAULT_RANGE)),
            h("button", "Show", hidden=True),
            method="get",
        )


def _built(build: Callable[[], T]) -> T | _Unread:
    """Return what a part holds, or why it cannot be said; the other parts are shown either way."""
    try:
        return build()
    except ForeshockError as exc:
        logger.warning("a part of a page of the dashboard could not be read: %s", exc)
        return _Unread(str(exc))
    except Exception:
        logger.exception("a part of a page of the dashboard could not be read")
        return _Unread("The log of the node says why")


def _markup(content: Markup | _Unread) -> Markup:
    return content.markup() if isinstance(content, _Unread) else content


def _chart_head(data: ChartData) -> Markup:
    return join([h("h2", data.title), h("span.soft", data.note)])


def panel(title: str, *children: Child, note: Child = None) -> Markup:
    """Return a part of a page under a title, with what is to be said of its age or scope."""
    head = h("header", h("h2", title), h("span.soft", note) if note is not None else None)
    return h("section.panel", head, *children)


def _choice(name: str, options: Mapping[str, str], chosen: str, usual: str) -> Markup:
    shown = [h("option", text, value=value, selected=value == chosen) for value, text in options.items()]
    return h("select", shown, name=name, data_usual=usual)
