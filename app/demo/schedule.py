"""When which fault happens: the whole schedule of a shop, drawn at once from its seed.

Faults come one after the other with random pauses, so their errors never overlap; decoys are strewn between
them. The draw is prefix-stable: more days add Episodes and change none. `app.demo.simulate.Shop` holds the result.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from app.demo.faults import DECOYS, KINDS, Decoy, Episode, Kind
from app.demo.rhythm import day_factor
from app.demo.topology import TOPOLOGY
from features.arrays import FloatArray, IntArray
from features.errors import InvalidValue

__all__ = ["DAY", "Plan", "schedule"]

DAY = 1440
# Minutes; guessed. The pause keeps errors of two faults apart, the mean is that of `_error_minutes`.
REST, MEAN_ERROR_MINUTES = 8, 16.0
MAX_FAULTS_PER_DAY = 48
WORK_HOURS = range(8, 18)
FATAL = 0.3
"""From which fatality on a caller counts as affected by its callee."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a schedule is drawn from.

    Parameters
    ----------
    seed : int
        Decides everything.
    faults_per_day : float
        Expected number of faults a day, in (0, 48].
    hour : float
        Hour of the day, UTC, at minute 0.
    """

    seed: int
    faults_per_day: float
    hour: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.faults_per_day <= MAX_FAULTS_PER_DAY:
            raise InvalidValue(f"faults_per_day must be in (0, {MAX_FAULTS_PER_DAY}], got {self.faults_per_day}")


def schedule(plan: Plan, days: int) -> tuple[Episode, ...]:
    """Draw all faults and decoys of the first days.

    Parameters
    ----------
    plan : Plan
        Seed and rate.
    days : int
        How many days.

    Returns
    -------
    tuple of Episode
        By onset; the fault in progress at the end is whole.

    Examples
    --------
    >>> short, long = schedule(Plan(1, 24.0), 2), schedule(Plan(1, 24.0), 4)
    >>> set(short) <= set(long)
    True
    """
    faults = _faults(plan, (days + 1) * DAY)
    taken = list(faults)
    for day in range(days):
        rng = np.random.default_rng([plan.seed, 0xDEC, day])
        for decoy in DECOYS:
            for _ in range(rng.poisson(max(decoy.share * plan.faults_per_day, decoy.floor_per_day))):
                if (episode := _draw_decoy(rng, decoy, day, taken)) is not None:
                    taken.append(episode)
    kept = [episode for episode in taken if episode.onset < days * DAY]
    return tuple(sorted(kept, key=lambda e: (e.onset, e.service, e.kind)))


def _faults(plan: Plan, until: int) -> list[Episode]:
    rng = np.random.default_rng([plan.seed, 0xFA])
    # Some services fail more often than others, and stay so: a gamma draw for each shop.
    liking = rng.gamma(3.0, 1.0, len(TOPOLOGY.services)) + 0.4
    pause = max(DAY / plan.faults_per_day - MEAN_ERROR_MINUTES - REST, 3.0)
    faults: list[Episode] = []
    clock = 0.0
    while True:
        start = int(clock + rng.exponential(pause)) + 1
        if start >= until:
            return faults
        fault = _draw_fault(rng, plan, start, liking, faults)
        clock = start + 1 if fault is None else fault.end + REST
        faults += [fault] if fault is not None else []


def _draw_fault(rng: np.random.Generator, plan: Plan, start: int, liking: FloatArray, before: list[Episode]) -> Episode | None:
    hour = (plan.hour + start / 60) % 24
    weights = np.array([kind.weight for kind in KINDS])
    names = [kind.name for kind in KINDS]
    # People deploy by day, and pools run dry under load.
    weights[names.index("bad_deploy")] *= 1.5 if int(hour) in WORK_HOURS else 0.6
    weights[names.index("pool_exhaustion")] *= float(day_factor(hour))
    for _ in range(12):
        kind = KINDS[rng.choice(len(KINDS), p=weights / weights.sum())]
        lead = int(rng.integers(kind.lead_minutes[0], kind.lead_minutes[1] + 1)) if kind.lead_minutes[1] else 0
        service = _pick_service(rng, kind.name, liking)
        if start - lead > 0 and _is_free(before, service, start - lead - 10, start + 45):
            return _shape(rng, kind, service, start - lead, start)
    return None


def _is_free(taken: list[Episode], service: int, since: int, until: int) -> bool:
    return not any(e.service == service and e.onset < until and since < e.end + 10 for e in taken[-400:])


def _pick_service(rng: np.random.Generator, kind: str, liking: FloatArray) -> int:
    external = np.array([d.external for d in TOPOLOGY.dependencies])[TOPOLOGY.dependency]
    able = np.ones(len(liking), np.bool_)
    if kind in ("rate_limit", "throttle_decoy"):
        able[:] = False
        able[TOPOLOGY.service[external]] = True
    elif kind == "partition":  # somebody must call it
        able[:] = False
        able[TOPOLOGY.service[TOPOLOGY.ends[1][~TOPOLOGY.queued]]] = True
    odds = np.where(able, liking, 0.0)
    return int(rng.choice(len(odds), p=odds / odds.sum()))


def _shape(rng: np.random.Generator, kind: Kind, service: int, onset: int, start: int) -> Episode:
    end = start + _error_minutes(rng)
    episode = Episode(
        kind=kind.name,
        service=service,
        onset=onset,
        start=start,
        end=end,
        severity=round(float(rng.uniform(0.35, 0.95)), 3),
        ramp=int(rng.integers(4, 11)) if kind.name == "bad_deploy" else int(rng.integers(1, 5)),
        loud=round(float(rng.uniform(0.5, 1.6)), 3) if rng.random() < kind.warned else 0.0,
        variant=int(rng.integers(0, 1 << 16)),
        operations=_operations(rng, kind.name, service),
        bursts=_bursts(rng, start, end) if kind.name == "flapping" else ((start, end),),
    )
    if kind.name == "memory_leak":
        episode = replace(episode, dead=_crashes(rng, start, end))
    affected, spread = _reach(rng, episode)
    return replace(episode, affected=affected, spread=spread)


def _error_minutes(rng: np.random.Generator) -> int:
    return int(np.clip(rng.lognormal(np.log(14), 0.55), 5, 40))


def _operations(rng: np.random.Generator, kind: str, service: int) -> tuple[int, ...]:
    own = np.array(TOPOLOGY.operations_of(service))
    if kind in ("rate_limit", "throttle_decoy"):
        external = [i for i in own if TOPOLOGY.dependencies[TOPOLOGY.dependency[i]].external]
        return tuple(int(i) for i in external)
    if kind == "dependency_outage":  # the dependency most of its operations use, or another one of its own
        used = np.unique(TOPOLOGY.dependency[own])
        return tuple(own[TOPOLOGY.dependency[own] == rng.choice(used)].tolist())
    if kind == "bad_deploy":  # one bug touches some of the operations
        return tuple(sorted(rng.choice(own, size=int(rng.integers(2, len(own) + 1)), replace=False).tolist()))
    return tuple(own.tolist())


def _bursts(rng: np.random.Generator, start: int, end: int) -> tuple[tuple[int, int], ...]:
    bursts: list[tuple[int, int]] = []
    at = start
    while at < end:
        stop = min(at + int(rng.integers(1, 4)), end)
        bursts.append((at, stop))
        at = stop + int(rng.integers(2, 6))
    return tuple(bursts)


def _crashes(rng: np.random.Generator, start: int, end: int) -> tuple[tuple[int, int], ...]:
    """Every 4 to 9 minutes all instances are down together for 1 to 3 minutes."""
    dead: list[tuple[int, int]] = []
    at = start + int(rng.integers(1, 4))
    while at < end - 1:
        stop = min(at + int(rng.integers(1, 4)), end)
        dead.append((at, stop))
        at = stop + int(rng.integers(4, 10))
    return tuple(dead)


def _reach(rng: np.random.Generator, episode: Episode) -> tuple[tuple[int, ...], tuple[tuple[int, int], ...]]:
    """Services that fail with it, in order upstream, and for a cascade the minute from which each does."""
    affected, spread = [episode.service], list[tuple[int, int]]()
    wave: IntArray = np.array(episode.operations)
    at = episode.start
    while len(wave):
        passed = np.isin(TOPOLOGY.ends[1], wave) & (TOPOLOGY.edge_odds[1] >= FATAL) & ~TOPOLOGY.queued
        wave = np.unique(TOPOLOGY.ends[0][passed])
        new = [int(s) for s in np.unique(TOPOLOGY.service[wave]) if s not in affected]
        at += int(rng.integers(1, 5))
        affected += new
        spread += [(s, min(at, episode.end)) for s in new] if episode.kind == "pool_exhaustion" else []
    return tuple(affected), tuple(spread)


def _draw_decoy(rng: np.random.Generator, decoy: Decoy, day: int, taken: list[Episode]) -> Episode | None:
    """Try some places for a decoy; none within a day that is full is no harm."""
    everywhere = decoy.name == "traffic_spike"
    peaks = {"traffic_spike": (2.0, 4.0), "memory_decoy": (0.45, 0.85)}
    for _ in range(20):
        onset = day * DAY + int(rng.integers(15, DAY))
        end = onset + int(rng.integers(decoy.minutes[0], decoy.minutes[1] + 1))
        service = 0 if everywhere else _pick_service(rng, decoy.name, np.ones(len(TOPOLOGY.services)))
        near = [e for e in taken if e.onset < end + 12 and onset < e.end + 12]
        if not any(e.service == service or (everywhere and e.harmful) or service in e.affected for e in near):
            low, high = peaks.get(decoy.name, (0.35, 0.8))
            return Episode(
                kind=decoy.name,
                service=service,
                onset=onset,
                start=end,
                end=end,
                severity=round(float(rng.uniform(low, high)), 3),
                ramp=3,
                loud=round(float(rng.uniform(0.5, 1.6)), 3),
                variant=int(rng.integers(0, 1 << 16)),
                operations=_operations(rng, decoy.name, service),
            )
    return None
