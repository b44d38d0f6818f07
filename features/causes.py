"""Which service is the cause, and in which order it spread: symptoms walk along calls to where nothing else explains them.

Reads what `features.symptoms` finds and the edges of `features.graph`; a tenant's home ranks causes over all services of a group of incidents.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from features.symptom import Cause, Edge, Reason, Symptom, Symptoms

__all__ = ["continued", "order", "rank"]

# The numbers below are guesses that were kept: halving or doubling any of them moves one or two of the 28 faults in
# `benchmarks/rootcause.py`.
_MOST_BITS = 40.0  # what is less likely still says no more about whose fault it is
_STEPS = 8  # calls between the cause and what shows it
_OWN = ("version", "saturation")
"""Families of symptoms that no other service explains."""
_EXPLAINED_BY = {
    "errors": ("errors", "work", "latency", "missing", *_OWN),
    "work": ("errors", "work"),
    "latency": ("latency", "traffic", "work", *_OWN),
    "traffic": (),
    "missing": ("errors", "work", "latency", "missing", *_OWN),
}
"""Families of symptoms that may come from another service: from a callee, but missing calls from a caller; and what explains them there.

Work is what a service does and writes for a request. A caller does less where a callee fails.
"""
_LOGS = {"": "log records", "WARN": "warnings"}
_FAMILIES = (*_EXPLAINED_BY, *_OWN)
_SILENT = 2  # services that show nothing between one that does and its cause
_THROUGH = 0.5  # what is left of an explanation behind each of them
_EXPLAINS = 0.85  # how much of a symptom a callee with a full one takes over
_HALF_BITS = 4.0  # bits at which a callee explains half as much as one with a full symptom
_TRACE_BITS = 3.0  # bits for one trace, and for each doubling of one more than that
_OVER = 0.25  # what is left of a symptom that is over while the trouble lasts: chance symptoms pass, and so does a cause that recovers first
_LEADS = 0.5  # by how much more or less an explanation counts whose side surely moves first, or surely later
_FIRST_FADE_S = 120.0  # a service that began to show anything so long after the first is half as likely
_OF_SIGNAL = {
    "errors": 1.0,
    "failed": 1.0,
    "latency": 1.0,
    "traffic": 0.5,
    "logs": 0.8,
    "version": 1.0,
    "saturation": 0.7,
}


def rank(symptoms: Sequence[Symptoms], edges: Sequence[Edge], affected: Collection[str] = ()) -> list[Cause]:
    """Rank the services that may be the cause.

    Parameters
    ----------
    symptoms : sequence of Symptoms
        Of the services of one tenant that show any.
    edges : sequence of Edge
        Who calls whom.
    affected : collection of str
        Services with an incident; only they and what they call, directly or not, are candidates. All are without.

    Returns
    -------
    list of Cause
        The likeliest first; scores sum to 1.

    Examples
    --------
    >>> errors = Symptom("errors", 60, 12.0, value=9.0, expected=0.1)
    >>> shown = [Symptoms("default", name, 120, (errors,)) for name in ("web", "cart", "db")]
    >>> calls = [Edge("default", "web", "cart", 100.0), Edge("default", "cart", "db", 100.0)]
    >>> [cause.service for cause in rank(shown, calls)]
    ['db', 'cart', 'web']

    Notes
    -----
    Each service's symptoms are a weight that walks: a callee with symptoms takes over a part of its caller's, and it stays where no
    callee explains it. Missing calls walk the other way, from the callee to the caller that no longer calls. Whether the other side may
    explain it is told by traces that failed at both, and where there are none by which of the two moves first.

    References
    ----------
    Kim, Sumbaly, Shah (2013), Root cause detection in a service-oriented architecture, SIGMETRICS (a walk on the call graph, here one
    that ends where symptoms are not explained).
    """
    shown = {one.service: one for one in symptoms if one.symptoms}
    walk = _Walk.along(shown, edges)
    candidates = sorted(_reached(affected, edges) & shown.keys() if affected else shown)
    first = min((_onset(shown[name]) for name in candidates), default=0)
    blames = {name: walk.blame(name) * _early(_onset(shown[name]) - first) for name in candidates}
    total = sum(blames.values()) or 1.0
    ranked = sorted(blames, key=lambda name: (-blames[name], _onset(shown[name]), name))
    return [Cause(name, blames[name] / total, tuple(_reasons(shown[name], walk, first, len(ranked)))) for name in ranked]


def continued(before: Iterable[Symptoms], now: Iterable[Symptoms]) -> list[Symptoms]:
    """Return what services show now, each symptom since it was first seen in one go.

    Parameters
    ----------
    before, now : iterable of Symptoms
        Of one tenant: what was returned as of the tick before, and what is shown as of this one.

    Examples
    --------
    >>> before, now = (Symptoms("default", "web", tick, (Symptom("errors", tick - 60, 9.0),)) for tick in (120, 180))
    >>> [one.symptoms[0].since_s for one in continued([before], [now])]
    [60]
    """
    since = {(one.service, *_key(symptom)): symptom.since_s for one in before for symptom in one.symptoms}
    return [
        replace(
            one,
            symptoms=tuple(
                replace(symptom, since_s=min(symptom.since_s, since.get((one.service, *_key(symptom)), symptom.since_s)))
                for symptom in one.symptoms
            ),
        )
        for one in now
    ]


def order(symptoms: Sequence[Symptoms], edges: Sequence[Edge]) -> list[str]:
    """Return the services that show symptoms in the order in which these spread.

    Parameters
    ----------
    symptoms : sequence of Symptoms
        Of one tenant.
    edges : sequence of Edge
        Who calls whom: of two that began in the same window the callee comes first.

    Examples
    --------
    >>> slow = [Symptoms("default", n, 120, (Symptom("latency", since, 9.0),)) for n, since in (("web", 60), ("db", 60), ("bank", 0))]
    >>> order(slow, [Edge("default", "web", "db", 5.0)])
    ['bank', 'db', 'web']
    """
    left = {one.service: _onset(one) for one in symptoms if one.symptoms}
    callees: dict[str, set[str]] = defaultdict(set)
    for edge in edges:
        callees[edge.caller].add(edge.callee)
    ordered: list[str] = []
    while left:
        now = min(left.values())
        together = sorted(name for name, since in left.items() if since == now)
        # In a circle of calls nobody is free of callees: the first by name breaks it.
        free = [name for name in together if not callees[name] & set(together) - {name}] or together[:1]
        ordered += free
        for name in free:
            del left[name]
    return ordered


@dataclass(slots=True)
class _Walk:
    """Where the weight of symptoms came to rest."""

    kept: dict[str, float] = field(default_factory=dict[str, float])
    """Of a service's own symptoms."""
    taken: dict[str, float] = field(default_factory=dict[str, float])
    """Of those of others."""
    sources: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    traced: dict[str, int] = field(default_factory=dict[str, int])
    """Traces in which a service was the deepest of several that failed."""
    leads: dict[tuple[str, str], Edge] = field(default_factory=dict[tuple[str, str], Edge])
    """Calls of which only what moves first tells who may be to blame, by caller and callee."""

    @classmethod
    def along(cls, shown: Mapping[str, Symptoms], edges: Sequence[Edge]) -> _Walk:
        """Let what goes wrong walk to callees, and what is missing to callers; what is a service's own stays."""
        walk = cls({}, dict.fromkeys(shown, 0.0), {name: set() for name in shown})
        bits = {name: _bits(one) for name, one in shown.items()}
        ways = _ways(shown, edges)
        walk.traced = _traced(shown, ways)
        walk.leads = _leads(shown, edges)
        for name, of_name in bits.items():
            walk._rest(name, name, sum(of_name[family] for family in _OWN))
        for family, explained_by in _EXPLAINED_BY.items():
            along: dict[str, dict[str, float]] = defaultdict(dict)
            for (caller, callee), share in ways.items():
                source, target = (callee, caller) if family == "missing" else (caller, callee)
                lead = walk.leads[caller, callee].lead_bits if (caller, callee) in walk.leads else 0.0
                likely = _likely(-lead if family == "missing" else lead)
                along[source][target] = share * likely * sum(bits[target][other] for other in explained_by)
            for name, of_name in bits.items():
                walk._spread(name, of_name[family], along)
        return walk

    def blame(self, name: str) -> float:
        """Return what came to rest at a service."""
        return self.kept.get(name, 0.0) + self.taken[name] + _bits_of(self.traced.get(name, 0))

    def _spread(self, source: str, weight: float, ways: Mapping[str, Mapping[str, float]]) -> None:
        moving = {source: weight}
        for step in range(_STEPS + 1):
            after: dict[str, float] = defaultdict(float)
            for name, amount in moving.items():
                further = ways.get(name, {}) if step < _STEPS else {}
                leaving = amount * _EXPLAINS * max((_full(bits) for bits in further.values()), default=0.0)
                self._rest(source, name, amount - leaving)
                total = sum(further.values())
                for callee, bits in further.items():
                    if leaving > 0.0:
                        after[callee] += leaving * bits / total
            moving = after

    def _rest(self, source: str, name: str, amount: float) -> None:
        if name == source:
            self.kept[name] = self.kept.get(name, 0.0) + amount
        else:
            self.taken[name] += amount
            self.sources[name].add(source)


