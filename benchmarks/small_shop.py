"""A shop that is cheap to simulate: counts of a few services, two minutes at a time, given as Batches, without spans or requests.

`benchmarks.feedback` and `benchmarks.changed_world` send its Batches through the line of the service. Traffic has a daily rhythm of its
own in each service. A fault is sixteen minutes of errors in one service, more often by day than by night; two in three are announced by
warnings and handled exceptions that rise for half an hour. Everything comes from one generator, so a seed decides everything.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from features.arrays import FloatArray, IntArray
from features.batch import N_BUCKETS, N_CHANNELS, Batch, Presence, bucket_of, channel
from features.series import WHOLE, SeriesKey

__all__ = ["BEGIN_S", "TICK_S", "Burst", "Harmless", "SmallShop", "day_factor", "key_of"]

BEGIN_S = 1_767_571_200
"""Monday 2026-01-05 in UTC."""

TICK_S = 120
"""Two minutes: half the cost of one, and still two windows within the shortest horizon."""

_TOTAL, _FAILED, _ERRORS = channel("total"), channel("failed"), channel("errors")
_WARNINGS, _HANDLED, _LOGS, _SUM_S, _MAX_S = (
    channel(name) for name in ("warnings", "handled", "logs", "duration_sum_s", "duration_max_s")
)
_HOUR_S = 3600
_SIGNS_S = 1800  # how long signs rise before what they announce
_SHARE = (0.12, 0.35)  # of requests that fail in a fault
_USUAL_SHARE = 0.004


@dataclass(frozen=True, slots=True)
class Burst:
    """Errors of one service, and what announces them.

    Parameters
    ----------
    service : int
        Number of the service.
    kind : {"fault", "slow", "job", "flap", "fizzle"}
        What it is; a slow spell has no errors, and is an incident that the rule cannot see. A fizzle is signs alone.
    start_s, end_s : int
        Unix seconds of whole ticks.
    share : float
        Of requests that fail.
    warnings, handled : float
        A minute, when signs stand highest; 0 where nothing announces it.
    """

    service: int
    kind: str
    start_s: int
    end_s: int
    share: float
    warnings: float = 0.0
    handled: float = 0.0

    @property
    def harmful(self) -> bool:
        """Whether it is an incident."""
        return self.kind in {"fault", "slow"}


@dataclass(frozen=True, slots=True)
class Harmless:
    """What a shop has beside faults that the rule calls an incident too.

    Parameters
    ----------
    jobs : int
        Services, the first ones, whose nightly job fails a few requests at its own hour, night after night.
    flaps : int
        Services, the next ones, whose health check flaps: three spells a day, each with handled exceptions before it.
    slow_a_day : float
        Slow spells a day and service, which people report and the rule does not see.
    fizzles_a_day : float
        Signs of a fault, a day and service, that nothing follows.
    """

    jobs: int = 0
    flaps: int = 0
    slow_a_day: float = 0.0
    fizzles_a_day: float = 0.0


@dataclass
class SmallShop:
    """A shop and its generator.

    Parameters
    ----------
    rng : Generator
        Of everything.
    services : int
        How many.
    days : float
        How long.
    faults_a_day : float
        Of each service.
    harmless : Harmless
        Beside faults.
    shift_h : float
        By which the rhythm of traffic and faults is late from `changed_s` on.
    fail_more : float
        What the usual share of failed requests is multiplied by from `changed_s` on, with a new version of every service.
    renamed : int or None
        Number of the service that has another name from `changed_s` on.
    changed_s : int
        Unix seconds; far away where nothing changes.
    """

    rng: np.random.Generator
    services: int = 8
    days: float = 6.0
    faults_a_day: float = 1.5
    harmless: Harmless = field(default_factory=Harmless)
    shift_h: float = 0.0
    fail_more: float = 1.0
    renamed: int | None = None
    changed_s: int = 2**40

    def __post_init__(self) -> None:
        self.traffic: FloatArray = self.rng.uniform(25.0, 90.0, self.services)
        self.latency_s: FloatArray = self.rng.uniform(0.02, 0.15, self.services)
        self.end_s = BEGIN_S + int(self.days * 86_400) // TICK_S * TICK_S
        self.bursts: tuple[Burst, ...] = tuple(sorted(self._drawn(), key=lambda b: (b.start_s, b.service)))
        self._signs, self._failing, self._slow = self._courses()

    def name(self, service: int, at_s: int) -> str:
        """Return a service's name at a time."""
        return f"service-{service}" + ("-new" if service == self.renamed and at_s >= self.changed_s else "")

    def tick(self, at_s: int) -> Batch:
        """Return what all services said in the tick that begins at a time; ask for each once and in order."""
        place, n = (at_s - BEGIN_S) // TICK_S, self.services
        changed = at_s >= self.changed_s
        total = self.rng.poisson(TICK_S / 60 * self.traffic * day_factor(at_s - self._late_s(at_s)))
        more = self.fail_more if changed else 1.0
        failed = self.rng.binomial(total, np.minimum(more * (_USUAL_SHARE + self._failing[place]), 0.9))
        warnings, handled = (
            self.rng.poisson(TICK_S / 60 * (usual + self._signs[place, :, k])) for k, usual in enumerate((0.4, 0.6))
        )
        seconds = self.latency_s * np.exp(0.1 * self.rng.standard_normal(n)) * (1.0 + self._slow[place])
        counts, histogram = np.zeros((n, N_CHANNELS)), np.zeros((n, N_BUCKETS))
        counts[:, _TOTAL], counts[:, _FAILED], counts[:, _ERRORS] = total, failed, failed
        counts[:, _WARNINGS], counts[:, _HANDLED], counts[:, _LOGS] = warnings, handled, warnings + failed
        counts[:, _SUM_S], counts[:, _MAX_S] = seconds * total, seconds * 3
        histogram[np.arange(n), [bucket_of(int(s * 1e9)) for s in seconds]] = total
        names = tuple(self.name(i, at_s) for i in range(n))
        version = "2" if changed and self.fail_more != 1.0 else "1"
        spoken = (
            tuple(Presence(name, f"{name}-1", version) for name in names) if place % 5 == 0 or at_s == self.changed_s else ()
        )
        series = tuple((name, WHOLE) for name in names)
        times: IntArray = np.full(n, at_s, np.int64)
        return Batch("traces", int(total.sum()), series, np.arange(n), times, counts, histogram, presences=spoken)

    def _late_s(self, at_s: int) -> float:
        return self.shift_h * _HOUR_S if at_s >= self.changed_s else 0.0

    def _drawn(self) -> list[Burst]:
        found: list[Burst] = []
        for service in range(self.services):
            rates = (("fault", self.faults_a_day), ("slow", self.harmless.slow_a_day), ("fizzle", self.harmless.fizzles_a_day))
            for kind, a_day in rates:
                found += [self._burst(service, kind, at_s) for at_s in self._times(a_day)]
            days = range(int(self.days))
            if service < self.harmless.jobs:
                hour_s = int(self.rng.integers(0, 6 * 30)) * TICK_S
                jitter = self.rng.integers(-1, 2, len(days)) * TICK_S
                starts = [BEGIN_S + day * 86_400 + hour_s + int(jitter[day]) for day in days]
                found += [
                    Burst(service, "job", s, s + 4 * TICK_S, float(self.rng.uniform(*_SHARE))) for s in starts if s > BEGIN_S
                ]
            elif service < self.harmless.jobs + self.harmless.flaps:
                found += [self._burst(service, "flap", at_s) for at_s in self._times(3.0)]
        return found

    def _times(self, a_day: float) -> list[int]:
        """Draw times, by thinning, with at least two hours between two of a service."""
        n = self.rng.poisson(2.0 * a_day * self.days)
        drawn = np.sort(self.rng.uniform(BEGIN_S + _HOUR_S, self.end_s - _HOUR_S, n)).astype(np.int64)
        kept = [int(s) for s in drawn if self.rng.random() < day_factor(int(s) - self._late_s(int(s))) / 2.0]
        apart: list[int] = []
        for at_s in kept:
            if not apart or at_s - apart[-1] >= 2 * _HOUR_S:
                apart.append(at_s // TICK_S * TICK_S)
        return apart

    def _burst(self, service: int, kind: str, start_s: int) -> Burst:
        announced = kind == "fizzle" or self.rng.random() < 2 / 3
        ticks = {"fault": 8, "slow": 10, "flap": 3, "fizzle": 1}[kind]
        warnings, handled = {"fault": (4.0, 3.0), "slow": (4.0, 0.0), "flap": (0.0, 6.0), "fizzle": (4.0, 3.0)}[kind]
        share = 0.0 if kind in {"slow", "fizzle"} else float(self.rng.uniform(*_SHARE))
        loud = float(self.rng.uniform(0.6, 1.4)) if announced else 0.0
        return Burst(service, kind, start_s, start_s + ticks * TICK_S, share, loud * warnings, loud * handled)

    def _courses(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return by tick and service the signs (warnings, handled), the share that fails, and by how much answers are slower."""
        ticks = (self.end_s - BEGIN_S) // TICK_S
        signs, failing = np.zeros((ticks, self.services, 2)), np.zeros((ticks, self.services))
        slow = np.zeros((ticks, self.services))
        for burst in self.bursts:
            begin, end = ((s - BEGIN_S) // TICK_S for s in (burst.start_s, burst.end_s))
            rise = np.arange(max(begin - _SIGNS_S // TICK_S, 0), begin)
            height = 1.0 - (begin - rise) / (_SIGNS_S / TICK_S + 5)
            signs[rise, burst.service] += height[:, None] * (burst.warnings, burst.handled)
            failing[begin:end, burst.service] += burst.share
            slow[begin:end, burst.service] += 4.0 * (burst.kind == "slow")
        return signs, failing, slow


def day_factor(at_s: float) -> float:
    """Return the traffic of a time of the day, as a part of the mean.

    Examples
    --------
    >>> day_factor(15 * 3600), day_factor(3 * 3600)
    (1.6, 0.4)
    """
    return round(1.0 + 0.6 * float(np.cos((at_s / 86_400 - 15 / 24) * 2 * np.pi)), 9)


def key_of(name: str) -> SeriesKey:
    """Return the key of a service."""
    return SeriesKey("default", name, WHOLE)
