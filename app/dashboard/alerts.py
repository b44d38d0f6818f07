"""Alerts and silences: what is firing, what is kept quiet and why, and the buttons of who is on call.

Links of notices lead here with ``alert`` in the URL: that alert is shown first, also when it is long over.
"""

from __future__ import annotations

from app.cache.alert_records import ALERT_STATES, AlertRecord, SilenceRecord
from app.dashboard import duty, words
from app.dashboard.budgets import budgets_panel
from app.dashboard.collector import empty
from app.dashboard.explained import asked_of, explained_panel
from app.dashboard.frame import Frame, Given, panel
from app.dashboard.markup import Child, Markup, h, join
from app.dashboard.rest import Reading
from app.dashboard.tables import button, matches, search_box, table

__all__ = ["show"]

_TONES = {"firing": "bad", "pending": "warn", "acknowledged": "info", "resolved": "good"}
_ORDER = {state: place for place, state in enumerate(sorted(ALERT_STATES, key=lambda state: state != "firing"))}
_HEADS = ("State", "Service", "Why", "Since", "Rule", "Do")
_MOST = 200  # guessed: who looks for more searches


async def show(frame: Frame) -> None:
    """Show the page."""
    query = frame.client.request.query_params
    page = _Alerts(frame, query.get("alert", ""))
    content = frame.head("Alerts", "alerts")
    explained = await asked_of(frame.rest, query)
    frame.reads.append(page.read.read)
    await page.read.read()
    frame.search(lambda _: None)
    frame.acts |= {"acknowledge": page.acknowledge, "silence": page.silence, "end": page.end}
    with content:
        await frame.section(
            lambda: h("div.title", h("h1", "Alerts"), h("span.soft", "What people are told, and what is kept from them."))
        )
        await frame.section(lambda: search_box(frame.view.search, "service, rule or state"), classes="tools")
        await frame.section(page.linked)
        await frame.section(page.alerts)
        await frame.section(page.silences)
        await frame.section(lambda: explained_panel(frame.view, explained))
        await frame.section(page.routes)
    frame.follow("alerts", "silences")


