"""Which incidents belong together: by time and service, by traces that failed in both, by who calls whom, and by whom both could not reach.

`app.correlation` gives it the incidents of a tenant with what their errors name; a group keeps its name while incidents join it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from features.errors import InvalidValue
from features.symptom import Edge

__all__ = ["Group", "Seen", "group"]

_NEAR_S = (
    600  # guessed: what spreads along calls shows at the next service within minutes, and the rule takes two windows to see it
)
_BACK_S = 1800  # guessed: errors of one fingerprint that are back within half an hour never were repaired
_COMMON = 50  # guessed: a name that more incidents than this share tells nothing apart


@dataclass(frozen=True, slots=True)
class Seen:
    """An incident as it is grouped.

    Parameters
    ----------
    id, service : str
        Which, and where.
    start_s : int
        Unix second of its start.
    end_s : int or None
        Unix second of its end, None while it lasts.
    traces : frozenset of str
        Ids of traces that failed in it, as far as they are kept.
    fingerprints : frozenset of str
        Of its errors.
    peers : frozenset of str
        Whom its errors say that they could not reach, see `features.peers`.

    Raises
    ------
    InvalidValue
        When it ends before it starts.
    """

    id: str
    service: str
    start_s: int
    end_s: int | None = None
    traces: frozenset[str] = frozenset()
    fingerprints: frozenset[str] = frozenset()
    peers: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.end_s is not None and self.end_s < self.start_s:
            raise InvalidValue(f"end_s must be at or after start_s {self.start_s}, got {self.end_s}")


@dataclass(frozen=True, slots=True)
class Group:
    """Incidents that belong together.

    Parameters
    ----------
    id : str
        Its name; of a new group that of its first incident behind ``g-``.
    incidents : tuple of Seen
        By start, then by id.
    merged : tuple of str
        Names of groups that turned out to be this one.
    """

    id: str
    incidents: tuple[Seen, ...]
    merged: tuple[str, ...] = ()


def group(
    incidents: Iterable[Seen],
    edges: Iterable[Edge] = (),
    symptomatic: Iterable[str] = (),
    before: Mapping[str, str] | None = None,
) -> list[Group]:
    """Put incidents together that belong together.

    Parameters
    ----------
    incidents : iterable of Seen
        Of one tenant.
    edges : iterable of Edge
        Who calls whom.
    symptomatic : iterable of str
        Services without an incident of their own that show symptoms: two incidents that both call one, or are called by it, are
        neighbours. So is a peer outside to which calls of both fail.
    before : mapping of str to str, optional
        Names of groups by incident, as they were. What was together stays together.

    Returns
    -------
    list of Group
        By start.

    Examples
    --------
    >>> seen = [Seen("a", "payment", 0), Seen("b", "cart", 120), Seen("c", "mail", 120)]
    >>> [(one.id, [s.id for s in one.incidents]) for one in group(seen, [Edge("default", "cart", "payment", 9.0)])]
    [('g-a', ['a', 'b']), ('g-c', ['c'])]

    Notes
    -----
    Two incidents belong together when they are of one service and one begins while the other lasts or ten minutes after its end at most
    (half an hour with a fingerprint in common); or when a trace failed in both; or when they began within ten minutes of each
    other and are of neighbours in the graph, or their errors name the same peer. A group is what is joined by such pairs.
    """
    seen = sorted(incidents, key=lambda one: (one.start_s, one.id))
    sets = _Sets(len(seen))
    of_service: dict[str, list[int]] = defaultdict(list)
    for place, one in enumerate(seen):
        of_service[one.service].append(place)
    for places in of_service.values():
        _join_service(seen, places, sets)
    _join_shared([one.traces for one in seen], sets)
    _join_peers(seen, sets)
    _join_neighbours(seen, of_service, _neighbours(edges, of_service.keys(), set(symptomatic)), sets)
    names = before or {}
    _join_shared([frozenset({names[one.id]}) if one.id in names else frozenset() for one in seen], sets, len(seen))
    return _named(seen, sets, names)


@dataclass(slots=True)
class _Sets:
    """Places that are together, by the lowest of them."""

    n: int
    _parent: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self._parent = list(range(self.n))

    def find(self, place: int) -> int:
        while self._parent[place] != place:
            self._parent[place] = place = self._parent[self._parent[place]]
        return place

    def join(self, one: int, other: int) -> None:
        low, high = sorted((self.find(one), self.find(other)))
        self._parent[high] = low


def _join_service(seen: Sequence[Seen], places: Sequence[int], sets: _Sets) -> None:
    """Join incidents of one service, which come by start."""
    last: dict[str, int] = {}  # by fingerprint, of those that ended last
    latest = places[0]
    for place in places[1:]:
        one = seen[place]
        if _since_end(seen[latest], one.start_s) <= _NEAR_S:
            sets.join(latest, place)
        for name in seen[latest].fingerprints:
            last[name] = latest
        for name in one.fingerprints & last.keys():
            if _since_end(seen[last[name]], one.start_s) <= _BACK_S:
                sets.join(last[name], place)
        if _end(one) >= _end(seen[latest]):
            latest = place
        for name in one.fingerprints:
            if name not in last or _end(one) >= _end(seen[last[name]]):
                last[name] = place


def _join_shared(names: Sequence[frozenset[str]], sets: _Sets, most: int = _COMMON) -> None:
    """Join places that share a name, unless too many do."""
    places: dict[str, list[int]] = defaultdict(list)
    for place, shared in enumerate(names):
        for name in shared:
            places[name].append(place)
    for together in places.values():
        _join_few(together, sets, most)


def _join_peers(seen: Sequence[Seen], sets: _Sets) -> None:
    """Join incidents, which come by start, that began near each other and could not reach the same peer, unless too many could not."""
    together: dict[str, list[int]] = {}
    for place, one in enumerate(seen):
        for name in one.peers:
            near = together.setdefault(name, [])
            if near and one.start_s - seen[near[-1]].start_s > _NEAR_S:
                _join_few(near, sets)
                near.clear()
            near.append(place)
    for near in together.values():
        _join_few(near, sets)


def _join_few(places: Sequence[int], sets: _Sets, most: int = _COMMON) -> None:
    if len(places) <= most:
        for place in places[1:]:
            sets.join(places[0], place)


def _join_neighbours(
    seen: Sequence[Seen], of_service: Mapping[str, list[int]], pairs: set[tuple[str, str]], sets: _Sets
) -> None:
    """Join incidents of neighbours that began near each other."""
    starts = {service: [seen[place].start_s for place in places] for service, places in of_service.items()}
    for one, other in sorted(pairs):
        for place in of_service[one]:
            start_s = seen[place].start_s
            first, end = bisect_left(starts[other], start_s - _NEAR_S), bisect_right(starts[other], start_s + _NEAR_S)
            for near in of_service[other][first:end]:
                sets.join(place, near)


def _neighbours(edges: Iterable[Edge], services: Iterable[str], symptomatic: set[str]) -> set[tuple[str, str]]:
    """Return pairs of services with a call between them, or with one that shows symptoms in the middle."""
    wanted, pairs = set(services), set[tuple[str, str]]()
    around: dict[str, set[str]] = defaultdict(set)  # of those in the middle
    for edge in edges:
        ends = edge.caller, edge.callee
        if wanted.issuperset(ends) and ends[0] != ends[1]:
            pairs.add((min(ends), max(ends)))
        for middle, end in (ends, ends[::-1]):
            fails = middle == edge.callee and edge.errors > 0.0
            if middle not in wanted and end in wanted and (middle in symptomatic or fails):
                around[middle].add(end)
    for together in around.values():
        if len(together) <= _COMMON:
            pairs.update((a, b) for a in together for b in together if a < b)
    return pairs


def _named(seen: Sequence[Seen], sets: _Sets, before: Mapping[str, str]) -> list[Group]:
    """Give groups their names: the oldest that they had, or a new one."""
    members: dict[int, list[Seen]] = defaultdict(list)
    first: dict[str, tuple[int, str]] = {}  # where each former group begins now
    for place, one in enumerate(seen):
        members[sets.find(place)].append(one)
        if one.id in before:
            first.setdefault(before[one.id], (one.start_s, one.id))
    groups: list[Group] = []
    for together in members.values():
        had = sorted({before[one.id] for one in together if one.id in before}, key=lambda name: (*first[name], name))
        name, *merged = had or [f"g-{together[0].id}"]
        groups.append(Group(name, tuple(together), tuple(merged)))
    return groups


def _end(one: Seen) -> float:
    return float("inf") if one.end_s is None else float(one.end_s)


def _since_end(one: Seen, at_s: int) -> float:
    """Return seconds from an incident's end, negative while it lasts."""
    return at_s - _end(one)
