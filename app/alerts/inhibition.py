"""Inhibition: the alert of a cause keeps those of its symptoms quiet.

Within a group of incidents the first cause keeps all others quiet, and a service that fails keeps those quiet that
call it, directly or through others. Before there is a group calls alone decide. Of services that call each other
the one that fired first stays, so that of what belongs together one is always heard.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from app.cache.alert_records import AlertRecord

__all__ = ["Calls", "GroupOf", "calls_of", "groups_by_service", "inhibited"]

Calls = Mapping[str, frozenset[str]]
"""Whom a service calls."""


@dataclass(frozen=True, slots=True)
class GroupOf:
    """A group of incidents that has not ended.

    Parameters
    ----------
    id : str
        Its name.
    services : tuple of str
        Which it is of.
    cause : str
        The service that is most likely its cause, empty where none is known.
    """

    id: str
    services: tuple[str, ...]
    cause: str = ""


def groups_by_service(groups: Iterable[GroupOf]) -> dict[str, GroupOf]:
    """Return the group that each service is in; of several the one with the first name."""
    found: dict[str, GroupOf] = {}
    for group in sorted(groups, key=lambda group: group.id):
        for service in group.services:
            found.setdefault(service, group)
    return found


def inhibited(
    alerts: Sequence[AlertRecord], groups: Mapping[str, GroupOf], calls: Calls, untold: Collection[str] = ()
) -> dict[str, str]:
    """Return by alert that is to be quiet the alert that keeps it so.

    Parameters
    ----------
    alerts : sequence of AlertRecord
        Those that are active, of one tenant. One of which nobody is told, in shadow or without channels, keeps only others of its kind quiet.
    groups : Mapping of str to GroupOf
        By service.
    calls : Mapping of str to frozenset of str
        Who calls whom.
    untold : collection of str
        Names of routes without channels.
    """
    first: dict[tuple[bool, str], AlertRecord] = {}
    for alert in sorted(alerts, key=_rank):
        first.setdefault((_told(alert, untold), alert.service), alert)
    below = {service: _below(service, calls) for service in {alert.service for alert in alerts}}
    found: dict[str, str] = {}
    for alert in alerts:
        group = groups.get(alert.service)
        named = below[alert.service] | ({group.cause} if group is not None else frozenset[str]())
        told = _told(alert, untold)
        others = [first[told, name] for name in named - {alert.service} if (told, name) in first]
        causes = [other for other in others if _keeps(other, alert, groups, below)]
        if causes:
            found[alert.id] = min(causes, key=lambda other: (not _is_cause(other, groups), *_rank(other))).id
    return found


def _told(alert: AlertRecord, untold: Collection[str]) -> bool:
    return not alert.shadow and alert.rule not in untold


def _rank(alert: AlertRecord) -> tuple[float, str]:
    return (alert.fired_at or alert.started_at).timestamp(), alert.id


def _is_cause(alert: AlertRecord, groups: Mapping[str, GroupOf]) -> bool:
    group = groups.get(alert.service)
    return group is not None and group.cause == alert.service


def _keeps(other: AlertRecord, alert: AlertRecord, groups: Mapping[str, GroupOf], below: Mapping[str, frozenset[str]]) -> bool:
    """Return whether an alert keeps one of another service quiet."""
    mine, its = groups.get(alert.service), groups.get(other.service)
    if (mine.id if mine else "") != (its.id if its else ""):
        return False
    if _is_cause(alert, groups) or _is_cause(other, groups):
        return _is_cause(other, groups)
    if other.service not in below[alert.service]:
        return False
    both_ways = alert.service in below[other.service]
    return not both_ways or _rank(other) < _rank(alert)


def _below(service: str, calls: Calls) -> frozenset[str]:
    """Return whom a service calls, directly or through others."""
    found: set[str] = set()
    ahead = [service]
    while ahead:
        for callee in calls.get(ahead.pop(), frozenset()):
            if callee not in found:
                found.add(callee)
                ahead.append(callee)
    return frozenset(found)


def calls_of(edges: Iterable[tuple[str, str]]) -> Calls:
    """Return whom each service calls, of pairs of caller and callee.

    Examples
    --------
    >>> calls_of([("cart", "db"), ("cart", "auth")])["cart"] == {"db", "auth"}
    True
    """
    found: defaultdict[str, set[str]] = defaultdict(set)
    for caller, callee in edges:
        found[caller].add(callee)
    return {caller: frozenset(callees) for caller, callees in found.items()}