class _Alerts:
    """What the sections hold, and what the buttons do."""

    def __init__(self, frame: Frame, alert: str) -> None:
        self._frame = frame
        self._alert = alert
        self._cache = frame.sources.cache
        self.read = Reading(frame.rest, "/alert-routes", frame.sources.parts.now)

    def routes(self) -> Markup:
        return budgets_panel(self.read.answer["items"], self.read.at)

    def linked(self) -> Markup:
        """Return the alert that the address names."""
        if not self._alert:
            return Markup("")
        one = self._cache.one("alerts", self._frame.view.key(self._alert), AlertRecord)
        if one is None:
            return empty("No such alert", "It is no longer kept, or of another tenant.")
        title = f"The alert of {one.service}"
        return panel(
            title,
            table(_HEADS, [self._row(one)]),
            self._incident(one),
            note=["fired ", words.age(one.fired_at or one.started_at)],
        )

    def _incident(self, one: AlertRecord) -> Markup | None:
        """Return the way to what happened there."""
        if not one.group_id:
            return None
        link = self._frame.view.link("incident", one.group_id)
        return h("p", h("a", "Its incident, with likely causes and what to do", href=link))

    def alerts(self) -> Markup:
        view = self._frame.view
        since = self._frame.sources.parts.now().timestamp() - view.range_s
        found = [
            alert
            for alert in self._cache.all("alerts", view.prefix, AlertRecord).values()
            if (alert.ended_at is None or alert.ended_at.timestamp() > since)
            and matches(view.search, alert.service, alert.operation, alert.rule, alert.state)
        ]
        if not found:
            return empty(
                "No alert in this range",
                "Alerts come from rules on predictions, anomalies and incidents. Give a route an alert budget in the settings to have some, ",
                "or look further back with the range above.",
            )
        found.sort(key=lambda one: (_ORDER[one.state], -one.started_at.timestamp()))
        firing = sum(one.state == "firing" for one in found)
        return panel(
            "Alerts",
            table(_HEADS, [self._row(one) for one in found[:_MOST]], keys=[one.id for one in found]),
            note=f"{firing} firing, {len(found)} of the last {view.range} or open{words.cut(len(found), _MOST, 'first')}",
        )

    def _row(self, one: AlertRecord) -> list[Child]:
        view = self._frame.view
        chip = h("span.chip", one.state, data_status=_TONES.get(one.state, ""))
        shadow = h("div.soft", "shadow: told to nobody") if one.shadow else None
        chance = None
        if one.probability is not None:
            within = f" within {one.horizon.removesuffix('min')} min" if one.horizon else ""
            chance = h("div", f"{words.percent(one.probability)}{within}, from {words.percent(one.threshold)} on")
        operation = h("div.soft", one.operation) if one.operation != "*" else None
        reasons = [h("div.soft", reason) for reason in one.reasons[:2]]
        return [
            join([chip, shadow, self._because(one)]),
            join([h("a", one.service, href=view.link("service", one.service)), operation]),
            h("div", chance, reasons),
            join([words.age(one.started_at), h("div.soft", "checked ", words.age(one.updated_at))]),
            one.rule,
            self._buttons(one),
        ]

    def _because(self, one: AlertRecord) -> Markup | None:
        """Say who or what keeps an alert quiet."""
        if one.acknowledged_by:
            when = [" ", words.age(one.acknowledged_at)] if one.acknowledged_at else None
            return h("div.soft", f"by {one.acknowledged_by}", when)
        if one.state == "inhibited" and one.inhibited_by:
            other = self._cache.one("alerts", self._frame.view.key(one.inhibited_by), AlertRecord)
            return h("div.soft", f"by that of {other.service}" if other else "by that of its cause")
        return None

    def _buttons(self, one: AlertRecord) -> Markup | None:
        if one.state == "resolved":
            return None
        detail = "Nobody is told of it again while you look after it."
        look = button(
            "Acknowledge",
            "acknowledge",
            one.id,
            ask=f"Look after the alert of {one.service}?",
            detail=detail,
            fields="who",
            verb="Acknowledge",
        )
        quiet = button(
            "Silence",
            "silence",
            one.service,
            ask=f"Silence {one.service}?",
            detail="Its alerts are written down and told to nobody for that time.",
            fields="minutes who why",
            verb="Silence",
        )
        return h(
            "div.buttons", look if one.state in {"firing", "pending"} else None, quiet if one.state != "silenced" else None
        )

    def silences(self) -> Markup:
        view, now = self._frame.view, self._frame.sources.parts.now()
        found = [
            one
            for one in self._cache.all("silences", view.prefix, SilenceRecord).values()
            if one.ended_at is None and (one.end > now or one.repeats)
        ]
        if not found:
            return panel(
                "Silences",
                h("p.soft", "None. An alert's button Silence makes one; maintenance that comes again is told over REST."),
            )
        found.sort(key=lambda one: one.end)
        heads, rows = ("What", "Began", "Ends", "By", "Why", "Do"), [self._silence_row(one) for one in found[:_MOST]]
        return panel(
            "Silences",
            table(heads, rows, keys=[one.id for one in found]),
            note=f"{len(found)}{words.cut(len(found), _MOST, 'first')}",
        )

    def _silence_row(self, one: SilenceRecord) -> list[Child]:
        what = ", ".join(f"{each.label} {'is' if each.equal else 'is not'} {each.pattern}" for each in one.matchers)
        again = h("div.soft", f"every {one.repeats}") if one.repeats else None
        ask = {"ask": "Let these alerts speak again?", "detail": what, "fields": "who", "verb": "End the silence"}
        return [
            what,
            words.age(one.start),
            join([words.age(one.end), again]),
            one.author,
            one.comment,
            button("End", "end", one.id, **ask),
        ]

    async def acknowledge(self, given: Given) -> str:
        """Look after an alert."""
        return await duty.acknowledge(self._frame.rest, given["value"], given.get("who", ""))

    async def silence(self, given: Given) -> str:
        """Keep a service's alerts quiet."""
        said = given.get("who", ""), given.get("why", "")
        return await duty.silence(
            self._frame.rest, given["value"], given.get("minutes", ""), self._frame.sources.parts.now(), said
        )

    async def end(self, given: Given) -> str:
        """End a silence."""
        return await duty.end_silence(self._frame.rest, given["value"], given.get("who", ""))
