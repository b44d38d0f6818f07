"""The incidents of a tenant: groups of those that belong together first, then each of them, newest first."""

from __future__ import annotations

from collections.abc import Iterator

from app.cache.group_records import GroupRecord
from app.cache.records import IncidentRecord
from app.dashboard import words
from app.dashboard.collector import empty
from app.dashboard.frame import Frame, panel
from app.dashboard.markup import Markup, h, join
from app.dashboard.tables import matches, search_box, table

__all__ = ["show", "state_chip"]

_NAMED = 12  # services in a row; guessed
_MOST = 200  # guessed: who looks for more searches, or reads them over REST


async def show(frame: Frame) -> None:
    """Show the page."""
    page = _Incidents(frame)
    content = frame.head("Incidents", "incidents")
    frame.search(lambda _: None)
    with content:
        await frame.section(
            lambda: h("div.title", h("h1", "Incidents"), h("span.soft", "What was observed or reported, newest first."))
        )
        await frame.section(lambda: search_box(frame.view.search, "service or category"), classes="tools")
        await frame.section(page.groups)
        await frame.section(page.incidents)
    frame.follow("incidents", "groups")


def state_chip(lasts: bool) -> Markup:
    """Return whether something lasts or is over."""
    return h("span.chip", "lasts", data_status="bad") if lasts else h("span.chip", "over", data_status="good")


class _Incidents:
    """What the sections hold."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._cache = frame.sources.cache

    def groups(self) -> Markup:
        view = self._frame.view
        since = self._frame.sources.parts.now().timestamp() - view.range_s
        found = [
            group
            for group in self._cache.all("groups", view.prefix, GroupRecord).values()
            if (group.end is None or group.end.timestamp() > since)
            and matches(view.search, group.id, *(one.service for one in group.services))
        ]
        if not found:
            return Markup("")
        found.sort(key=lambda group: group.start, reverse=True)
        return panel(
            "Those that belong together",
            table(
                ("Began", "State", "Lasted", "Likely cause", "Services", "Reaches"),
                [self._group_row(one) for one in found[:_MOST]],
                keys=[one.id for one in found],
            ),
            note=f"{len(found)} of the last {view.range} or open{words.cut(len(found), _MOST)}",
        )

    def _group_row(self, group: GroupRecord) -> list[Markup]:
        cause = group.causes[0] if group.causes else None
        radius = group.blast_radius
        began = h(
            "a",
            words.age(group.start),
            href=self._frame.view.link("incident", group.incidents[0] if group.incidents else group.id),
        )
        return [
            began,
            state_chip(group.end is None),
            words.span(group.start, group.end),
            h("span", cause.service, h("span.soft", f" {words.percent(cause.score)}"))
            if cause
            else h("span.soft", "not known yet"),
            h("span", ", ".join(one.service for one in group.services[:_NAMED]) + _more(len(group.services))),
            h("span", f"{words.rate(radius.requests_per_minute, 'requests')}, {words.percent(radius.failing_share)} fail"),
        ]

    def incidents(self) -> Markup:
        view = self._frame.view
        found = sorted(self._found(), key=lambda one: one.start, reverse=True)
        if not found:
            return empty(
                "No incident in this range",
                "An incident begins when a service's errors are above what is normal for some windows, or its traffic stays away. ",
                "Look further back with the range above, or report one: ",
                h("code", "POST /api/v1/feedback"),
                " with the verdict missed.",
            )
        rows = [self._row(one) for one in found[:_MOST]]
        note = f"{len(found)} of the last {view.range} or open{words.cut(len(found), _MOST)}"
        return panel(
            "Each of them",
            table(
                ("Service", "State", "Began", "Lasted", "Category", "Forecast at its start", "Told by"),
                rows,
                keys=[one.id for one in found],
            ),
            note=note,
        )

    def _found(self) -> Iterator[IncidentRecord]:
        view = self._frame.view
        since = self._frame.sources.parts.now().timestamp() - view.range_s
        for one in self._cache.all("incidents", view.prefix, IncidentRecord).values():
            recent = one.end is None or one.end.timestamp() > since
            if recent and matches(view.search, one.service, one.operation, one.category, one.source):
                yield one

    def _row(self, one: IncidentRecord) -> list[Markup]:
        view = self._frame.view
        predicted = (one.predicted or {}).get("60min")
        said = f"{words.percent(predicted)} within 60 min" if predicted is not None else "none"
        operation = h("span.soft", f" {one.operation}") if one.operation != "*" else None
        return [
            join([h("a", one.service, href=view.link("incident", one.id)), operation]),
            state_chip(one.end is None),
            words.age(one.start),
            words.span(one.start, one.end),
            h("span", one.category),
            h("span", said),
            h("span", one.source),
        ]


def _more(number: int) -> str:
    return f" and {number - _NAMED} more" if number > _NAMED else ""
