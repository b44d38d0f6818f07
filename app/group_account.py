"""The account of a group of incidents: causes, spread, blast radius and plan, out of what is known of the tenant at one moment.

`app.correlation` calls `account` at every look. What a service showed once stays in the account after it recovered: the cause often
recovers first.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from app.cache.error_heads import ErrorHeads
from app.cache.group_records import Affected, BlastRadius, GroupRecord
from app.cache.records import IncidentRecord
from app.group_timeline import forewarnings, timeline, verdict_lines
from app.past_groups import like_groups, recovery, remedies
from app.scene import Scene
from features.causes import order, rank
from features.groups import Group
from features.plan import plan
from features.shown import remembered
from features.symptom import Edge, Symptoms
from features.taxonomy import UNKNOWN

__all__ = ["account", "with_verdicts"]

_MOST_SERVICES = (
    200  # guessed: of a group whose document a person opens; those with the earliest incidents, then the nearest to these
)
_MOST_CAUSES = 10
_MOST_REASONS = 6
_MOST_NAMES = 200  # fingerprints of a group
_EARLIER_S = 1800  # guessed: what a neighbour showed for longer before the group began is another trouble


def account(group: Group, before: GroupRecord | None, scene: Scene) -> GroupRecord:
    """Return what there is to say of a group.

    Parameters
    ----------
    group : Group
        Which incidents it is of; the scene has them.
    before : GroupRecord or None
        What was said before.
    scene : Scene
        What is known now.
    """
    incidents = [scene.incidents[one.id] for one in group.incidents]
    before = _folded(before, [scene.groups[name] for name in group.merged if name in scene.groups])
    ids = tuple(one.id for one in incidents)
    end = _end(incidents)
    if before is not None and before.end is not None and (before.end, before.incidents) == (end, ids):
        return with_verdicts(before, scene)
    affected = list(dict.fromkeys(one.service for one in incidents))[:_MOST_SERVICES]
    start = min(one.start for one in incidents)
    shown = _shown(scene, end)
    region = _region(affected, scene.edges, shown, int(start.timestamp()))
    evidence = _bounded(_evidence(before.evidence if before else (), region, shown, end is None), affected)
    edges = [edge for edge in scene.edges if edge.caller in region and edge.callee in region]
    named = _named(incidents, scene.errors, start, end)
    made = GroupRecord(
        id=group.id,
        tenant=scene.tenant,
        start=start,
        detected_at=min(one.detected_at for one in incidents),
        end=end,
        incidents=ids,
        services=_services(incidents, evidence, edges, before, scene),
        causes=tuple(
            replace(one, reasons=one.reasons[:_MOST_REASONS]) for one in rank(evidence, edges, affected)[:_MOST_CAUSES]
        ),
        predicted_before=forewarnings(one for one in incidents if one.service in affected),
        merged=tuple(sorted({*group.merged, *(before.merged if before else ())})),
        updated_at=scene.as_of,
        evidence=evidence,
        kinds=(dict(before.kinds) if before else {}) | named.kinds,
        fingerprints=_both(before.fingerprints if before else (), named.fingerprints),
        categories=_both(before.categories if before else (), named.categories),
    )
    made = replace(made, blast_radius=_blast(made.services, before, scene))
    errors = {name: scene.errors[name] for name in affected if name in scene.errors}
    lines = timeline(incidents, evidence, errors, before.timeline if before else ())
    return with_verdicts(_planned(replace(made, timeline=tuple(lines)), edges, scene), scene)


def with_verdicts(group: GroupRecord, scene: Scene) -> GroupRecord:
    """Return a group with what people say of its incidents by now."""
    lines = [line for line in group.timeline if line.kind != "verdict"] + verdict_lines(group.incidents, scene.verdicts)
    return replace(group, timeline=tuple(sorted(lines, key=lambda one: one.time)))


def _folded(before: GroupRecord | None, others: Sequence[GroupRecord]) -> GroupRecord | None:
    """Return what was said of a group together with what was said of those that turned out to be the same."""
    if before is None:
        return None
    for other in others:
        known = {one.service for one in before.evidence}
        counted = {one.service for one in before.services}
        before = replace(
            before,
            evidence=(*before.evidence, *(one for one in other.evidence if one.service not in known)),
            services=(*before.services, *(one for one in other.services if one.service not in counted)),
            timeline=(*before.timeline, *(line for line in other.timeline if line.kind == "error")),
            kinds=dict(other.kinds) | dict(before.kinds),
            fingerprints=_both(before.fingerprints, other.fingerprints),
            categories=_both(before.categories, other.categories),
            merged=(*before.merged, *other.merged),
        )
    return before


def _planned(group: GroupRecord, edges: Sequence[Edge], scene: Scene) -> GroupRecord:
    similar = like_groups(group, scene.groups.values(), scene.verdicts)
    expected, seen = recovery(group.start, scene.as_of, similar) if group.end is None else (None, 0)
    steps = plan(group.causes, group.kinds, edges, remedies(similar))
    return replace(group, similar=similar, plan=steps, recovery_expected_at=expected, recovery_seen=seen)


def _end(incidents: Iterable[IncidentRecord]) -> datetime | None:
    ends = [one.end for one in incidents]
    known = [end for end in ends if end is not None]
    return max(known) if len(known) == len(ends) else None


def _shown(scene: Scene, end: datetime | None) -> dict[str, Symptoms]:
    """Return what services show now, without what began after a group that is over: one that is found late is not to blame for it."""
    shown = {name: record.shown() for name, record in scene.symptoms_now().items()}
    if end is not None:
        until_s = end.timestamp()
        shown = {
            name: replace(one, symptoms=tuple(symptom for symptom in one.symptoms if symptom.since_s < until_s))
            for name, one in shown.items()
        }
    return {name: one for name, one in shown.items() if one.symptoms}


def _region(affected: Collection[str], edges: Iterable[Edge], shown: Mapping[str, Symptoms], start_s: int) -> set[str]:
    """Return the affected services and those that show symptoms around them, along calls either way, the nearest ones."""
    lately = {name for name, one in shown.items() if any(symptom.since_s >= start_s - _EARLIER_S for symptom in one.symptoms)}
    around: dict[str, set[str]] = defaultdict(set)
    for edge in edges:
        around[edge.caller].add(edge.callee)
        around[edge.callee].add(edge.caller)
    region, rim = dict.fromkeys(affected), sorted(affected)
    while rim and len(region) < _MOST_SERVICES:
        rim = sorted({name for one in rim for name in around[one] & lately} - region.keys())
        region |= dict.fromkeys(rim)
    return set(list(region)[:_MOST_SERVICES])


def _evidence(
    before: Sequence[Symptoms], region: Collection[str], shown: Mapping[str, Symptoms], lasts: bool
) -> list[Symptoms]:
    """Return all that services showed so far; what those of the region and those of before show now is new."""
    names = {*region, *(one.service for one in before)}
    return remembered(before, [one for name, one in shown.items() if name in names], lasts=lasts)


def _bounded(evidence: Sequence[Symptoms], affected: Collection[str]) -> tuple[Symptoms, ...]:
    """Keep the services with incidents, and of the others those that showed anything first: a cause does."""
    onsets = {one.service: min(symptom.since_s for symptom in one.symptoms) for one in evidence}
    first = sorted(evidence, key=lambda one: (one.service not in affected, onsets[one.service], one.service))
    return tuple(sorted(first[:_MOST_SERVICES], key=lambda one: one.service))


def _services(
    incidents: Sequence[IncidentRecord],
    evidence: Sequence[Symptoms],
    edges: Sequence[Edge],
    before: GroupRecord | None,
    scene: Scene,
) -> tuple[Affected, ...]:
    """Return the services in the order in which the trouble spread, with the errors that each had."""
    starts: dict[str, datetime] = {}
    for one in sorted(incidents, key=lambda one: (one.start, one.service)):
        starts.setdefault(one.service, one.start)
    shown = {one.service: one for one in evidence}
    names = list(dict.fromkeys([*order(evidence, edges), *starts]))[:_MOST_SERVICES]
    counted = {one.service: one.errors for one in before.services} if before else {}
    read_s = {one.service: one.as_of_s for one in before.evidence} if before else {}
    end = _end(incidents)
    found: list[Affected] = []
    for place, name in enumerate(names, 1):
        times = [starts[name]] if name in starts else []
        times += [datetime.fromtimestamp(symptom.since_s, UTC) for symptom in shown[name].symptoms] if name in shown else []
        since = min(times)
        record, errors = scene.symptoms.get(name), counted.get(name, 0.0)
        if record is not None and record.symptoms:
            until_s = record.as_of_s if end is None else min(record.as_of_s, int(end.timestamp()) + record.tick_s)
            errors += record.errors_between(read_s.get(name, int(since.timestamp())), until_s)
        found.append(Affected(name, since, errors, place))
    return tuple(found)


def _blast(services: Sequence[Affected], before: GroupRecord | None, scene: Scene) -> BlastRadius:
    """Return the worst that was seen so far, by requests that failed."""
    known = [scene.services[one.service] for one in services if one.service in scene.services]
    requests = sum(one.requests_per_minute for one in known)
    failing = sum(one.requests_per_minute * one.error_ratio for one in known)
    now = BlastRadius(len(services), requests, failing / requests if requests else 0.0)
    worst = before.blast_radius if before else now
    if now.requests_per_minute * now.failing_share >= worst.requests_per_minute * worst.failing_share:
        return now
    return replace(worst, services=now.services)


class _Named:
    """What the errors of a group are called."""

    def __init__(self) -> None:
        self.kinds: dict[str, tuple[str, ...]] = {}
        self.fingerprints: list[str] = []
        self.categories: list[str] = []


def _named(
    incidents: Iterable[IncidentRecord], errors: Mapping[str, ErrorHeads], start: datetime, end: datetime | None
) -> _Named:
    named = _Named()
    for one in incidents:
        if one.category != UNKNOWN:
            named.categories.append(one.category)
    for service in dict.fromkeys(one.service for one in incidents):
        heads = errors.get(service)
        if heads is None:
            continue
        groups = [head for head in heads.groups if head.last_seen >= start and (end is None or head.first_seen <= end)]
        recent = Counter(
            event.fingerprint for event in heads.events if event.time >= start and (end is None or event.time <= end)
        )
        counts: Counter[str] = Counter()
        for head in groups:
            # Of a group that is older than the incident nobody knows how many of its errors fell into it; the newest 50 tell.
            counts[head.kind] += head.count if head.first_seen >= start else recent[head.fingerprint]
        if counts:
            named.kinds[service] = tuple(sorted(counts, key=lambda kind: (-counts[kind], kind))[:3])
        named.fingerprints += [head.fingerprint for head in groups]
        named.categories += [head.category for head in groups if head.category != UNKNOWN]
    return named


def _both(before: Iterable[str], now: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({*before, *now}))[:_MOST_NAMES]
