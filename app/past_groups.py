"""Like groups of incidents in a tenant's past: what resolved them, and how long they took."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from statistics import median

from app.cache.group_records import GroupRecord, LikeGroup
from app.cache.records import FeedbackRecord
from features.likeness import likeness
from features.plan import Remedy

__all__ = ["like_groups", "recovery", "remedies"]

_LEAST = 0.4  # guessed: the same likeliest cause with other errors is above, the same category alone far below
_MOST = 5
_MOST_TEXTS = 3
_TRUE = ("confirmed", "missed", "prevented")
"""Verdicts beside which people write what they did; what was a false alarm or expected needed nothing."""


def like_groups(
    group: GroupRecord, others: Iterable[GroupRecord], verdicts: Mapping[str, Sequence[FeedbackRecord]]
) -> tuple[LikeGroup, ...]:
    """Return the groups that began earlier and are most like one.

    Parameters
    ----------
    group : GroupRecord
        With its causes.
    others : iterable of GroupRecord
        Of the same tenant.
    verdicts : mapping of str to sequence of FeedbackRecord
        By incident, the oldest first.
    """
    traits = group.traits()
    found = [
        (score, other)
        for other in others
        if other.id != group.id and other.start < group.start and (score := likeness(traits, other.traits())) >= _LEAST
    ]
    found.sort(key=lambda pair: (-pair[0], -pair[1].start.timestamp(), pair[1].id))
    return tuple(
        LikeGroup(
            other.id,
            other.start,
            other.end,
            round(score, 3),
            tuple(cause.service for cause in other.causes[:3]),
            _resolved_by(other.incidents, verdicts),
        )
        for score, other in found[:_MOST]
    )


def remedies(similar: Iterable[LikeGroup]) -> list[Remedy]:
    """Return what resolved like groups, of the likest first, each text once."""
    found: dict[str, Remedy] = {}
    for one in similar:
        for text in one.resolved_by:
            found.setdefault(text, Remedy(text, one.start.date().isoformat()))
    return list(found.values())


def recovery(start: datetime, as_of: datetime, similar: Iterable[LikeGroup]) -> tuple[datetime | None, int]:
    """Return when a group that lasts may be over, and of how many like groups that is the median.

    Those that took no longer than this one lasts by now say nothing any more.

    Examples
    --------
    >>> from datetime import UTC
    >>> noon = datetime(2026, 3, 2, 12, tzinfo=UTC)
    >>> past = [LikeGroup(str(m), noon, noon + timedelta(minutes=m), 1.0) for m in (5, 20, 40)]
    >>> recovery(noon, noon + timedelta(minutes=10), past)
    (datetime.datetime(2026, 3, 2, 12, 30, tzinfo=datetime.timezone.utc), 2)
    """
    lengths = [(one.end - one.start).total_seconds() for one in similar if one.end is not None]
    longer = [length for length in lengths if length > (as_of - start).total_seconds()]
    return (start + timedelta(seconds=median(longer)) if longer else None), len(longer)


def _resolved_by(incidents: Iterable[str], verdicts: Mapping[str, Sequence[FeedbackRecord]]) -> tuple[str, ...]:
    said = [one for incident in incidents for one in verdicts.get(incident, ()) if one.verdict in _TRUE and one.why.strip()]
    said.sort(key=lambda one: one.received_at, reverse=True)
    return tuple(dict.fromkeys(one.why.strip() for one in said))[:_MOST_TEXTS]
