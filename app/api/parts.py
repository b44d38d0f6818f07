"""What the REST API is made of, handed in by `app.main`, and what a route knows of the request it answers.

`create_api` keeps the parts and the cache on the app; `Asked` gives a route its tenant, the time and both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Protocol, TypeAlias, cast

import msgspec
from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from app.alerts.explain import Point, PointsOf
from app.alerts.routes import Route
from app.api.entries import Entries
from app.api.feed import StreamPlan
from app.api.pages import Page
from app.api.prefix import PREFIX
from app.api.problems import InvalidTenant
from app.auth import OPEN, AuditLog, Doorkeeper
from app.cache.cache import Cache
from app.cache.documents import tenant_key
from app.cache.member_records import Nodes
from app.security_settings import SecuritySettings
from app.settings import Settings
from app.store.contract import Documents
from app.telemetry import Telemetry
from features.errors import InvalidValue
from features.rules import DEFAULT, Rules
from models.registry import Registry

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = [
    "PREFIX",
    "AlertLabels",
    "AlertView",
    "ApiParts",
    "Ask",
    "Asked",
    "Health",
    "Paged",
    "StepReceiver",
    "TrainingRequest",
    "answer",
    "answer_page",
    "members",
    "names_tenant",
]

"""What every path of a resource starts with."""

_TENANT = re.compile(r"[A-Za-z0-9_.\-]{1,128}")  # as settings.ingest.default_tenant


@dataclass(frozen=True, slots=True)
class TrainingRequest:
    """A training run that someone asked for, or a backtest.

    Parameters
    ----------
    tenant : str
        Whose data it learns from.
    reason : str
        Why.
    since, until : datetime or None
        The half-open interval of history to read; None leaves that end to the settings.
    seed : int or None
        None takes the configured one.
    requested_at : datetime
        Aware UTC.

    Raises
    ------
    InvalidValue
        When the interval is empty.
    """

    tenant: str
    reason: str
    since: datetime | None
    until: datetime | None
    seed: int | None
    requested_at: datetime

    def __post_init__(self) -> None:
        if self.since is not None and self.until is not None and not self.since < self.until:
            raise InvalidValue(f"until must be after since {self.since.isoformat()}, got {self.until.isoformat()}")


@dataclass(frozen=True, slots=True)
class Health:
    """What a readiness check found.

    Parameters
    ----------
    ok : bool
        Whether the part does its work.
    detail : str
        What a person reads.
    """

    ok: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class AlertLabels:
    """How alerts that come in as incidents name what they are about.

    Parameters
    ----------
    service_label, operation_label : str
        Labels that hold the service and the operation.
    kept_s : float
        Seconds for which such an incident is kept, at least as long as training looks back.
    """

    service_label: str = "service"
    operation_label: str = "operation"
    kept_s: float = 60 * 86_400.0

    @classmethod
    def of(cls, settings: Settings) -> AlertLabels:
        """Return what the settings say."""
        hooks = settings.webhooks
        return cls(hooks.service_label, hooks.operation_label, settings.models.history_days * 86_400)


class StepReceiver(Protocol):
    """Who takes steps of recovery plans, see `app.runbook`."""

    @property
    def receiver(self) -> str:
        """Scheme and host, empty where none is configured."""
        ...

    def post(self, message: str, body: bytes) -> None:
        """Post a body under an id, and return once the receiver has it."""
        ...


def _nothing_said(*_: object) -> dict[str, tuple[Point, ...]]:
    return {}


@dataclass(frozen=True, slots=True)
class AlertView:
    """What the API knows of alerts beside their documents.

    Parameters
    ----------
    routes : sequence of Route
        What is alerted on.
    points : callable
        What was predicted of a series, from history. Called in a thread.
    stale_s, kept_s : float
        After how long nothing is known of a series any more, and for how long what is over is kept.
    tick_s : float
        How long a window is.
    """

    routes: Sequence[Route] = ()
    points: PointsOf = _nothing_said
    stale_s: float = 900.0
    kept_s: float = 30 * 86_400.0
    tick_s: float = 60.0


@dataclass(frozen=True, slots=True)
class ApiParts:
    """Everything that the API depends on.

    Parameters
    ----------
    documents : Documents
        What the worker publishes; feedback is written here.
    telemetry : Telemetry
        What `/metrics` renders and requests are counted into.
    now : callable
        The clock; aware UTC.
    new_id : callable
        Unique ids for feedback.
    start_training : callable
        Queues a run, writes its document in state ``queued`` and returns its id. Called in a thread.
    start_backtest : callable
        The same for a backtest.
    registry_of : callable
        The model registry of a tenant.
    nodes : callable
        Returns the nodes as this one sees them. Called in a thread.
    rules : Rules
        The user's own rules about what an error is.
    checks : Mapping[str, callable]
        Readiness checks by name. Called in a thread.
    default_tenant : str
        Of a request without X-Scope-OrgID.
    max_body_bytes : int
        Of a request; larger ones are refused unread. 1 MiB is guessed: ten times the largest stack trace.
    alerts : AlertLabels
        How alerts that come in name services.
    alerting : AlertView
        What is known of own alerts.
    stopping : callable
        Whether the process is about to stop, so that streams end.
    streams : StreamPlan
        Bounds of streaming.
    runbook : StepReceiver or None
        Where steps of plans are posted to.
    doorkeeper : Doorkeeper
        Who asks.
    security : SecuritySettings
        What is open without a token, and for how long the audit log keeps what was done.
    """

    documents: Documents
    telemetry: Telemetry
    now: Callable[[], datetime]
    new_id: Callable[[], str]
    start_training: Callable[[TrainingRequest], str]
    start_backtest: Callable[[TrainingRequest], str]
    registry_of: Callable[[str], Registry]
    nodes: Callable[[], Nodes]
    rules: Rules = DEFAULT
    checks: Mapping[str, Callable[[], Health]] = field(default_factory=dict[str, "Callable[[], Health]"])
    default_tenant: str = "default"
    max_body_bytes: int = 2**20
    alerts: AlertLabels = field(default_factory=AlertLabels)
    alerting: AlertView = field(default_factory=AlertView)
    stopping: Callable[[], bool] = lambda: False
    streams: StreamPlan = field(default_factory=StreamPlan)
    runbook: StepReceiver | None = None
    doorkeeper: Doorkeeper = OPEN
    security: SecuritySettings = field(default_factory=SecuritySettings)

    def audit(self) -> AuditLog:
        """Return the log of what is changed."""
        return AuditLog(self.documents, self.now, self.security.audit_s)


@dataclass(frozen=True, slots=True)
class Ask:
    """One request: whose it is, when it came, and what answers it.

    Parameters
    ----------
    parts : ApiParts
        Of the app.
    cache : Cache
        Of the app.
    entries : Entries
        Of the app.
    tenant : str
        From X-Scope-OrgID or the default.
    now : datetime
        Aware UTC; one instant for the whole answer.
    """

    parts: ApiParts
    cache: Cache
    entries: Entries
    tenant: str
    now: datetime

    def key(self, *names: str) -> str:
        """Return the key of one of the tenant's documents."""
        return tenant_key(self.tenant, *names)

    @property
    def prefix(self) -> str:
        """What all keys of the tenant start with."""
        return tenant_key(self.tenant, "")


