"""Calls about incidents, their groups, and the steps of plans.

Each describes one route of the API and is a method of both clients.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, TypedDict, Unpack

import pandas as pd

from app.api.alertmanager import WebhookOut
from app.api.group_schemas import GroupedIncidentOut, GroupOut, IncidentDetailOut, PostedOut
from app.client.exchange import Request, Steps, document
from app.client.methods import Method
from app.client.pages import listed

__all__ = ["GroupsWanted", "IncidentsWanted", "Troubles"]


class IncidentsWanted(TypedDict, total=False):
    """Which incidents to list; all without any."""

    limit: int | None
    service: str | None
    operation: str | None
    state: Literal["all", "open", "ended"]
    since: datetime | None
    """Incidents that were not over at this time."""
    until: datetime | None
    """Incidents that began before this time."""
    group_id: str | None
    """Incidents of this group."""


class GroupsWanted(TypedDict, total=False):
    """Which groups of incidents to list; all without any."""

    limit: int | None
    service: str | None
    state: Literal["all", "open", "ended"]
    since: datetime | None
    """Groups that were not over at this time."""


class Troubles:
    """Calls about incidents, their groups, and the steps of plans."""

    @Method
    @staticmethod
    def incidents(**wanted: Unpack[IncidentsWanted]) -> Steps[pd.DataFrame]:
        """List incidents, newest first; `predicted_60min` is what had been predicted when one began.

        Parameters
        ----------
        **wanted
            See `IncidentsWanted`.
        """
        return listed(GroupedIncidentOut, "GET /api/v1/incidents", wanted)

    @Method
    @staticmethod
    def incident(incident_id: str) -> Steps[IncidentDetailOut]:
        """Show one incident, with causes, spread and plan of its group."""
        return document(IncidentDetailOut, Request("GET /api/v1/incidents/{incident_id}", {"incident_id": incident_id}))

    @Method
    @staticmethod
    def groups(**wanted: Unpack[GroupsWanted]) -> Steps[pd.DataFrame]:
        """List groups of incidents, newest first.

        Parameters
        ----------
        **wanted
            See `GroupsWanted`.
        """
        return listed(GroupOut, "GET /api/v1/groups", wanted)

    @Method
    @staticmethod
    def group(group_id: str) -> Steps[GroupOut]:
        """Show one group of incidents: what began where, how it spread, and what to do."""
        return document(GroupOut, Request("GET /api/v1/groups/{group_id}", {"group_id": group_id}))

    @Method
    @staticmethod
    def post_step(incident_id: str, step: int, *, who: str = "unknown", why: str = "") -> Steps[PostedOut]:
        """Post a step of an incident's plan to the runbook webhook.

        Raises
        ------
        Refused
            When no runbook is configured.
        NotFound
            When there is no such step.
        Unavailable
            When the receiver does not take it.
        """
        names = {"incident_id": incident_id, "step": str(step)}
        route = "POST /api/v1/incidents/{incident_id}/plan/{step}:post"
        return document(PostedOut, Request(route, names, body={"who": who, "why": why}, once=True))

    @Method
    @staticmethod
    def take_alerts(alerts: Sequence[Mapping[str, object]]) -> Steps[WebhookOut]:
        """Report alerts of one's own as incidents, in the shape of Alertmanager's webhook.

        Parameters
        ----------
        alerts : sequence of mapping
            Each with `status` (``firing`` or ``resolved``), `labels` (of which one names the service), `startsAt`, when it is resolved
            `endsAt`, and `fingerprint`. To send one again changes nothing.
        """
        body = {"version": "4", "alerts": list(alerts)}
        return document(WebhookOut, Request("POST /api/v1/webhooks/alertmanager", body=body, harmless=True))
