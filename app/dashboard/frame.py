"""What all pages have in common: the head with its links, tenant and range, sections that are kept up to date, and acts.

A page says what its sections hold as functions that return markup or a chart; they run in a thread when the page is opened
and when something changed that it follows, and only what became other is pushed to the browser.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

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
from app.dashboard.sources import RANGES, Sources, View, tenants
from app.edge.gate import SESSION
from app.edge.login import LOGOUT
from features.errors import ForeshockError

__all__ = ["STATIC", "Act", "Chart", "ChartData", "Frame", "Given", "panel"]

STATIC = Path(__file__).parent / "static"

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
    """

    def __init__(self, sources: Sources, live: Live, client: Client) -> None:
        self.sources = sources
        self.client = client
        self.view = View.of(client.request.query_params, sources.parts.default_tenant)
        self.principal = principal_of(client.request.scope)
        self.rest = Rest(sources.rest, self.view.tenant, client.request.scope)
        self.acts: dict[str, Act] = {}
        self._live = live
        self._parts: list[tuple[Callable[[], object], Callable[[Any], object]]] = []
        self._shown: list[object] = []

    def head(self, title: str, *place: str) -> Element:
        """Make the head of the page, and return what holds its content."""
        self.client.title = f"{title} · Foreshock"
        now = self.sources.parts.now().timestamp()
        ui.add_head_html(h("meta", name="foreshock-now", content=f"{now:.3f}"))
        content = ui.element("div").props("id=content tabindex=-1")
        with self.client.layout:
            skip = ui.html(h("a.skip", "Skip to the content", href="#content"), sanitize=False)
            top = ui.html(self._top(place), sanitize=False, tag="header").classes("top")
        for number, element in enumerate((skip, top)):  # before what holds the content, which NiceGUI makes first
            element.move(target_index=number)
        ui.on("act", self._act)
        return content

    async def section(self, build: Callable[[], Markup], tag: str = "div", classes: str = "") -> None:
        """Add markup that is built anew when something changed."""
        build = shown_to(self.principal, build)
        content = await to_thread.run_sync(build)
        element = ui.html(content, sanitize=False, tag=tag).classes(classes)
        self._keep(build, element.set_content, content)

    async def chart(self, build: Callable[[], ChartData]) -> None:
        """Add a panel with a chart that is built anew when something changed."""
        data = await to_thread.run_sync(build)
        with ui.element("section").classes("panel"):
            head = ui.html(_chart_head(data), sanitize=False, tag="header")
            chart = Chart(data)

        def show(data: ChartData) -> None:
            head.set_content(_chart_head(data))
            chart.show(data)

        self._keep(build, show, data)

    def follow(self, *buckets: str, every_s: float | None = None) -> None:
        """Keep the sections up to date from now on, until the browser is gone."""
        self.client.on_delete(self._live.follow(buckets, self.refresh, every_s))

    async def refresh(self) -> None:
        """Build all sections anew and push those that are not as they were."""
        built = await to_thread.run_sync(lambda: [build() for build, _ in self._parts])
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
        act = self.acts.get(given.get("name", ""))
        if act is None:
            return
        try:
            self.say(await act(given))
        except ForeshockError as exc:
            self.say(str(exc), bad=True)
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
            h("input", type="hidden", name="q", value=view.search) if view.search else None,
            h("label", "Tenant ", _choice("tenant", {name: name for name in known}, view.tenant)),
            h("label", "Range ", _choice("range", {name: f"last {name}" for name in RANGES}, view.range)),
            h("noscript", h("button", "Show")),
            method="get",
        )


def _chart_head(data: ChartData) -> Markup:
    return join([h("h2", data.title), h("span.soft", data.note)])


def panel(title: str, *children: Child, note: Child = None) -> Markup:
    """Return a part of a page under a title, with what is to be said of its age or scope."""
    head = h("header", h("h2", title), h("span.soft", note) if note is not None else None)
    return h("section.panel", head, *children)


def _choice(name: str, options: Mapping[str, str], chosen: str) -> Markup:
    return h("select", [h("option", text, value=value, selected=value == chosen) for value, text in options.items()], name=name)
