"""Every error answer of the REST API: RFC 9457 ``application/problem+json``, with its status from one table.

Routes raise errors of `features.errors` or of this module; `install` turns them, and what FastAPI and
Starlette raise themselves, into problems. No other module of `app.api` names an error's status.

ForeshockError
├── InvalidValue
│   ├── InvalidCursor     a page cursor that no answer gave out
│   ├── InvalidItems      some items of a batch, each with its place and reason
│   ├── InvalidTenant     an X-Scope-OrgID that is no tenant's name
│   └── KeyReused         an Idempotency-Key that stood for another body
├── NoRoute               no route takes this path and method
├── Unknown               what the path names is not there
├── NotConfigured         what is asked for needs a setting that is not there
└── Conflict
    └── StillRunning      the first request with this Idempotency-Key is not answered yet
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from app.auth import NoSuchToken, NotAllowed, NotAuthenticated
from app.auth.refusals import CHALLENGE
from app.edge.throttle import TooOften
from features.errors import (
    AlreadyWaiting,
    BodyTooLarge,
    CircuitOpen,
    Conflict,
    DataInUse,
    Fenced,
    ForeshockError,
    InvalidSetting,
    InvalidValue,
    LogFull,
    MalformedBody,
    NewerVersion,
    NotDelivered,
    NoticeRefused,
    NotLetIn,
    Overloaded,
    PartStopped,
    SnapshotMismatch,
    StoreFailed,
    UntrustedArtifact,
)

__all__ = [
    "PROBLEMS",
    "InvalidCursor",
    "InvalidItems",
    "InvalidTenant",
    "KeyReused",
    "NoRoute",
    "NotConfigured",
    "StillRunning",
    "TooLarge",
    "Unknown",
    "install",
    "problem",
    "refused",
    "status_of",
]

MEDIA_TYPE = "application/problem+json"


class InvalidCursor(InvalidValue):
    """A page cursor is none that this listing gave out."""


class InvalidItems(InvalidValue):
    """Items of a batch cannot be kept, so none of it was.

    Parameters
    ----------
    reasons : mapping of int to str
        By place in the batch, from 0.
    """

    def __init__(self, reasons: Mapping[int, str]) -> None:
        first = "; ".join(f"items.{index}: {reason}" for index, reason in list(reasons.items())[:3])
        super().__init__(f"{len(reasons)} items of the batch are refused, so none was kept: {first}")
        self.errors = [{"index": index, "message": reason} for index, reason in reasons.items()]


class InvalidTenant(InvalidValue):
    """X-Scope-OrgID is no tenant's name."""


class KeyReused(InvalidValue):
    """An Idempotency-Key was used before with another body."""


class NoRoute(ForeshockError):
    """No route takes this path and method.

    Parameters
    ----------
    method, path : str
        Of the request.
    others : sequence of str
        The methods that the path takes.
    """

    def __init__(self, method: str, path: str, others: Sequence[str]) -> None:
        takes = f"takes {', '.join(others)}" if others else "is not there"
        super().__init__(f"{method[:20]} {path[:200]}: the path {takes}")
        self.others = others


class NotConfigured(ForeshockError):
    """What is asked for needs a setting that is not there."""


class Unknown(ForeshockError):
    """What the path names is not there."""


class StillRunning(Conflict):
    """The first request with this Idempotency-Key has not been answered yet."""

    retryable: ClassVar[bool] = True


class TooLarge(HTTPException):
    """A body beyond the limit; an HTTPException, so that it passes through the framework's body reader."""

    def __init__(self, limit: int) -> None:
        super().__init__(PROBLEMS[BodyTooLarge][0], f"a body must be at most {limit} bytes")


PROBLEMS: dict[type[ForeshockError], tuple[int, str, str]] = {
    InvalidCursor: (400, "invalid-cursor", "The cursor is not one of this listing"),
    InvalidTenant: (400, "invalid-tenant", "X-Scope-OrgID is not a tenant's name"),
    MalformedBody: (400, "malformed-body", "The body cannot be decoded"),
    BodyTooLarge: (413, "body-too-large", "The body is too large"),
    KeyReused: (422, "idempotency-key-reused", "The Idempotency-Key stood for another body"),
    InvalidSetting: (500, "invalid-setting", "A setting breaks its bound"),
    InvalidValue: (422, "invalid-value", "A value breaks its bound"),
    NotAuthenticated: (401, "unauthenticated", "A valid token is needed"),
    NotAllowed: (403, "forbidden", "The token does not allow this"),
    NoSuchToken: (404, "not-found", "There is no such resource"),
    NoRoute: (404, "not-found", "There is no such resource"),
    Unknown: (404, "not-found", "There is no such resource"),
    NotConfigured: (409, "not-configured", "A setting that this needs is not there"),
    NotDelivered: (502, "not-delivered", "The receiver did not take it"),
    NoticeRefused: (502, "notice-refused", "The receiver will not take it"),
    NotLetIn: (502, "not-let-in", "The receiver takes nothing of ours"),
    StillRunning: (409, "still-running", "The first request with this Idempotency-Key is still running"),
    Conflict: (409, "conflict", "Something changed it in between"),
    AlreadyWaiting: (429, "already-waiting", "One waits already"),
    LogFull: (503, "log-full", "The log holds as much as it may"),
    TooOften: (429, "too-often", "More was asked for than security.limits allow"),
    Overloaded: (503, "overloaded", "A queue is full"),
    Fenced: (503, "not-owner", "Another node took over"),
    DataInUse: (503, "data-in-use", "Another process holds the data"),
    CircuitOpen: (503, "left-alone", "What did not answer is left alone for a moment"),
    StoreFailed: (503, "store-failed", "The store refused"),
    PartStopped: (503, "part-stopped", "A part of the service has stopped"),
    NewerVersion: (500, "newer-version", "A newer release wrote it"),
    SnapshotMismatch: (500, "snapshot-mismatch", "A snapshot is of another version"),
    UntrustedArtifact: (500, "untrusted-artifact", "A model file is not what its manifest says"),
    ForeshockError: (500, "internal", "Something unexpected failed"),
}
"""Status, name and title by class; a class without a row of its own takes its nearest ancestor's."""

