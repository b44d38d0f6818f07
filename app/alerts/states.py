"""The states of an alert, and every way from one to another.

What happens to a series moves a `Trigger`: nothing, pending, firing, nothing. Each observation moves it once and an
older one never does, so that an alert cannot begin and end at one instant, and what two nodes make of the same
observations is the same. What people and other alerts say (acknowledged, silenced, inhibited) lies over it and is
looked at anew each time. Everything that decides a state must be in this file.

    none -> pending                     the threshold is met
    pending -> firing                   and was for the minimum duration
    pending -> resolved                 not for so long: it never fired
    firing <-> silenced, inhibited      as long as a silence is in force, or the alert of a cause is active
    firing, silenced, inhibited -> acknowledged   somebody looks after it; it stays so
    firing, silenced, inhibited, acknowledged -> resolved   below the resolve threshold; nothing follows
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from app.cache.alert_records import AlertRecord
from features.errors import InvalidValue

__all__ = ["NEVER", "Bounds", "Overlay", "Trigger", "acknowledged", "moved", "overlaid", "trigger_of"]

NEVER = float("-inf")
"""Before every observation."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """When an alert begins and ends.

    Parameters
    ----------
    fire : float
        From where it is pending.
    resolve : float
        Below which it is over, at most `fire`.
    min_duration_s : float
        Seconds for which `fire` must be met before it fires.
    """

    fire: float
    resolve: float
    min_duration_s: float = 0.0

    def __post_init__(self) -> None:
        if not self.resolve <= self.fire:
            raise InvalidValue(f"resolve must be at most fire ({self.fire}), got {self.resolve}")


@dataclass(frozen=True, slots=True)
class Trigger:
    """What a series' observations have come to.

    Parameters
    ----------
    since_s : float or None
        Unix second since when the threshold is met; None while it is not.
    firing : bool
        Whether it lasted for long enough.
    at_s : float
        Unix second of the newest observation.
    """

    since_s: float | None = None
    firing: bool = False
    at_s: float = NEVER


def moved(trigger: Trigger, at_s: float, value: float | None, bounds: Bounds) -> Trigger:
    """Return what an observation makes of a trigger.

    Parameters
    ----------
    trigger : Trigger
        As it was.
    at_s : float
        Unix second of the observation; one that is not newer changes nothing.
    value : float or None
        What is compared; None says that nothing can be said now, and leaves all as it is.
    bounds : Bounds
        When it begins and ends.

    Examples
    --------
    >>> bounds = Bounds(fire=0.5, resolve=0.3, min_duration_s=60.0)
    >>> pending = moved(Trigger(), 0.0, 0.6, bounds)
    >>> firing = moved(pending, 60.0, 0.6, bounds)
    >>> pending.firing, firing.firing, moved(firing, 120.0, 0.4, bounds).firing, moved(firing, 120.0, 0.2, bounds).firing
    (False, True, True, False)
    """
    if at_s <= trigger.at_s:
        return trigger
    if value is None:
        return replace(trigger, at_s=at_s)
    if value < (bounds.resolve if trigger.firing else bounds.fire):
        return Trigger(at_s=at_s)
    since_s = at_s if trigger.since_s is None else trigger.since_s
    return Trigger(since_s, trigger.firing or at_s - since_s >= bounds.min_duration_s, at_s)


def trigger_of(alert: AlertRecord | None) -> Trigger:
    """Return the trigger that an alert stands for; that of one that is over is at rest, and knows when it came to it."""
    if alert is None:
        return Trigger()
    if alert.over:
        return Trigger(at_s=alert.as_of.timestamp())
    return Trigger(alert.started_at.timestamp(), alert.active, alert.as_of.timestamp())


@dataclass(frozen=True, slots=True)
class Overlay:
    """What keeps an alert quiet just now, if anything does."""

    silence_id: str | None = None
    inhibited_by: str | None = None


def overlaid(alert: AlertRecord, trigger: Trigger, overlay: Overlay) -> AlertRecord:
    """Return an alert in the state that its trigger and what lies over it come to.

    Parameters
    ----------
    alert : AlertRecord
        Not over.
    trigger : Trigger
        Moved by the newest observation.
    overlay : Overlay
        What keeps it quiet.
    """
    as_of = alert.as_of if trigger.at_s == NEVER else datetime.fromtimestamp(trigger.at_s, UTC)
    if trigger.since_s is None:
        return replace(alert, state="resolved", as_of=as_of, ended_at=as_of)
    if not trigger.firing:
        return replace(alert, state="pending", as_of=as_of)
    fired_at = alert.fired_at or as_of
    quiet = replace(alert, as_of=as_of, fired_at=fired_at, silence_id=overlay.silence_id, inhibited_by=overlay.inhibited_by)
    if alert.acknowledged_at is not None:
        return replace(quiet, state="acknowledged")
    if overlay.silence_id is not None:
        return replace(quiet, state="silenced")
    return replace(quiet, state="firing" if overlay.inhibited_by is None else "inhibited")


def acknowledged(alert: AlertRecord, who: str, at: datetime) -> AlertRecord:
    """Return an alert that somebody looks after; one that somebody does already stays theirs.

    Raises
    ------
    InvalidValue
        When it is over, or has not fired yet.
    """
    if alert.state == "acknowledged":
        return alert
    if not alert.active:
        raise InvalidValue(f"an alert is acknowledged while it fires, and {alert.id!r} is {alert.state}")
    return replace(alert, state="acknowledged", acknowledged_by=who, acknowledged_at=at, updated_at=at)
