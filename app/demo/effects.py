"""What holds in one minute: rates, failure odds and levels of every service, from rhythm and Episodes.

`effects` is a pure function of the schedule, the load and the minute; `app.demo.traces` and `app.demo.levels` sample from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from app.demo.faults import Episode
from app.demo.symptom import Symptom
from app.demo.topology import TOPOLOGY
from features.arrays import BoolArray, FloatArray, IntArray

__all__ = ["Effects", "effects"]

N_OPERATIONS, N_SERVICES = len(TOPOLOGY.operations), len(TOPOLOGY.components)
RECOVERY_MINUTES = 5
# Minutes in which a service works off what piled up, and the share of its time that a decoy rises; guessed.
RISE = 0.7


def _ones_ops() -> FloatArray:
    return np.ones(N_OPERATIONS)


def _zeros_ops() -> FloatArray:
    return np.zeros(N_OPERATIONS)


def _codes_ops() -> IntArray:
    return np.zeros(N_OPERATIONS, np.int64)


def _ones() -> FloatArray:
    return np.ones(N_SERVICES)


def _zeros() -> FloatArray:
    return np.zeros(N_SERVICES)


def _codes() -> IntArray:
    return np.zeros(N_SERVICES, np.int64)


def _flags() -> BoolArray:
    return np.zeros(N_SERVICES, np.bool_)


@dataclass(slots=True)
class Effects:
    """Rates and odds of one minute; `effects` fills it and nobody changes it afterwards.

    Parameters
    ----------
    load : float
        Expected traffic relative to an average minute.
    latency : FloatArray, shape (n_operations,)
        Factor on the own latency.
    tail : FloatArray, shape (n_operations,)
        How often an entry is 3 to 12 times slower.
    error, handled : FloatArray, shape (n_operations,)
        Odds that an entry fails by a fault, or handles an exception.
    symptom, handled_symptom : IntArray, shape (n_operations,)
        As what.
    warning : FloatArray, shape (n_services,)
        Expected warnings a minute by Episodes.
    warning_symptom : IntArray, shape (n_services,)
        As what.
    dead : BoolArray, shape (n_services,)
        Whether no instance runs.
    cut : FloatArray, shape (n_services,)
        Odds that a call into the service never arrives.
    relay : FloatArray, shape (n_services,)
        Factor on the odds that a caller passes a failure on.
    heap, pool, disk : FloatArray, shape (n_services,)
        How far an Episode has pushed the level from its normal place (0) to full (1).
    variant : IntArray, shape (n_services,)
        Which of several messages.
    """

    load: float
    latency: FloatArray = field(default_factory=_ones_ops)
    tail: FloatArray = field(default_factory=_zeros_ops)
    error: FloatArray = field(default_factory=_zeros_ops)
    symptom: IntArray = field(default_factory=_codes_ops)
    handled: FloatArray = field(default_factory=_zeros_ops)
    handled_symptom: IntArray = field(default_factory=_codes_ops)
    warning: FloatArray = field(default_factory=_zeros)
    warning_symptom: IntArray = field(default_factory=_codes)
    dead: BoolArray = field(default_factory=_flags)
    cut: FloatArray = field(default_factory=_zeros)
    relay: FloatArray = field(default_factory=_ones)
    heap: FloatArray = field(default_factory=_zeros)
    pool: FloatArray = field(default_factory=_zeros)
    disk: FloatArray = field(default_factory=_zeros)
    variant: IntArray = field(default_factory=_codes)


def effects(episodes: Iterable[Episode], load: float, minute: int) -> Effects:
    """Return what holds in a minute.

    Parameters
    ----------
    episodes : iterable of Episode
        At least those that are under way, or ended within `RECOVERY_MINUTES`.
    load : float
        Load of the rhythm.
    minute : int
        Minutes since the shop's start.

    Returns
    -------
    Effects

    Examples
    --------
    >>> spike = Episode("traffic_spike", 0, 10, 40, 40, 3.0, 3, 1.0, 0, ())
    >>> [round(effects([spike], 1.0, m).load, 1) for m in (9, 10, 20, 40)]
    [1.0, 1.5, 3.0, 1.0]
    """
    now = Effects(load)
    # Slightly slower under load; guessed.
    now.latency *= 0.94 + 0.06 * load
    for episode in episodes:
        if episode.onset <= minute < episode.end:
            _apply(now, episode, minute)
        elif episode.harmful and episode.end <= minute < episode.end + RECOVERY_MINUTES:
            # What piled up is worked off: slower, without errors.
            now.latency[list(episode.operations)] *= 1 + 0.3 * (1 - (minute - episode.end) / RECOVERY_MINUTES)
    return now


def _apply(now: Effects, episode: Episode, minute: int) -> None:
    ops = list(episode.operations)
    now.variant[episode.service] = episode.variant
    if not episode.harmful:
        _apply_decoy(now, episode, minute)
        return
    sign = _SIGNS.get(episode.kind)
    lead = episode.start - episode.onset
    progress = min((minute - episode.onset + 0.5) / lead, 1.0) if lead else 1.0
    if sign is not None and (episode.kind != "bad_deploy" or episode.loud > 0):
        sign(now, episode, ops, progress)
    burst = next((b for b in episode.bursts if b[0] <= minute < b[1]), None)
    if burst is None:
        return
    if any(since <= minute < until for since, until in episode.dead):
        now.dead[episode.service] = True
        return
    strength = episode.severity * min((minute - burst[0] + 1) / episode.ramp, 1.0)
    now.error[ops] = strength
    now.symptom[ops] = _FAILS_AS[episode.kind]
    now.tail[ops] = np.maximum(now.tail[ops], 0.1)
    if episode.kind == "partition":
        now.cut[episode.service] = strength
        now.error[ops] = strength * TOPOLOGY.dependency_p[ops] ** 0.5  # its own dependency is out of reach, too
    if episode.kind == "disk_full":  # what only reads fails less often: temporary files, access logs
        now.error[ops] = strength * np.where(TOPOLOGY.writes[ops], 1.0, 0.35)
    for service, since in episode.spread:
        now.relay[service] = 1.0 if minute >= since else 0.1


def _apply_decoy(now: Effects, episode: Episode, minute: int) -> None:
    length = episode.end - episode.onset
    passed = (minute - episode.onset + 0.5) / length
    if episode.kind == "traffic_spike":
        edge = min(minute - episode.onset + 1, episode.end - minute)
        factor = 1 + (episode.severity - 1) * min(edge / 4, 1.0)
        now.load *= factor
        now.latency *= 1 + 0.08 * (factor - 1)
    elif episode.kind == "warning_burst":
        now.warning[episode.service] = 1.5 * episode.loud
        now.warning_symptom[episode.service] = Symptom.ODD_WARNING
    elif (sign := _SIGNS.get(episode.kind)) is not None:
        # It rises, then falls back over the rest; a heap falls at once, by a collection.
        falls = 0.0 if episode.kind == "memory_decoy" else (1 - passed) / (1 - RISE)
        sign(now, episode, list(episode.operations), episode.severity * (passed / RISE if passed < RISE else falls))


def _leak(now: Effects, episode: Episode, ops: list[int], p: float) -> None:
    now.heap[episode.service] = p
    now.latency[ops] *= 1 + 0.8 * p**2
    now.tail[ops] = 0.12 * p**2
    _warn(now, episode, ops, Symptom.GC_WARNING, (0.15 + 3.0 * p**2, 0.04 * p**3))


def _pool(now: Effects, episode: Episode, ops: list[int], p: float) -> None:
    now.pool[episode.service] = p
    now.latency[ops] *= 1 + 0.6 * p**2
    now.tail[ops] = 0.25 * p**2
    _warn(now, episode, ops, Symptom.POOL_WARNING, (0.2 + 4.0 * p**2, 0.05 * p**2))


def _deploy(now: Effects, episode: Episode, ops: list[int], p: float) -> None:
    _warn(now, episode, ops, Symptom.DEPLOY_WARNING, (0.4 + 1.5 * p, 0.04 + 0.1 * p))


def _throttle(now: Effects, episode: Episode, ops: list[int], p: float) -> None:
    now.latency[ops] *= 1 + 0.5 * p
    now.tail[ops] = 0.1 * p
    _warn(now, episode, ops, Symptom.THROTTLE_WARNING, (0.2 + 2.5 * p, 0.04 + 0.4 * p))


def _disk(now: Effects, episode: Episode, ops: list[int], p: float) -> None:
    now.disk[episode.service] = p
    now.latency[ops] *= 1 + 1.5 * max(p - 0.5, 0.0)
    now.tail[ops] = 0.2 * max(p - 0.6, 0.0)
    # A watcher warns from about 85 % on.
    _warn(now, episode, ops, Symptom.DISK_WARNING, (3.0 * max(p - 0.6, 0.0) / 0.4, 0.0))


def _warn(now: Effects, episode: Episode, ops: list[int], symptom: Symptom, odds: tuple[float, float]) -> None:
    now.warning[episode.service] = odds[0] * episode.loud
    now.warning_symptom[episode.service] = symptom
    now.handled[ops] = np.minimum(odds[1] * episode.loud, 0.8)
    now.handled_symptom[ops] = symptom


_Sign = Callable[[Effects, Episode, list[int], float], None]
_SIGNS: dict[str, _Sign] = {
    "memory_leak": _leak,
    "memory_decoy": _leak,
    "pool_exhaustion": _pool,
    "pool_decoy": _pool,
    "bad_deploy": _deploy,
    "rate_limit": _throttle,
    "throttle_decoy": _throttle,
    "disk_full": _disk,
}
_FAILS_AS = {
    "memory_leak": Symptom.MEMORY,
    "pool_exhaustion": Symptom.POOL,
    "bad_deploy": Symptom.BUG,
    "rate_limit": Symptom.THROTTLED,
    "disk_full": Symptom.DISK,
    "partition": Symptom.CUT,
    "flapping": Symptom.FLAP,
    "dependency_outage": Symptom.OUTAGE,
}