def _ways(shown: Collection[str], edges: Sequence[Edge]) -> dict[tuple[str, str], float]:
    """Return who of those that show symptoms depends on whom, and how directly: a service between them may show none."""
    callees: dict[str, list[str]] = defaultdict(list)
    for edge in edges:
        callees[edge.caller].append(edge.callee)
    ways: dict[tuple[str, str], float] = {}
    for caller in shown:
        share, seen, reached = 1.0, {caller}, [caller]
        for _ in range(_SILENT + 1):
            found = sorted({callee for name in reached for callee in callees[name]} - seen)  # sums must not depend on the order
            seen |= set(found)
            ways |= {(caller, callee): share for callee in found if callee in shown}
            reached, share = [callee for callee in found if callee not in shown], share * _THROUGH
    return ways


def _leads(shown: Mapping[str, Symptoms], edges: Iterable[Edge]) -> dict[tuple[str, str], Edge]:
    """Return the calls of which it is known who moves first, and of which no trace that failed at both ends says it better."""
    return {
        (edge.caller, edge.callee): edge
        for edge in edges
        if edge.lead_bits
        and not edge.errors
        and {edge.caller, edge.callee} <= shown.keys()
        and set(shown[edge.caller].traces).isdisjoint(shown[edge.callee].traces)
    }


