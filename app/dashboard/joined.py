"""The records of incident groups, alerts and silences as the pages read them: every member may be missing.

Their writers are the tenant's home and `app.alerts`; a node of another release may write more or fewer members than these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

__all__ = [
    "Alert",
    "Cause",
    "Evidence",
    "Foretold",
    "Group",
    "Hit",
    "Like",
    "Matcher",
    "Moment",
    "Radius",
    "Silence",
    "Step",
    "named",
]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Hit:
    """A service that shows the trouble, since when, and in which order it spread there."""

    service: str
    since: datetime
    errors: float = 0.0
    order: int = 0


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for a cause; strength in bits."""

    text: str
    kind: str = ""
    strength: float = 0.0
    operation: str = "*"
    fingerprint: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Cause:
    """A service that may be the cause, with its share among all that may."""

    service: str
    score: float = 0.0
    reasons: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Foretold:
    """What was predicted before it began."""

    service: str
    as_of: datetime
    horizon: str
    probability: float
    lead_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of the timeline."""

    time: datetime
    kind: str = ""
    service: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Radius:
    """How much suffers."""

    services: int = 0
    requests_per_minute: float = 0.0
    failing_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Like:
    """A like group of the past."""

    id: str
    start: datetime
    causes: tuple[str, ...] = ()
    resolved_by: tuple[str, ...] | str | None = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the plan; what is said of retries and of a circuit is shown as it comes."""

    step: int
    service: str
    action: str
    why: str = ""
    retry: object = None
    circuit: object = None


@dataclass(frozen=True, slots=True)
class Group:
    """Incidents that belong together, see the glossary."""

    id: str
    start: datetime = _EPOCH
    detected_at: datetime | None = None
    end: datetime | None = None
    incidents: tuple[str, ...] = ()
    services: tuple[Hit, ...] = ()
    causes: tuple[Cause, ...] = ()
    predicted_before: tuple[Foretold, ...] = ()
    timeline: tuple[Moment, ...] = ()
    blast_radius: Radius = field(default_factory=Radius)
    similar: tuple[Like, ...] = ()
    plan: tuple[Step, ...] = ()
    recovery_expected_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Alert:
    """One time that a series met a rule's condition."""

    id: str
    service: str = ""
    operation: str = "*"
    rule: str = ""
    state: str = "pending"
    shadow: bool = False
    probability: float | None = None
    horizon: str | None = None
    threshold: float | None = None
    reasons: tuple[str, ...] = ()
    started_at: datetime = _EPOCH
    fired_at: datetime | None = None
    ended_at: datetime | None = None
    acknowledged_by: str | None = None
    acknowledged_at: datetime | None = None
    silence_id: str | None = None
    inhibited_by: str | None = None
    group_id: str | None = None
    updated_at: datetime = _EPOCH


@dataclass(frozen=True, slots=True)
class Matcher:
    """What a label must be, or must not."""

    label: str
    pattern: str = "*"
    equal: bool = True


@dataclass(frozen=True, slots=True)
class Silence:
    """A time in which alerts with certain labels are told to nobody."""

    id: str
    start: datetime = _EPOCH
    end: datetime = _EPOCH
    matchers: tuple[Matcher, ...] = ()
    author: str = ""
    comment: str = ""
    ended_at: datetime | None = None
    repeats: str | None = None


def named(value: object) -> str:
    """Return what a step says of retries or a circuit, as words.

    Examples
    --------
    >>> named("if_idempotent"), named({"safe": "no", "attempts": 0}), named({"caller": "a", "callee": "b"}), named(None)
    ('if idempotent', 'no', 'a, b', '')
    """
    if isinstance(value, Mapping):
        known = value.get("safe")
        parts = [known] if known is not None else [part for part in value.values() if isinstance(part, str) and part]
        return ", ".join(str(part).replace("_", " ") for part in parts)
    return str(value).replace("_", " ") if value else ""
