"""A service's page: what is forecast of it and why, what it shows beside that, and what people say of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from urllib.parse import quote

from app.cache.records import FeedbackRecord, IncidentRecord, PredictionRecord, RecentErrors, ServiceSummary
from app.cache.symptom_records import HotspotsRecord
from app.dashboard import ongoing, words
from app.dashboard.advice import advised
from app.dashboard.collector import empty
from app.dashboard.frame import ChartData, Frame, Given, panel
from app.dashboard.hotspots import hotspots_panel
from app.dashboard.markup import Child, Markup, h, join
from app.dashboard.past import Past
from app.dashboard.profile_charts import ProfileCharts
from app.dashboard.rights import may
from app.dashboard.tables import button
from features.series import WHOLE
from models.feedback import VERDICTS
from models.prediction import HORIZONS

__all__ = ["STATUSES", "VERDICT_WORDS", "risk_of", "show"]

STATUSES = {
    "warming_up": "warming up: too little data yet",
    "prior": "no model yet: from how often incidents happen and how unusual the present is",
    "ok": "made by a model",
    "in_incident": "an incident goes on",
    "stale": "stale: a newer one is overdue",
}
"""What a prediction's status means."""

VERDICT_WORDS = {
    "confirmed": "It was right",
    "false_alarm": "False alarm",
    "prevented": "We prevented it",
    "expected": "It was expected",
}
"""What a button says, by the verdict that it gives; a miss is told of an interval, over REST."""

_HIGH, _MIDDLE = 0.5, 0.2  # as the table of services
_HISTORY_S = 60.0  # charts are read anew as often, since history grows without a document that says so
_LAST = 8

assert set(VERDICT_WORDS) <= set(VERDICTS)


def risk_of(probability: float) -> str:
    """Return the class of a probability: ``high``, ``middle`` or ``low``.

    Examples
    --------
    >>> risk_of(0.61), risk_of(0.2), risk_of(0.01)
    ('high', 'middle', 'low')
    """
    return "high" if probability >= _HIGH else "middle" if probability >= _MIDDLE else "low"


async def show(frame: Frame, service: str, past: Past) -> None:
    """Show the page."""
    page = _Profile(frame, service)
    drawn = ProfileCharts(frame.sources, frame.view, service, past)
    content = frame.head(service, "service")
    frame.acts |= {"verdict": page.verdict, "undo": page.take_back}
    with content:
        await frame.section(page.headline)
        await frame.section(page.why, classes="two")
        for draw in (drawn.forecasts, drawn.errors, drawn.latency, drawn.traffic):
            await frame.chart(partial(page.drawn, draw))
        await frame.section(page.beside, classes="two")
    frame.follow(
        "predictions", "trends", "incidents", "errors", "feedback", "models", "services", "hotspots", every_s=_HISTORY_S
    )