def _likely(bits: float) -> float:
    """Return how much more an explanation counts whose side moves first by so many bits, 1 where nothing is known."""
    return 1.0 - _LEADS + 2.0 * _LEADS / (1.0 + 2.0 ** -max(min(bits, _MOST_BITS), -_MOST_BITS))


def _traced(shown: Mapping[str, Symptoms], ways: Collection[tuple[str, str]]) -> dict[str, int]:
    """Count the traces in which each service failed, others did too, and none of these that it depends on."""
    failed: dict[int, list[str]] = defaultdict(list)
    for name, one in shown.items():
        for trace in one.traces:
            failed[trace].append(name)
    counts: dict[str, int] = defaultdict(int)
    for names in failed.values():
        deepest = [name for name in names if not any((name, other) in ways for other in names if other != name)]
        if len(names) > 1 and len(deepest) == 1:
            counts[deepest[0]] += 1
    return counts


def _bits_of(traces: int) -> float:
    return _TRACE_BITS * math.log2(1 + traces)


def _bits(one: Symptoms) -> dict[str, float]:
    """Return the bits of a service's symptoms by family, each family's strongest."""
    best = dict.fromkeys(_FAMILIES, 0.0)
    for symptom in one.symptoms:
        family = _family(symptom)
        best[family] = max(best[family], _weight(symptom))
    return best


def _weight(symptom: Symptom) -> float:
    """Return the bits that a symptom counts for."""
    return min(symptom.strength, _MOST_BITS) * _OF_SIGNAL[symptom.signal] * (_OVER if symptom.over else 1.0)


