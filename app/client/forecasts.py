"""Calls about what is known of services: predictions, anomalies, trends, errors, the graph.

Each describes one route of the API and is a method of both clients. What they take is what the routes take.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, TypedDict, Unpack

import pandas as pd

from app.api.group_schemas import GraphOut, HotspotOut
from app.api.schemas import (
    AnomalyOut,
    ClassificationOut,
    ErrorEventOut,
    ErrorGroupOut,
    ExplanationOut,
    Horizon,
    PredictionOut,
    ServiceOut,
    ServicePredictionOut,
    Status,
)
from app.api.trend_schemas import TrendOut
from app.client.exchange import Request, Steps, ask, document, read
from app.client.methods import Method
from app.client.pages import listed

__all__ = ["AnomaliesWanted", "ErrorFacts", "ErrorsWanted", "Forecasts", "HotspotsWanted", "PredictionsWanted"]

_NOT_MODIFIED = 304


class PredictionsWanted(TypedDict, total=False):
    """Which predictions to list; all without any."""

    limit: int | None
    """Rows at most; all without."""
    service: str | None
    operation: str | None
    operations: Literal["all", "whole"]
    """`whole` lists whole services alone."""
    status: Status | None
    min_probability: float
    """Of `horizon`."""
    horizon: Horizon
    sort_by: Horizon
    """Within which the riskiest come first; the longest without."""


class AnomaliesWanted(TypedDict, total=False):
    """Which anomalies to list; all without any."""

    limit: int | None
    service: str | None
    operations: Literal["all", "whole"]


class ErrorsWanted(TypedDict, total=False):
    """Which errors to list; all without any."""

    limit: int | None
    service: str | None
    category: str | None
    since: datetime | None
    """Errors seen at this time or later."""
    only: Literal["new", "regressed"] | None
    """Groups that are new, or back after two days or more."""


class HotspotsWanted(TypedDict, total=False):
    """Which hotspots to list; all without any."""

    limit: int | None
    service: str | None
    dimension: Literal["operation", "version", "instance", "fingerprint"] | None
    state: Literal["new", "returned", "grown"] | None


class ErrorFacts(TypedDict, total=False):
    """What is known of an error that is to be classified; one of the first four at least."""

    exception_type: str
    message: str
    stack: str
    attributes: Mapping[str, str | int | float | bool]
    """OpenTelemetry attributes such as `http.response.status_code`."""
    service: str
    operation: str
    severity: int | None
    """OpenTelemetry severity number; None takes the kind's."""


class Forecasts:
    """Calls about what is known of services."""

    @Method
    @staticmethod
    def services(*, limit: int | None = None) -> Steps[pd.DataFrame]:
        """List the services that were seen, by name."""
        return listed(ServiceOut, "GET /api/v1/services", {"limit": limit})

    @Method
    @staticmethod
    def predictions(**wanted: Unpack[PredictionsWanted]) -> Steps[pd.DataFrame]:
        """List predictions, the riskiest within `sort_by` first: by horizon `probability_60min`, `lower_60min` and `upper_60min`.

        Parameters
        ----------
        **wanted
            See `PredictionsWanted`.
        """
        return listed(PredictionOut, "GET /api/v1/predictions", wanted)

    @Method
    @staticmethod
    def prediction(service: str) -> Steps[ServicePredictionOut]:
        """Show the prediction of a whole service with those of its operations.

        Raises
        ------
        NotFound
            When there is none.
        """
        return document(ServicePredictionOut, Request("GET /api/v1/predictions/{service}", {"service": service}))

    @Method
    @staticmethod
    def newer_prediction(known: PredictionOut) -> Steps[ServicePredictionOut | None]:
        """Show the prediction of a service if it is another one than is known, or has become stale since; None if not.

        Parameters
        ----------
        known : PredictionOut
            What `prediction` returned.
        """
        tag = f'W/"{known.id}.stale"' if known.status == "stale" else f'W/"{known.id}"'
        route = "GET /api/v1/predictions/{service}"
        request = Request(route, {"service": known.service}, accepts=(_NOT_MODIFIED,), headers={"If-None-Match": tag})
        answer = yield from ask(request)
        return None if answer.status_code == _NOT_MODIFIED else read(ServicePredictionOut, answer.content, route)

    @Method
    @staticmethod
    def explanation(prediction_id: str) -> Steps[ExplanationOut]:
        """Say what lies behind a prediction: contributions with values, advice, and what each member said.

        Raises
        ------
        NotFound
            When a newer prediction has replaced it, or it has none.
        """
        names = {"prediction_id": prediction_id}
        return document(ExplanationOut, Request("GET /api/v1/predictions/{prediction_id}/explanation", names))

    @Method
    @staticmethod
    def anomalies(**wanted: Unpack[AnomaliesWanted]) -> Steps[pd.DataFrame]:
        """List anomalies of the last hour, newest first.

        Parameters
        ----------
        **wanted
            See `AnomaliesWanted`.
        """
        return listed(AnomalyOut, "GET /api/v1/anomalies", wanted)

    @Method
    @staticmethod
    def trends(service: str, operation: str = "*") -> Steps[TrendOut]:
        """Say where the errors and the latency of a service, or of one of its operations, are going.

        Raises
        ------
        NotFound
            When nothing is known of it.
        """
        return document(TrendOut, Request("GET /api/v1/trends/{service}", {"service": service}, {"operation": operation}))

    @Method
    @staticmethod
    def errors(**wanted: Unpack[ErrorsWanted]) -> Steps[pd.DataFrame]:
        """List groups of like errors, newest first.

        Parameters
        ----------
        **wanted
            See `ErrorsWanted`.
        """
        return _errors(ErrorGroupOut, "groups", wanted)

    @Method
    @staticmethod
    def error_events(**wanted: Unpack[ErrorsWanted]) -> Steps[pd.DataFrame]:
        """List single errors, newest first: the last 50 of each service. `history` has all of them.

        Parameters
        ----------
        **wanted
            See `ErrorsWanted`; `only` is of groups.
        """
        return _errors(ErrorEventOut, "events", wanted)

    @Method
    @staticmethod
    def classify(**facts: Unpack[ErrorFacts]) -> Steps[ClassificationOut]:
        """Say what kind of failure an error is, and what to do; nothing is kept of it.

        Parameters
        ----------
        **facts
            See `ErrorFacts`.
        """
        return document(ClassificationOut, Request("POST /api/v1/errors:classify", body=facts, harmless=True))

    @Method
    @staticmethod
    def graph(service: str | None = None, *, depth: int = 1, limit: int = 1000) -> Steps[GraphOut]:
        """Say who calls whom, with traffic, errors and lag.

        Parameters
        ----------
        service : str, optional
            Only what it calls and what calls it.
        depth : int
            Calls away from it at most.
        limit : int
            Edges at most, those with the most calls.
        """
        query = {"service": service, "depth": depth, "limit": limit}
        return document(GraphOut, Request("GET /api/v1/graph", query=query))

    @Method
    @staticmethod
    def hotspots(**wanted: Unpack[HotspotsWanted]) -> Steps[pd.DataFrame]:
        """List parts of errors whose share grew, the most significant first.

        Parameters
        ----------
        **wanted
            See `HotspotsWanted`.
        """
        return listed(HotspotOut, "GET /api/v1/hotspots", wanted)


def _errors(model: type[ErrorGroupOut | ErrorEventOut], view: str, wanted: ErrorsWanted) -> Steps[pd.DataFrame]:
    return listed(model, "GET /api/v1/errors", {**wanted, "view": view})
