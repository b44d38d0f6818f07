"""Calls about the service itself: nodes, whether it lives and is ready, and its metrics.

Each describes one route of the API and is a method of both clients.
"""

from __future__ import annotations

from pydantic import Field

from app.api.node_schemas import NodesOut
from app.api.schemas import Out
from app.client.exchange import Request, Steps, ask, document, json_of, read
from app.client.methods import Method

__all__ = ["CheckOut", "Health", "ReadyOut"]

_NOT_READY = 503


class CheckOut(Out):
    """What one check of readiness found."""

    ok: bool
    detail: str


class ReadyOut(Out):
    """Whether every part works, and what the checks found."""

    status: str
    """``ok``, or ``not ready``."""
    checks: dict[str, CheckOut] = Field(default_factory=dict[str, CheckOut])

    @property
    def ok(self) -> bool:
        """Whether every part works."""
        return self.status == "ok"


class Health:
    """Calls about the service itself."""

    @Method
    @staticmethod
    def nodes() -> Steps[NodesOut]:
        """List the nodes, what each holds, and how far behind it is."""
        return document(NodesOut, Request("GET /api/v1/nodes"))

    @Method
    @staticmethod
    def livez() -> Steps[bool]:
        """Ask whether the process answers; true if it does."""
        answer = yield from ask(Request("GET /livez"))
        return json_of(answer, "GET /livez").get("status") == "ok"

    @Method
    @staticmethod
    def readyz() -> Steps[ReadyOut]:
        """Ask whether every part is ready, and what each check found; not to be ready is an answer too."""
        route = "GET /readyz"
        answer = yield from ask(Request(route, query={"verbose": "1"}, accepts=(_NOT_READY,)))
        return read(ReadyOut, answer.content, route)

    @Method
    @staticmethod
    def metrics() -> Steps[str]:
        """Return the metrics in the Prometheus text format."""
        answer = yield from ask(Request("GET /metrics"))
        return answer.text

    @Method
    @staticmethod
    def openapi() -> Steps[dict[str, object]]:
        """Return the OpenAPI document of the service."""
        route = "GET /api/v1/openapi.json"
        answer = yield from ask(Request(route))
        return json_of(answer, route)
