"""One incident's page: what is known of it and of those that belong to it, how it spread, its likely causes, and what to do."""

from __future__ import annotations

from app.cache.group_records import GroupRecord
from app.cache.records import IncidentRecord
from app.cache.symptom_records import EdgesRecord
from app.dashboard import words
from app.dashboard.collector import empty
from app.dashboard.frame import ChartData, Frame, Given, panel
from app.dashboard.incidents import state_chip
from app.dashboard.markup import Child, Markup, h, join
from app.dashboard.spread import UNKNOWN, Call, spread
from app.dashboard.steps import plan_panel, post_step
from app.dashboard.tables import button, table

__all__ = ["show"]

_VERDICTS = {"confirmed": "It was one", "false_alarm": "False alarm", "expected": "It was expected"}


async def show(frame: Frame, incident: str) -> None:
    """Show the page."""
    page = _Incident(frame, incident)
    content = frame.head("Incident", "incidents")
    frame.acts |= {"verdict": page.verdict, "post": page.post}
    with content:
        await frame.section(page.headline)
        await frame.section(page.advice, classes="two")
        await frame.chart(page.propagation)
        await frame.section(page.account, classes="two")
    frame.follow("incidents", "groups", "edges", "predictions", "feedback")


class _Incident:
    """What the sections hold."""

    def __init__(self, frame: Frame, incident: str) -> None:
        self._frame = frame
        self._id = incident
        self._cache = frame.sources.cache
        self._view = frame.view

    def record(self) -> IncidentRecord | None:
        known = self._cache.one("incidents", self._view.key(self._id), IncidentRecord)
        if known is not None:
            return known
        group = self.group()  # the address may name a group
        first = group.incidents[0] if group and group.incidents else ""
        return self._cache.one("incidents", self._view.key(first), IncidentRecord) if first else None

    def group(self) -> GroupRecord | None:
        groups = self._cache.all("groups", self._view.prefix, GroupRecord).values()
        named = (group for group in groups if self._id in (group.id, *group.incidents, *group.merged))
        return next(named, None)

    def headline(self) -> Markup:
        record, group = self.record(), self.group()
        if record is None:
            back = h("a", "All incidents", href=self._view.link("incidents"))
            return join(
                [
                    h("div.title", h("h1", "Incident")),
                    empty("No such incident", "It is no longer kept, or of another tenant. ", back, "."),
                ]
            )
        services = [one.service for one in group.services] if group else []
        others = f" and {len(services) - 1} more" if len(services) > 1 else ""
        title = h(
            "div.title",
            h("h1", f"{record.service}{others}"),
            state_chip(record.end is None),
            h(
                "span.soft",
                "began ",
                words.age(record.start),
                ", lasts " if record.end is None else ", lasted ",
                words.span(record.start, record.end),
            ),
        )
        return join([title, h("section.panel", h("dl.facts", self._facts(record, group)))])

    def _facts(self, record: IncidentRecord, group: GroupRecord | None) -> list[Markup]:
        told = (record.predicted or {}).get("60min")
        facts: list[tuple[str, Child, Child]] = [
            ("Forecast at its start", words.percent(told), "within 60 min" if told is not None else "there was none"),
            (
                "Detected after",
                words.duration((record.detected_at - record.start).total_seconds()),
                words.age(record.detected_at),
            ),
            ("Category", record.category, f"told by {record.source}"),
        ]
        if group is not None:
            radius = group.blast_radius
            facts += [
                ("Services", str(radius.services or len(group.services)), "show the trouble"),
                ("Traffic that they take", words.amount(radius.requests_per_minute, "/min"), "requests, at the worst moment"),
                ("Failing", words.percent(radius.failing_share), "of these requests"),
            ]
            if group.recovery_expected_at is not None and group.end is None:
                seen = group.recovery_seen
                facts.append(
                    ("Recovery expected", words.age(group.recovery_expected_at), f"as {words.counted(seen, 'like group')} took")
                )
        return [h("div", h("dt", name), h("dd", value, h("small", note))) for name, value, note in facts]

    def advice(self) -> Markup:
        if self.record() is None:
            return Markup("")
        group = self.group()
        if group is None:
            wait = (
                "Causes, propagation and a plan are here once the tenant's home has looked at it, at the end of the next tick."
            )
            return join([panel("Causes and plan", h("p.soft", wait)), self._say()])
        return join([self._causes(group), plan_panel(group, self._receiver(), _as_of(group))])

    def _causes(self, group: GroupRecord) -> Markup:
        def one(place: int) -> Markup:
            cause = group.causes[place]
            link = h("a", cause.service, href=self._view.link("service", cause.service))
            reasons = [
                h("li", reason.text, h("span.soft", f" ({reason.kind}, {reason.strength:.0f} bits)"))
                for reason in cause.reasons
            ]
            return h(
                "li",
                h("strong", link),
                h("span.soft", f" {words.percent(cause.score)} of what may be the cause"),
                h("ul", reasons),
            )

        rows = [one(place) for place in range(min(len(group.causes), 5))]
        return panel(
            "Likely causes", h("ol.plain.lines", rows) if rows else h("p.soft", "None stands out yet."), note=_as_of(group)
        )

    def propagation(self) -> ChartData | None:
        """Draw how it spread; nothing of an incident that is not known."""
        if self.record() is None:
            return None
        group = self.group()
        return UNKNOWN if group is None else spread(group, self._calls(group))

    def _calls(self, group: GroupRecord) -> list[Call]:
        """Return who calls whom, of the services of the group."""
        records = (self._cache.one("edges", self._view.key(one.service), EdgesRecord) for one in group.services)
        return [(record.caller, one.callee) for record in records if record is not None for one in record.callees]

    def _receiver(self) -> str:
        runbook = self._frame.sources.parts.runbook
        return runbook.receiver if runbook is not None else ""

    def account(self) -> Markup:
        record, group = self.record(), self.group()
        if record is None or group is None:
            return Markup("")
        return join([self._timeline(group), self._before(group), self._services(group), self._similar(group), self._say()])

    def _timeline(self, group: GroupRecord) -> Markup:
        rows = [
            [words.age(one.time), h("span.chip", one.kind.replace("_", " ")), h("span", one.service), h("span", one.text)]
            for one in sorted(group.timeline, key=lambda one: one.time)
        ]
        return panel("Timeline", table(("When", "What", "Where", "In words"), rows), note=_as_of(group))

    def _before(self, group: GroupRecord) -> Markup:
        rows = [
            [
                h("span", one.service),
                words.age(one.as_of),
                h("span", f"{words.percent(one.probability)} within {one.horizon.removesuffix('min')} min"),
                h("span", words.duration(one.lead_s) if one.lead_s else "at its start"),
            ]
            for one in group.predicted_before
        ]
        body = table(("Service", "As of", "Said", "Ahead by"), rows) if rows else h("p.soft", "Nothing was forecast before it.")
        return panel("What was predicted before", body)

    def _services(self, group: GroupRecord) -> Markup:
        rows = [
            [h("a", one.service, href=self._view.link("service", one.service)), words.age(one.since), words.amount(one.errors)]
            for one in sorted(group.services, key=lambda one: one.order)
        ]
        return panel("Services, in the order in which it spread", table(("Service", "Since", "Errors"), rows, (2,)))

    def _similar(self, group: GroupRecord) -> Markup:
        rows = [
            [
                h("a", words.age(one.start), href=self._view.link("incident", one.id)),
                h("span", ", ".join(one.causes)),
                h("span", "; ".join(one.resolved_by) or words.DASH),
            ]
            for one in group.similar
        ]
        none = "None is known. What people write beside their verdicts is shown here the next time."
        return panel("Like ones before", table(("When", "Cause", "Resolved by"), rows) if rows else h("p.soft", none))

    def _say(self) -> Markup:
        buttons = [
            button(
                text,
                "verdict",
                verdict,
                ask=f"{text}?",
                detail="Your verdict on this incident. Say in a few words what resolved it: like incidents show it.",
                fields="who why",
                verb="Say so",
            )
            for verdict, text in _VERDICTS.items()
        ]
        return panel(
            "What really happened",
            h("div.buttons", buttons),
            h("p.soft", "Learned from at the next training; it can be taken back."),
        )

    async def verdict(self, given: Given) -> str:
        """Give a verdict on the incident."""
        record = self.record()
        incident = record.id if record else self._id
        body = {
            "verdict": given["value"],
            "incident_id": incident,
            "who": given.get("who") or "unknown",
            "why": given.get("why", ""),
        }
        await self._frame.rest.post("/feedback", body)
        return "Thank you: it is kept, and learned from at the next training."

    async def post(self, given: Given) -> str:
        """Post a step of the plan to the runbook."""
        record = self.record()
        return await post_step(self._frame.rest, self.group(), record.id if record else self._id, given)


def _as_of(group: GroupRecord) -> Child:
    return ["as of ", words.age(group.updated_at)] if group.updated_at else ["detected ", words.age(group.detected_at)]
