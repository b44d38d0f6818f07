"""The simulated shop: a schedule drawn once, and any minute of its telemetry as a pure function of (seed, minute).

`Shop.minute` gives the description of a minute, which `app.demo.render` turns into requests, and `app.demo.live` plays.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from hashlib import blake2b
from math import ceil

import numpy as np

from app.demo.effects import RECOVERY_MINUTES, effects
from app.demo.faults import Episode, Fault
from app.demo.levels import sample_levels
from app.demo.loglines import sample_logs
from app.demo.minute import Identity, Minute
from app.demo.rhythm import Rhythm
from app.demo.schedule import DAY, Plan, schedule
from app.demo.topology import TOPOLOGY
from app.demo.traces import sample_traces
from features.errors import InvalidValue

__all__ = ["SPARE_DAYS", "DemoPlan", "Shop"]

SPARE_DAYS = 2
"""Days that the schedule extends beyond those asked for; `Shop.extended` draws more."""
MAX_DAYS = 3660


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """Defaults of ``foreshock demo``.

    Parameters
    ----------
    seed : int
        Decides everything.
    days : float
        Days of history.
    faults_per_day : float
        Expected faults a day, in (0, 48]; high by default, so that three days hold enough to learn from.
    """

    seed: int = 1
    days: float = 3.0
    faults_per_day: float = 24.0


class Shop:
    """The simulated shop.

    Parameters
    ----------
    seed : int
        Decides everything, at least 0.
    days : float
        Days of history, in (0, 3660].
    faults_per_day : float
        Expected faults a day, in (0, 48].
    start : datetime
        Aware time of minute 0; seconds are dropped.

    Examples
    --------
    >>> shop = Shop(1, 1.0, 24.0, datetime(2026, 1, 5, tzinfo=UTC))
    >>> shop.n_minutes, len(shop.minute(7).spans) == len(shop.minute(7).spans)
    (1440, True)
    """

    def __init__(self, seed: int, days: float, faults_per_day: float, start: datetime) -> None:
        if start.tzinfo is None:
            raise InvalidValue(f"start must be aware, got {start!r}")
        if seed < 0 or not 0 < days <= MAX_DAYS:
            raise InvalidValue(f"seed must be at least 0 and days in (0, {MAX_DAYS}], got {seed} and {days}")
        self.seed = seed
        self.days = days
        self.faults_per_day = faults_per_day
        self.start = start.astimezone(UTC).replace(second=0, microsecond=0)
        self.rhythm = Rhythm(seed, self.start)
        hour = self.start.hour + self.start.minute / 60
        self.episodes = schedule(Plan(seed, faults_per_day, hour), ceil(days) + SPARE_DAYS)

    @property
    def n_minutes(self) -> int:
        """Minutes of history."""
        return round(self.days * DAY)

    def extended(self, minute: int) -> Shop:
        """Return this shop, or the same one with a schedule that holds a later minute."""
        if minute < self._until:
            return self
        return Shop(self.seed, minute / DAY + 1, self.faults_per_day, self.start)

    def truth(self) -> tuple[Fault, ...]:
        """Return the faults that begin to show within the days asked for, by onset."""
        return tuple(self._fault(e) for e in self.episodes if e.harmful and e.onset < self.n_minutes)

    def decoys(self) -> tuple[Fault, ...]:
        """Return what looks like trouble within the days asked for and is none, by onset."""
        return tuple(self._fault(e) for e in self.episodes if not e.harmful and e.onset < self.n_minutes)

    def time(self, minute: int) -> datetime:
        """Return when a minute starts."""
        return self.start + timedelta(minutes=minute)

    def minute(self, number: int) -> Minute:
        """Describe a minute; it depends on the seed, the rate, the start and the number alone.

        Raises
        ------
        InvalidValue
            When the number is negative or beyond the schedule.
        """
        if not 0 <= number < self._until:
            raise InvalidValue(f"minute must be in [0, {self._until}), got {number}")
        rng = np.random.default_rng([self.seed, 0x317, number])
        now = effects(self._near(number), self.rhythm.factor(number), number)
        load = now.load * float(np.exp(0.07 * rng.standard_normal()))
        spans = sample_traces(rng, now, load)
        n_traces = int(spans.trace.max()) + 1 if len(spans) else 0
        return Minute(
            number=number,
            start_ns=int(self.start.timestamp()) * 10**9 + number * 60 * 10**9,
            spans=spans,
            span_ids=rng.bytes(8 * len(spans)),
            trace_ids=rng.bytes(16 * n_traces),
            logs=sample_logs(rng, now, spans),
            levels=sample_levels(rng, now, load, number),
            identities=self._identities(number),
            variants=tuple(now.variant.tolist()),
        )

    @cached_property
    def _until(self) -> int:
        return (ceil(self.days) + SPARE_DAYS) * DAY

    @cached_property
    def _by_hour(self) -> dict[int, tuple[Episode, ...]]:
        hours: dict[int, list[Episode]] = {}
        for episode in self.episodes:
            for hour in range(episode.onset // 60, (episode.end + RECOVERY_MINUTES) // 60 + 1):
                hours.setdefault(hour, []).append(episode)
        return {hour: tuple(found) for hour, found in hours.items()}

    def _near(self, minute: int) -> tuple[Episode, ...]:
        return self._by_hour.get(minute // 60, ())

    def _fault(self, episode: Episode) -> Fault:
        return Fault(
            service=TOPOLOGY.services[episode.service],
            kind=episode.kind,
            onset=self.time(episode.onset),
            start=self.time(episode.start),
            end=self.time(episode.end),
            has_warning=episode.loud > 0 and episode.kind not in ("harmless_deploy", "traffic_spike"),
            harmful=episode.harmful,
            severity=episode.severity,
            operations=tuple(TOPOLOGY.operations[i].name for i in episode.operations),
            affected=tuple(TOPOLOGY.services[i] for i in episode.affected),
        )

    @cached_property
    def _changes(self) -> tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]:
        """For each service: minutes of its deployments, and minutes at which its processes are new."""
        deploys: list[list[int]] = [[] for _ in TOPOLOGY.services]
        starts: list[list[int]] = [[] for _ in TOPOLOGY.services]
        for e in self.episodes:
            if e.kind in ("bad_deploy", "harmless_deploy"):
                deploys[e.service] += [e.onset, e.end] if e.harmful else [e.onset]
                starts[e.service] += [e.onset, e.end] if e.harmful else [e.onset]
            elif e.kind == "memory_leak":
                starts[e.service] += [until for _, until in e.dead] + [e.end]
        return tuple((tuple(sorted(d)), tuple(sorted(s))) for d, s in zip(deploys, starts, strict=True))

    def _identities(self, minute: int) -> tuple[Identity, ...]:
        return tuple(
            self._identity(instance, int(service), minute)
            for instance, service in enumerate(TOPOLOGY.instance_service.tolist())
        )

    def _identity(self, instance: int, service: int, minute: int) -> Identity:
        deploys, starts = self._changes[service]
        key = (instance, bisect_right(deploys, minute), bisect_right(starts, minute))
        if key not in self._known:
            major, minor, patch = TOPOLOGY.components[service].version.split(".")
            digest = blake2b(f"{self.seed}/{key}".encode(), digest_size=16).hexdigest()
            uuid = "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:]))
            # A repair is a version of its own: what is rolled back gets a new number, too.
            self._known[key] = Identity(f"{major}.{minor}.{int(patch) + key[1]}", uuid)
        return self._known[key]

    @cached_property
    def _known(self) -> dict[tuple[int, int, int], Identity]:
        return {}