class _Profile:
    """What the sections hold."""

    def __init__(self, frame: Frame, service: str) -> None:
        self._frame = frame
        self._service = service
        self._cache = frame.sources.cache
        self._view = frame.view

    def prediction(self) -> PredictionRecord | None:
        return self._cache.one("predictions", self._view.key(self._service, WHOLE), PredictionRecord)

    def incident(self) -> IncidentRecord | None:
        """Return the open incident of the service, or of one of its operations."""
        known = self._cache.all("incidents", self._view.prefix, IncidentRecord).values()
        return ongoing.by_service(known).get(self._service)

    def headline(self) -> Markup:
        record = self.prediction()
        if record is None:
            known = h("a", "The services by risk", href=self._view.link())
            return join(
                [
                    h("div.title", h("h1", self._service)),
                    empty(
                        "No prediction of this service",
                        f"Tenant {self._view.tenant} has sent nothing of it lately, or it is spelt otherwise. ",
                        known,
                        " are all that is known.",
                    ),
                ]
            )
        incident = self.incident()
        late = self._frame.sources.parts.now() > record.expires_at or self._cache.overtaken(record)
        status = ongoing.status_of(record.status, incident, late)
        over = record.expires_at.timestamp()
        chip = h("span.chip", status.replace("_", " "), data_status=status, data_expires=f"{over:.0f}")
        title = h(
            "div.title", h("h1", self._service), chip, h("span.soft", STATUSES[status], ", as of ", words.age(record.as_of))
        )
        told = self._chances(record) if ongoing.foretold(record.status, incident) else self._no_chances(record, incident)
        begun = [self._begun(incident)] if incident is not None else []
        return join([title, h("section.panel", h("dl.facts", begun, told, self._summary()))])

    def _begun(self, incident: IncidentRecord) -> list[Markup]:
        """Return since when an incident is open, and what was forecast before it."""
        of = "Incident open" if incident.operation == WHOLE else f"Incident of {incident.operation} open"
        link = h("a.high", words.age(incident.start, lasting=True), href=self._view.link("incident", incident.id))
        since = h("small", f"since {words.clock(incident.start)}, {incident.category}, told by {incident.source}")
        before = (incident.predicted or {}).get("60min")
        said = h("small", "within 60 min" if before is not None else "there was none")
        return [
            h("div", h("dt", of), h("dd", link, since)),
            h("div", h("dt", "Forecast at its start"), h("dd", words.percent(before), said)),
        ]

    def _no_chances(self, record: PredictionRecord, incident: IncidentRecord | None) -> list[Markup]:
        """Return why there is no chance that one begins, and what the models say all the same, as REST does."""
        numbers = ", ".join(words.percent(record.horizons[name].probability) for name in HORIZONS)
        minutes = ", ".join(str(seconds // 60) for seconds in HORIZONS.values())
        why = f"no question while one is open: models never learned from such a time (they say {numbers} within {minutes} min)"
        facts = [h("div.long", h("dt", "An incident begins"), h("dd.soft", words.DASH, h("small", why)))]
        if incident is None:
            every = h("a.high", "open", href=self._view.link("incidents"))
            facts.insert(0, h("div", h("dt", "Incident"), h("dd", every, h("small", "not listed yet"))))
        return facts

    def _chances(self, record: PredictionRecord) -> list[Markup]:
        def one(name: str) -> Markup:
            chance = record.horizons[name]
            share = h(f"span.{risk_of(chance.probability)}", words.percent(chance.probability))
            minutes = HORIZONS[name] // 60
            note = h("small", f"{words.band(chance.lower, chance.upper)}")
            return h("div", h("dt", f"An incident begins within {minutes} min"), h("dd", share, note))

        return [one(name) for name in HORIZONS]

    def _summary(self) -> Child:
        found = self._cache.one("services", self._view.key(self._service), ServiceSummary)
        if found is None:
            return None
        seen = h("small", words.age(found.last_seen))
        facts = (
            ("Traffic", words.rate(found.requests_per_minute, "requests"), seen),
            ("Failed", words.percent(found.error_ratio), seen),
            ("Instances", str(found.instances), h("small", "version ", ", ".join(found.versions[-3:]) or words.DASH)),
        )
        return [h("div", h("dt", name), h("dd", value, note)) for name, value, note in facts]

    def drawn(self, draw: Callable[[], ChartData]) -> ChartData | None:
        """Draw a chart; of a service that is not known there is none."""
        return None if self.prediction() is None else draw()

    def why(self) -> Markup:
        record = self.prediction()
        if record is None:
            return Markup("")
        return join([self._reasons(record), self._say(record)])

    def _reasons(self, record: PredictionRecord) -> Markup:
        incident = self.incident()
        told = ongoing.foretold(record.status, incident)
        rows = self._goes_on(record, incident)
        for reason in record.reasons:
            moved = f" ({reason.group}, {reason.contribution:+.2f} logit at 60 min)" if told else f" ({reason.group})"
            rows.append(h("li", reason.text, h("span.soft", moved)))
        expected = ", ".join(f"{one.category} {words.percent(one.probability)}" for one in record.categories) if told else ""
        advice = record.explanation.advice[:1] if record.explanation else ()
        return panel(
            "Why" if told else "What it shows",
            h("ul.plain.lines", rows) if rows else h("p.soft", _nothing(record)),
            h("p.soft", f"If one begins, it is likely of: {expected}.") if expected else None,
            [h("details", h("summary", f"What helps against {one.kind.replace('_', ' ')}"), advised(one)) for one in advice],
            note=["model ", record.model_version, ", ", words.age(record.as_of)],
        )

    def _goes_on(self, record: PredictionRecord, incident: IncidentRecord | None) -> list[Markup]:
        """Return what goes on by now, before what the forecast looked at."""
        rows = list[Markup]()
        if incident is not None:
            link = h("a", "Likely causes, how it spread, what to do", href=self._view.link("incident", incident.id))
            rows.append(h("li", link))
        elif record.status == ongoing.IN_INCIDENT:
            rows.append(h("li", "An incident is open."))
        unusual = ongoing.abnormal(record.anomaly, self._frame.sources.tick_s)
        if unusual:
            since = record.anomaly.since
            rows.append(h("li", unusual, h("span.soft", " (began ", words.age(since), ")") if since else None))
        return rows

    def _say(self, record: PredictionRecord) -> Markup:
        buttons = [
            h(
                "button",
                text,
                type="button",
                data_act="verdict",
                data_value=f"{verdict} {record.id}",
                data_ask=f"{text}?",
                data_detail=f"Your verdict on the prediction of {self._service} as of {words.clock(record.as_of)}. It can be taken back, not rewritten.",
                data_fields="who why",
                data_verb="Say so",
            )
            for verdict, text in VERDICT_WORDS.items()
            if may("verdict")
        ]
        said = self._cache.all("feedback", self._view.prefix, FeedbackRecord).values()
        own = sorted((one for one in said if one.service == self._service), key=lambda one: one.received_at, reverse=True)
        undone = {one.undoes for one in own}
        lines = [_verdict_line(one, one.undoes is None and one.id not in undone) for one in own[:_LAST]]
        incident = self.incident()
        page = h("a", "its page", href=self._view.link("incident", incident.id)) if incident is not None else None
        return panel(
            "What really happened",
            h("p.soft", "These are about the forecast. What the incident was, say on ", page, ".")
            if page and buttons
            else None,
            h("div.buttons", buttons),
            h("ul.plain.lines", lines)
            if lines
            else h("p.soft", "Nobody has said anything yet. What you say here is learned from at the next training."),
            note=words.counted(sum(one.undoes is None for one in own), "verdict") if own else None,
        )

    async def verdict(self, given: Given) -> str:
        """Give a verdict on the prediction that the person saw, which may not be the newest one any more."""
        verdict, _, prediction = given["value"].partition(" ")
        body = {
            "verdict": verdict,
            "prediction_id": prediction,
            "who": given.get("who") or "unknown",
            "why": given.get("why", ""),
        }
        await self._frame.rest.post("/feedback", body)
        return "Thank you: it is kept, and learned from at the next training."

    async def take_back(self, given: Given) -> str:
        """Take a verdict back."""
        body = {"who": given.get("who") or "unknown", "why": given.get("why", "")}
        await self._frame.rest.post(f"/feedback/{quote(given['value'], safe='')}:undo", body)
        return "It is taken back, and counts as if it had never been said."

    def beside(self) -> Markup:
        if self.prediction() is None:
            return Markup("")
        recent = self._cache.one("errors", self._view.key(self._service), RecentErrors) or RecentErrors()
        groups = sorted(recent.groups, key=lambda group: group.last_seen, reverse=True)[:_LAST]
        lines = [
            h(
                "li",
                h("strong", group.kind.replace("_", " ")),
                f" {group.message} ",
                h("span.soft", f"{group.count:,} errors, last ", words.age(group.last_seen)),
            )
            for group in groups
        ]
        more = h("a", "all with stack traces", href=self._view.link("errors", search=self._service))
        return join(
            [
                panel(
                    "Errors lately",
                    h("ul.plain.lines", lines) if lines else h("p.soft", "None is kept of it."),
                    note=more if lines else None,
                ),
                self._hotspots(),
                self._versions(),
            ]
        )

    def _hotspots(self) -> Markup:
        found = self._cache.one("hotspots", self._view.key(self._service), HotspotsRecord)
        return hotspots_panel(found)

    def _versions(self) -> Markup:
        found = self._cache.one("services", self._view.key(self._service), ServiceSummary)
        if found is None:
            return Markup("")
        operations = ", ".join(name for name in found.operations if name != WHOLE)
        folded = " Further ones are counted together as _other." if found.operations_folded else ""
        return panel(
            "What it is",
            h("p", h("strong", "Versions: "), ", ".join(found.versions) or "none was named"),
            h("p", h("strong", "Operations: "), operations or "none of its own", folded),
            h("p", h("strong", "Known since: "), words.age(found.first_seen)),
            note=["as of ", words.age(found.last_seen)],
        )


def _nothing(record: PredictionRecord) -> str:
    """Return what to say where neither a reason nor an incident nor an anomaly is there."""
    if record.explanation is None:
        return "This forecast was not taken apart: only those of the riskiest series are (models.explain_series)."
    if record.model_version == "prior":
        return "Nothing sets it apart from what the tenant's series usually show now, which it is compared with before there is a model."
    return "Nothing stands out against a quiet series."


def _verdict_line(one: FeedbackRecord, standing: bool) -> Markup:
    taken = "took back: " if one.undoes else ""
    why = f": {one.why}" if one.why else ""
    return h(
        "li",
        h("strong", f"{taken}{one.verdict.replace('_', ' ')}"),
        why,
        h("span.soft", f" by {one.who}, ", words.age(one.received_at)),
        [" ", button("Take back", "undo", one.id, ask="Take this verdict back?", fields="who why", verb="Take back")]
        if standing
        else None,
        data_key=one.id,
    )