def names_tenant(name: str) -> bool:
    """Return whether a tenant can have this name. Dots alone have a meaning to paths and object stores.

    Examples
    --------
    >>> names_tenant("team-a"), names_tenant(".."), names_tenant("a/b")
    (True, False, False)
    """
    return _TENANT.fullmatch(name) is not None and bool(name.strip("."))


async def ask(
    request: Request,
    tenant: Annotated[
        str | None,
        # Described and not checked by the framework, so that `ask` names a tenant's fault its own problem.
        Header(
            alias="X-Scope-OrgID",
            description="The tenant; the configured default without it.",
            json_schema_extra={"pattern": r"^(?!\.+$)[A-Za-z0-9_.\-]{1,128}$"},
        ),
    ] = None,
) -> Ask:
    """Say whose request it is.

    Raises
    ------
    InvalidTenant
        When the header is no tenant's name.
    """
    parts, state = cast("ApiParts", request.app.state.parts), request.app.state
    chosen = parts.default_tenant if tenant is None else tenant
    if not names_tenant(chosen):
        raise InvalidTenant(f"X-Scope-OrgID must be 1 to 128 of A-Z a-z 0-9 _ . - and not dots alone, got {chosen[:200]!r}")
    return Ask(parts, cast("Cache", state.cache), cast("Entries", state.entries), chosen, parts.now())


Asked: TypeAlias = Annotated[Ask, Depends(ask)]
"""The request, for a route."""


class Paged(BaseModel):
    """What every list takes."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, frozen=True)

    limit: int = Field(100, ge=1, le=1000)
    """Items of a page at most."""
    cursor: str | None = None
    """The `next` of the page before."""


def answer(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Encode dataclasses and plain values as the JSON answer; times become RFC 3339."""
    return Response(msgspec.json.encode(body), status, dict(headers or {}), "application/json")


def answer_page(page: Page[dict[str, object]]) -> Response:
    """Encode a page as the answer of a list."""
    return answer({"items": page.rows, "next": page.next})


def members(record: DataclassInstance) -> dict[str, object]:
    """Return a dataclass's members by name, not copied.

    Examples
    --------
    >>> members(Health(True, "8 partitions"))
    {'ok': True, 'detail': '8 partitions'}
    """
    return {member.name: getattr(record, member.name) for member in fields(record)}
