"""Calls about alerts, silences and the routes of alerts.

Each describes one route of the API and is a method of both clients.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, NotRequired, TypedDict, Unpack

import pandas as pd

from app.api.alert_schemas import AlertOut, AlertRouteOut, AlertState, ExplanationsOut, SilenceOut
from app.client.exchange import Request, Steps, ask, document, json_of
from app.client.frames import frame
from app.client.methods import Method
from app.client.pages import items_of, listed

__all__ = ["AlertsWanted", "MatcherGiven", "Notices", "SilenceGiven"]


class AlertsWanted(TypedDict, total=False):
    """Which alerts to list; all without any."""

    limit: int | None
    state: AlertState | Sequence[AlertState]
    """One, or several."""
    service: str | None
    operation: str | None
    rule: str | None
    """The route that made them."""
    shadow: bool | None
    since: datetime | None
    """Alerts that were not over at this time."""
    until: datetime | None
    """Alerts that began before this time."""


class MatcherGiven(TypedDict):
    """What a label must be: a pattern in which ``*`` stands for any characters."""

    label: str
    pattern: str
    equal: NotRequired[bool]
    """False: must not be."""


class SilenceGiven(TypedDict):
    """A silence; with `repeats` a maintenance window."""

    end: datetime
    author: str
    start: NotRequired[datetime | None]
    """Now without it."""
    comment: NotRequired[str]
    repeats: NotRequired[Literal["day", "week"] | None]
    """It comes again, at the same local time of `zone`."""
    zone: NotRequired[str]
    """IANA name."""
    repeats_until: NotRequired[datetime | None]


class Notices:
    """Calls about alerts, silences and the routes of alerts."""

    @Method
    @staticmethod
    def alerts(**wanted: Unpack[AlertsWanted]) -> Steps[pd.DataFrame]:
        """List alerts, newest first.

        Parameters
        ----------
        **wanted
            See `AlertsWanted`.
        """
        return listed(AlertOut, "GET /api/v1/alerts", wanted)

    @Method
    @staticmethod
    def alert(alert_id: str) -> Steps[AlertOut]:
        """Show one alert."""
        return document(AlertOut, Request("GET /api/v1/alerts/{alert_id}", {"alert_id": alert_id}))

    @Method
    @staticmethod
    def explain_alerts(service: str, operation: str = "*", *, at: datetime | None = None) -> Steps[ExplanationsOut]:
        """Say why each route fired for a series at an instant, or why not.

        Parameters
        ----------
        service, operation : str
            Which series; ``*`` is the whole service.
        at : datetime, optional
            Now without it.
        """
        query = {"service": service, "operation": operation, "at": at}
        return document(ExplanationsOut, Request("GET /api/v1/alerts:explain", query=query))

    @Method
    @staticmethod
    def acknowledge(alert_id: str, *, who: str = "unknown") -> Steps[AlertOut]:
        """Say that somebody looks after an alert; to say it again changes nothing.

        Raises
        ------
        Refused
            When it does not fire.
        """
        request = Request(
            "POST /api/v1/alerts/{alert_id}:acknowledge", {"alert_id": alert_id}, body={"who": who}, harmless=True
        )
        return document(AlertOut, request)

    @Method
    @staticmethod
    def silences(*, state: Literal["all", "in_force", "over"] = "all", limit: int | None = None) -> Steps[pd.DataFrame]:
        """List silences and maintenance windows, newest first."""
        return listed(SilenceOut, "GET /api/v1/silences", {"state": state, "limit": limit})

    @Method
    @staticmethod
    def silence(matchers: Sequence[MatcherGiven], **given: Unpack[SilenceGiven]) -> Steps[SilenceOut]:
        """Keep alerts quiet for a time.

        Parameters
        ----------
        matchers : sequence of MatcherGiven
            All must fit the labels of an alert.
        **given
            See `SilenceGiven`.
        """
        return document(SilenceOut, Request("POST /api/v1/silences", body={"matchers": list(matchers), **given}, once=True))

    @Method
    @staticmethod
    def end_silence(silence_id: str, *, who: str = "unknown") -> Steps[SilenceOut]:
        """End a silence now; to end it again changes nothing."""
        return document(SilenceOut, Request("DELETE /api/v1/silences/{silence_id}", {"silence_id": silence_id}, {"who": who}))

    @Method
    @staticmethod
    def alert_routes() -> Steps[pd.DataFrame]:
        """List the routes of alerts with budgets, thresholds, and what each did lately or would have done."""
        route = "GET /api/v1/alert-routes"
        answer = yield from ask(Request(route))
        return frame(AlertRouteOut, items_of(json_of(answer, route), route)[0])
