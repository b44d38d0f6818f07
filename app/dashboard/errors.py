"""Error groups of a tenant: what fails how often, with the stack trace of the newest one and what is known to help."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote

from app.api.error_news import ErrorNews, news_of
from app.cache.records import ErrorGroup, RecentErrors, ServiceSummary
from app.dashboard import words
from app.dashboard.advice import advised
from app.dashboard.collector import empty
from app.dashboard.frame import Frame
from app.dashboard.markup import Markup, h, join
from app.dashboard.tables import matches, search_box
from features.event import ErrorEvent

__all__ = ["show"]

_MOST = 100  # guessed: who looks for more searches

_Row = tuple[str, ErrorGroup, ErrorEvent | None]


async def show(frame: Frame) -> None:
    """Show the page."""
    content = frame.head("Errors", "errors")
    frame.search(lambda _: None)
    with content:
        await frame.section(
            lambda: h("div.title", h("h1", "Error groups"), h("span.soft", "Like errors together, the newest first."))
        )
        await frame.section(lambda: search_box(frame.view.search, "service, kind, message"), classes="tools")
        await frame.section(lambda: _groups(frame))
    frame.follow("errors", "services")


def _groups(frame: Frame) -> Markup:
    view, since = frame.view, frame.sources.parts.now().timestamp() - frame.view.range_s
    rows = [row for row in _rows(frame) if row[1].last_seen.timestamp() > since and _admits(view.search, row)]
    rows.sort(key=lambda row: row[1].last_seen, reverse=True)
    if not rows:
        return empty(
            "No error in this range",
            "Errors are spans with the status ERROR, server spans that answered 5xx, and log records from ERROR up. ",
            "Look further back with the range above, or search for other words.",
        )
    note = f"{len(rows)} of the last {view.range}{words.cut(len(rows), _MOST)}"
    return h(
        "section.panel",
        h("header", h("h2", "Groups"), h("span.soft", note)),
        h("ul.plain.lines", [_line(frame, row) for row in rows[:_MOST]]),
    )


def _rows(frame: Frame) -> Iterator[_Row]:
    prefix = frame.view.prefix
    for key, recent in frame.sources.cache.all("errors", prefix, RecentErrors).items():
        newest = {event.fingerprint: event for event in recent.events}
        for group in recent.groups:
            yield unquote(key.removeprefix(prefix)), group, newest.get(group.fingerprint)


def _admits(search: str, row: _Row) -> bool:
    service, group, _ = row
    return matches(search, service, group.kind, group.category, group.message, group.exception_type, *group.operations)


def _line(frame: Frame, row: _Row) -> Markup:
    service, group, event = row
    kind = group.kind.replace("_", " ")
    name = f"{service} {group.fingerprint}"
    known = frame.sources.cache.one("services", frame.view.key(service), ServiceSummary)
    retried = "can be retried" if group.retryable else "a retry does not help"
    return h(
        "li",
        h(
            "div",
            h("a", service, href=frame.view.link("service", service)),
            " ",
            h("span.chip", kind, data_status="bad"),
            " ",
            _flag(news_of(group, known, frame.sources.parts.now())),
            h("strong", group.exception_type),
            f" {group.message}",
        ),
        h(
            "div.soft",
            f"{group.count:,} errors since ",
            words.age(group.first_seen),
            ", the last ",
            words.age(group.last_seen),
            f"; {group.category}, {retried}; {', '.join(group.operations)}",
        ),
        h(
            "details",
            h("summary", "Stack trace and advice"),
            [_stack(event), advised(group.advice) if group.advice else None]
            if name in frame.opened
            else h("p.soft", "On its way."),
            data_opens=name,
        ),
        data_key=name,
    )


def _flag(news: ErrorNews) -> Markup | None:
    """Return what is news about a group, None where nothing is."""
    if news.since is None:
        return None
    name = "new" if news.new else "regressed"
    return join([h("span.chip", name, " ", words.age(news.since), data_status="warn"), " "])


def _stack(event: ErrorEvent | None) -> Markup:
    if event is None or not event.stack:
        return h("p.soft", "No stack trace was sent with the errors that are kept of it.")
    trace = h("span", " of trace ", h("code", event.trace_id)) if event.trace_id else None
    return h(
        "div",
        h("p.soft", "The newest one, ", words.age(event.time), trace),
        h("pre", event.stack, tabindex=0, aria_label="Stack trace"),
    )