def _key(symptom: Symptom) -> tuple[str, str, str]:
    return symptom.signal, symptom.operation, symptom.detail


def _family(symptom: Symptom) -> str:
    """Return the name that signals share which tell of the same thing."""
    if symptom.signal in {"errors", "failed"} or (symptom.signal == "logs" and symptom.detail):
        return "errors"
    if symptom.signal == "logs" or symptom.detail == "inner":
        return "work"
    return "missing" if symptom.signal == "traffic" and symptom.value < symptom.expected else symptom.signal


def _full(bits: float) -> float:
    return bits / (bits + _HALF_BITS)


def _early(after_s: int) -> float:
    return 1.0 / (1.0 + max(after_s, 0) / _FIRST_FADE_S)


def _onset(one: Symptoms) -> int:
    return min(symptom.since_s for symptom in one.symptoms)


def _reached(affected: Collection[str], edges: Sequence[Edge]) -> set[str]:
    """Return some services and all that they call, directly or not."""
    callees: dict[str, list[str]] = defaultdict(list)
    for edge in edges:
        callees[edge.caller].append(edge.callee)
    found, open_ = set(affected), list(affected)
    while open_:
        new = [callee for callee in callees[open_.pop()] if callee not in found]
        found.update(new)
        open_ += new
    return found


def _reasons(one: Symptoms, walk: _Walk, first: int, among: int) -> list[Reason]:
    """Return why a service may be the cause, the strongest first."""
    reasons = [_told(symptom) for symptom in one.symptoms]
    if traced := walk.traced.get(one.service, 0):
        text = f"the deepest service that failed in {traced} {'trace' if traced == 1 else 'traces'} in which others failed too"
        reasons.append(Reason("trace", text, _bits_of(traced)))
    if sources := sorted(walk.sources[one.service]):
        who = "1 service that depends on it shows" if len(sources) == 1 else f"{len(sources)} services that depend on it show"
        text = f"{who} symptoms too: {', '.join(sources[:3])}{_followed(one.service, walk)}"
        reasons.append(Reason("graph", text, walk.taken[one.service]))
    if among > 1 and _onset(one) == first:
        reasons.append(Reason("first", f"one of the first of {among} services to show symptoms", 1.0))
    return sorted(reasons, key=lambda reason: -reason.strength)


def _followed(name: str, walk: _Walk) -> str:
    """Return who follows a service most surely, and by how much."""
    after = [one for (_, callee), one in walk.leads.items() if callee == name and one.lag_s > 0.0 and one.lead_bits > 0.0]
    surest = max(after, key=lambda one: (one.lead_bits, one.caller), default=None)
    return "" if surest is None else f"; {surest.caller} follows it by {surest.lag_s / 60:.3g} min"


def _told(symptom: Symptom) -> Reason:
    """Return what a symptom says to a person."""
    detail = symptom.detail
    alike = detail if symptom.signal == "errors" or (symptom.signal == "logs" and detail != "WARN") else ""
    version = detail if symptom.signal == "version" else ""
    text = _text(symptom) + (", over by now" if symptom.over else "")
    return Reason(symptom.signal, text, _weight(symptom), symptom.operation, alike, version)


def _text(symptom: Symptom) -> str:
    where = "" if symptom.operation == "*" else f" of {symptom.operation}"
    value, expected, detail = symptom.value, symptom.expected, symptom.detail
    numbers = f"{value:.4g} a window, {expected:.3g} expected"
    match symptom.signal:
        case "errors":
            return f"errors{where}: {numbers}"
        case "failed":
            return f"{100 * value:.3g} % of requests{where} failed, {100 * expected:.3g} % expected"
        case "latency":
            return f"requests{where} took {1000 * value:.4g} ms, {1000 * expected:.4g} ms expected"
        case "traffic":
            return f"{'spans within its requests' if detail else 'requests'}{where}: {numbers}"
        case "logs":
            return f"{_LOGS.get(detail, f'errors of group {detail}')}: {numbers}"
        case "version":
            return f"new version {detail}"
        case _:
            return f"{detail} at {value:.4g}, {expected:.4g} expected"
