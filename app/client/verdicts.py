"""Calls about feedback: verdicts are given, taken back and listed.

Each describes one route of the API and is a method of both clients.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, TypedDict, Unpack

import pandas as pd

from app.api.impact_schemas import ImpactOut
from app.api.schemas import FeedbackOut, Verdict
from app.client.exchange import Request, Steps, ask, document, json_of
from app.client.frames import frame
from app.client.methods import Method
from app.client.pages import items_of, listed

__all__ = ["About", "GivenVerdict", "SelectorGiven", "Verdicts", "VerdictsWanted"]


class SelectorGiven(TypedDict, total=False):
    """Many series: an exact name, or None or ``*`` for any."""

    service: str | None
    operation: str | None


class About(TypedDict, total=False):
    """What a verdict is about: exactly one of a prediction, an incident, and an interval of a service or of a selector's services."""

    prediction_id: str | None
    incident_id: str | None
    service: str | None
    operation: str
    """Beside `service`."""
    selector: SelectorGiven | None
    start: datetime | None
    end: datetime | None
    """Behind the interval, which is half-open."""
    repeats: Literal["day", "week"] | None
    """What was expected in the interval comes again, at the same local time."""
    repeats_until: datetime | None
    category: str | None
    who: str
    why: str


class _Said(TypedDict):
    verdict: Verdict


class GivenVerdict(About, _Said):
    """One verdict of a batch."""


class VerdictsWanted(TypedDict, total=False):
    """Which verdicts to list; all without any."""

    limit: int | None
    service: str | None
    operation: str | None
    verdict: Verdict | None
    who: str | None
    prediction_id: str | None
    incident_id: str | None
    state: Literal["all", "standing", "undone"]
    """`standing` leaves out what no longer counts."""
    since: datetime | None
    until: datetime | None


class Verdicts:
    """Calls about feedback."""

    @Method
    @staticmethod
    def feedback(verdict: Verdict, **about: Unpack[About]) -> Steps[FeedbackOut]:
        """Say what really happened.

        Parameters
        ----------
        verdict : str
            ``confirmed``, ``false_alarm``, ``missed``, ``prevented``, ``expected`` or ``unknown``.
        **about
            See `About`.
        """
        body = {"verdict": verdict, **about}
        return document(FeedbackOut, Request("POST /api/v1/feedback", body=body, once=True))

    @Method
    @staticmethod
    def feedback_batch(items: Sequence[GivenVerdict]) -> Steps[pd.DataFrame]:
        """Say of up to 1,000 things what really happened: all are kept, or none.

        Raises
        ------
        Refused
            When one cannot be kept; `errors` name the `index` of each and why.
        """
        route = "POST /api/v1/feedback:batch"
        answer = yield from ask(Request(route, body={"items": list(items)}, once=True))
        return frame(FeedbackOut, items_of(json_of(answer, route), route)[0])

    @Method
    @staticmethod
    def undo(feedback_id: str, *, who: str = "unknown", why: str = "") -> Steps[FeedbackOut]:
        """Take a verdict back, for all to see."""
        request = Request(
            "POST /api/v1/feedback/{feedback_id}:undo", {"feedback_id": feedback_id}, body={"who": who, "why": why}, once=True
        )
        return document(FeedbackOut, request)

    @Method
    @staticmethod
    def verdict(feedback_id: str) -> Steps[FeedbackOut]:
        """Show one verdict."""
        return document(FeedbackOut, Request("GET /api/v1/feedback/{feedback_id}", {"feedback_id": feedback_id}))

    @Method
    @staticmethod
    def verdicts(**wanted: Unpack[VerdictsWanted]) -> Steps[pd.DataFrame]:
        """List verdicts, newest first, with what was taken back.

        Parameters
        ----------
        **wanted
            See `VerdictsWanted`.
        """
        return listed(FeedbackOut, "GET /api/v1/feedback", wanted)

    @Method
    @staticmethod
    def impact() -> Steps[ImpactOut]:
        """Say what feedback changed: labels, and scores on held-out time."""
        return document(ImpactOut, Request("GET /api/v1/feedback/impact"))