RETRY_AFTER_S = 1  # guessed: queues drain and owners change within seconds

_JSON = re.compile(r"application/(.+\+)?json", re.IGNORECASE)

_NOT_ALLOWED = 405
_FRAMEWORK = {
    400: ("bad-request", "The request cannot be understood"),
    404: ("not-found", "There is no such resource"),
    _NOT_ALLOWED: ("method-not-allowed", "The resource does not take this method"),
    413: ("body-too-large", "The body is too large"),
    415: ("not-json", "The body is not declared as JSON"),
}


def status_of(error: ForeshockError) -> tuple[int, str, str]:
    """Return status, name and title of an error.

    Examples
    --------
    >>> status_of(InvalidCursor("x"))[0], status_of(InvalidValue("x"))[0], status_of(Unknown("x"))[0]
    (400, 422, 404)
    """
    return next(PROBLEMS[kind] for kind in type(error).__mro__ if kind in PROBLEMS)


def problem(row: tuple[int, str, str], detail: str, headers: Mapping[str, str] | None = None, **members: object) -> Response:
    """Build a problem document.

    Parameters
    ----------
    row : tuple of (int, str, str)
        Status, name and title.
    detail : str
        What went wrong this time, with the value and its bound.
    headers : Mapping[str, str], optional
        Further headers.
    **members
        Extension members.
    """
    status, name, title = row
    body = {"type": f"urn:foreshock:problem:{name}", "title": title, "status": status, "detail": detail, **members}
    return Response(msgspec.json.encode(body), status, dict(headers or {}), MEDIA_TYPE)


def refused(error: ForeshockError) -> Response:
    """Return the problem that an error is."""
    if isinstance(error, NoRoute) and error.others:
        return problem((_NOT_ALLOWED, *_FRAMEWORK[_NOT_ALLOWED]), str(error), {"Allow": ", ".join(error.others)})
    wait_s = error.retry_after_s if isinstance(error, TooOften) else RETRY_AFTER_S
    headers = {"Retry-After": str(wait_s)} if error.retryable else {}
    if isinstance(error, NotAuthenticated):
        headers["WWW-Authenticate"] = CHALLENGE
    members = {"errors": error.errors} if isinstance(error, InvalidItems) else {}
    return problem(status_of(error), str(error), headers, retryable=error.retryable, **members)


def install(app: FastAPI) -> None:
    """Let every error of an app leave as a problem."""
    app.add_exception_handler(ForeshockError, _own)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _framework)
    app.add_exception_handler(Exception, _unexpected)


async def _own(request: Request, error: Exception) -> Response:
    return refused(cast("ForeshockError", error))


async def _validation(request: Request, error: Exception) -> Response:
    raised = cast("Sequence[Mapping[str, Any]]", cast("RequestValidationError", error).errors())
    kind = request.headers.get("content-type", "")
    if any(fault["loc"] == ("body",) for fault in raised) and not _JSON.fullmatch(kind.partition(";")[0].strip()):
        return problem((415, *_FRAMEWORK[415]), f"Content-Type must be application/json, got {kind[:200]!r}")
    faults = [_fault(fault) for fault in raised]
    detail = "; ".join(f"{fault['location']}: {fault['message']}, got {fault['value']}" for fault in faults[:3])
    malformed = any(fault["type"] == "json_invalid" for fault in raised)
    return problem(PROBLEMS[MalformedBody if malformed else InvalidValue], detail, errors=faults)


def _fault(fault: Mapping[str, Any]) -> dict[str, str | int]:
    value, loc = repr(fault.get("input")), fault["loc"]
    told: dict[str, str | int] = {
        "location": ".".join(str(part) for part in loc),
        "message": str(fault["msg"]),
        "value": value if len(value) <= 200 else value[:200] + "...",  # noqa: PLR2004 - enough to recognise it by
    }
    # Of an item of a batch its place, so that nobody need take the location apart.
    return told | {"index": loc[2]} if loc[:2] == ("body", "items") and len(loc) > 2 else told  # noqa: PLR2004


async def _framework(request: Request, error: Exception) -> Response:
    known = cast("HTTPException", error)
    name, title = _FRAMEWORK.get(known.status_code, ("http", "The request was refused"))
    detail = f"{request.method} {request.url.path}: {known.detail}"
    headers = {"Allow": _allowed(request)} if known.status_code == _NOT_ALLOWED else known.headers
    return problem((known.status_code, name, title), detail, headers)


def _allowed(request: Request) -> str:
    """Return the methods of what a path names. The framework says those of the first route that fits, which knows its own alone."""
    known = (context.original_route for context in iter_route_contexts(request.app.routes))
    fitting = [route for route in known if isinstance(route, Route) and route.matches(request.scope)[0] != Match.NONE]
    nearest = max((route.path_format for route in fitting), key=len, default="")
    return ", ".join(sorted(method for route in fitting if route.path_format == nearest for method in route.methods or ()))


async def _unexpected(request: Request, error: Exception) -> Response:
    # The cause goes to the server's log, not to the client: it may hold what another tenant sent.
    return problem(PROBLEMS[ForeshockError], f"{request.method} {request.url.path} failed; the log says why")
