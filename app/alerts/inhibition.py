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
    found: dict[str, str] = {}
    for told in (True, False):
        found |= _inhibited([alert for alert in alerts if _told(alert, untold) == told], groups, calls)
    return found


def _inhibited(alerts: Sequence[AlertRecord], groups: Mapping[str, GroupOf], calls: Calls) -> dict[str, str]:
    """Return what `inhibited` does, of alerts of one kind.

    Services that alert are bits of a number, in the order in which they fired: thousands that all reach each other are a matter of
    milliseconds and of kilobytes each, and the lowest bit is the first that fired.
    """
    first: dict[str, AlertRecord] = {}
    for alert in sorted(alerts, key=_rank):
        first.setdefault(alert.service, alert)
    names, bit = list(first), {service: 1 << number for number, service in enumerate(first)}
    below, grouped = _below(bit, calls), defaultdict[str, int](int)
    for service in names:
        grouped[_group_id(service, groups)] |= bit[service]
    found: dict[str, str] = {}
    for alert in alerts:
        cause = _cause(alert.service, groups)
        if cause in first:
            if cause != alert.service:
                found[alert.id] = first[cause].id
            continue
        ahead = below[alert.service] & grouped[_group_id(alert.service, groups)] & ~bit[alert.service]
        while ahead:
            lowest = ahead & -ahead
            other = names[lowest.bit_length() - 1]
            # Of two that call each other the first stays.
            if _rank(first[other]) < _rank(alert) or not below[other] & bit[alert.service]:
                found[alert.id] = first[other].id
                break
            ahead ^= lowest
    return found


def _told(alert: AlertRecord, untold: Collection[str]) -> bool:
    return not alert.shadow and alert.rule not in untold


def _rank(alert: AlertRecord) -> tuple[float, str]:
    return (alert.fired_at or alert.started_at).timestamp(), alert.id


def _group_id(service: str, groups: Mapping[str, GroupOf]) -> str:
    group = groups.get(service)
    return "" if group is None else group.id


def _cause(service: str, groups: Mapping[str, GroupOf]) -> str | None:
    """Return the cause of a service's group, None where none is known or it is taken to be of another group."""
    group = groups.get(service)
    return None if group is None or _group_id(group.cause, groups) != group.id else group.cause


def _below(bit: Mapping[str, int], calls: Calls) -> dict[str, int]:
    """Return whom services call, directly or through others, by service: the bits of those that have one."""
    order = _callees_first(bit, calls)
    below = dict.fromkeys(order, 0)
    changed = True
    while changed:  # once more than there are cycles within cycles
        changed = False
        for service in order:
            reached = 0
            for callee in calls.get(service, ()):
                reached |= below[callee] | bit.get(callee, 0)
            if reached != below[service]:
                below[service], changed = reached, True
    return below


def _callees_first(services: Iterable[str], calls: Calls) -> list[str]:
    """Return services and all whom they call, directly or through others, callees first as far as there is no cycle."""
    order, seen = list[str](), set[str]()
    ahead = [(service, False) for service in services]
    while ahead:
        service, entered = ahead.pop()
        if entered:
            order.append(service)
        elif service not in seen:
            seen.add(service)
            ahead.append((service, True))
            ahead += [(callee, False) for callee in calls.get(service, ()) if callee not in seen]
    return order


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
