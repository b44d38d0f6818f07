"""Incidents that belong together, as a tenant's home tells of them: one document a group.

`app.correlation` fills them, `app.api.groups` and `app.api.incidents` answer with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from features.likeness import Traits
from features.plan import Step
from features.symptom import Cause, Symptoms

__all__ = ["Affected", "BlastRadius", "Forewarning", "GroupRecord", "Happening", "LikeGroup"]


@dataclass(frozen=True, slots=True)
class Affected:
    """A service that shows the trouble.

    Parameters
    ----------
    since : datetime
        When it showed first.
    errors : float
        Its ErrorEvents since then, as far as windows that were closed had them.
    order : int
        From 1, in the order in which the trouble spread.
    """

    service: str
    since: datetime
    errors: float
    order: int


@dataclass(frozen=True, slots=True)
class Forewarning:
    """What was predicted of a service before its incident began.

    Parameters
    ----------
    as_of : datetime
        When.
    horizon : str
        For the next ``5min``, ``15min`` or ``60min``.
    probability : float
        That an incident begins by then.
    lead_s : float
        Seconds from `as_of` to the start of the incident; 0 for the newest prediction before it.
    """

    service: str
    as_of: datetime
    horizon: str
    probability: float
    lead_s: float


@dataclass(frozen=True, slots=True)
class Happening:
    """One line of a timeline.

    Parameters
    ----------
    time : datetime
        When.
    kind : str
        ``symptom``, ``version``, ``error``, ``prediction``, ``incident``, ``detected``, ``ended``, ``verdict`` or ``over``.
    service : str
        Where; empty where it is about all.
    text : str
        What a person reads.
    """

    time: datetime
    kind: str
    service: str
    text: str


@dataclass(frozen=True, slots=True)
class BlastRadius:
    """How much suffered at the worst moment so far.

    Parameters
    ----------
    services : int
        Services that show the trouble.
    requests_per_minute : float
        That they took together.
    failing_share : float
        Share of these that failed.
    """

    services: int = 0
    requests_per_minute: float = 0.0
    failing_share: float = 0.0


@dataclass(frozen=True, slots=True)
class LikeGroup:
    """A like group of the past.

    Parameters
    ----------
    likeness : float
        From 0 to 1, see `features.likeness`.
    causes : tuple of str
        Services, the likeliest first.
    resolved_by : tuple of str
        What people wrote beside their verdicts on its incidents, the newest first.
    """

    id: str
    start: datetime
    end: datetime | None
    likeness: float
    causes: tuple[str, ...] = ()
    resolved_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupRecord:
    """Incidents that belong together: what began where, how it spread, and what to do.

    Parameters
    ----------
    start, detected_at : datetime
        Of its first incident, and when the first was detected.
    end : datetime or None
        When the last of its incidents was over; None while one lasts.
    incidents : tuple of str
        Ids, by start.
    services : tuple of Affected
        In the order in which the trouble spread.
    causes : tuple of Cause
        The likeliest first.
    predicted_before : tuple of Forewarning
        By service: the newest predictions at its start, and the first ones of the hour before that said 10 % or more.
    timeline : tuple of Happening
        By time.
    similar : tuple of LikeGroup
        The likest first.
    plan : tuple of Step
        In the order in which to take them.
    recovery_expected_at : datetime or None
        Its start and the median duration of the like groups that lasted longer than it does by now; None without any.
    recovery_seen : int
        How many groups that median is of.
    merged : tuple of str
        Ids of groups that turned out to be this one.
    updated_at : datetime or None
        As of which tick its content is what it is.
    evidence : tuple of Symptoms
        All that its services showed so far, for the next look at it; not shown over REST.
    kinds : mapping of str to tuple of str
        Kinds of error of its services, the leading one first.
    fingerprints, categories : tuple of str
        Of its errors.
    """

    id: str
    tenant: str
    start: datetime
    detected_at: datetime
    end: datetime | None
    incidents: tuple[str, ...]
    services: tuple[Affected, ...] = ()
    causes: tuple[Cause, ...] = ()
    predicted_before: tuple[Forewarning, ...] = ()
    timeline: tuple[Happening, ...] = ()
    blast_radius: BlastRadius = field(default_factory=BlastRadius)
    similar: tuple[LikeGroup, ...] = ()
    plan: tuple[Step, ...] = ()
    recovery_expected_at: datetime | None = None
    recovery_seen: int = 0
    merged: tuple[str, ...] = ()
    updated_at: datetime | None = None
    evidence: tuple[Symptoms, ...] = ()
    kinds: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, "tuple[str, ...]"])
    fingerprints: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()

    def traits(self) -> Traits:
        """Return what it is known by."""
        scores = {cause.service: cause.score for cause in self.causes}
        return Traits(scores, frozenset(self.fingerprints), frozenset(self.categories))
