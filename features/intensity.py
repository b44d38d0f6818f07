"""How events of a series call for more: decayed counts, gaps between them, the hours they come at, and what happens around.

For streams that have events and no traffic: outages of monitored sites, failures of machines, alerts. `training.events`
adds what was received and asks for the matrix of all series at a time; it holds nothing but what was added before.
"""

from __future__ import annotations

import numpy as np

from features.arrays import BoolArray, Float32Array, FloatArray, IntArray
from features.errors import InvalidValue
from features.rates import pooled, shrunk
from features.schema import Feature, FeatureSchema

__all__ = ["ERROR", "HEARD", "INCIDENT", "SIGN", "Intensity", "schema_of"]

INCIDENT, ERROR, SIGN, HEARD = range(4)
"""What an event is: the onset that is forecast, a failure of any kind, a warning, anything at all."""

_KINDS = ("incident", "error", "sign", "heard")
_LAST = 5  # incidents whose times are kept
_SHOWN = (1, 2, 3, 5)  # of them
_SLOWER = (4, 24)  # decays beyond the longest horizon, as multiples of it
_HOURS = 168
_DAY_S = 86_400
_LONG_AGO = 1000.0  # longest horizons after which longer is no more
_GAP_FADE = 0.8  # guessed: of gaps the last five count
_SEASON_FADE = 24.0  # guessed: longest horizons of an hour of the week that weigh as much as the level that it backs off to


def schema_of(horizons_s: tuple[int, ...]) -> FeatureSchema:
    """Return the columns for some horizons.

    Parameters
    ----------
    horizons_s : tuple of int
        Seconds, ascending.

    Examples
    --------
    >>> schema_of((3600,)).names[:3]
    ('incident_decay_1', 'incident_log_decay_1', 'incident_log_decay_2')
    """
    taus_s = _taus_s(horizons_s)
    scales = range(1, len(taus_s) + 1)
    named = [(f"incident_decay_{i}", "history") for i in range(1, len(horizons_s) + 1)]
    for kind, group in zip(_KINDS, ("history", "errors", "signs", "activity"), strict=True):
        named += [(f"{kind}_log_decay_{i}", group) for i in scales]
    named += [(f"since_incident_{k}", "history") for k in _SHOWN]
    named += [("since_error", "errors"), ("since_sign", "signs"), ("since_heard", "activity")]
    named += [("gap_log", "rhythm"), ("gap_spread", "rhythm"), ("gap_phase", "rhythm")]
    for whose in ("service", "others"):
        named += [(f"{whose}_{kind}_log_decay_{i}", "neighbours") for kind in ("incident", "error") for i in scales]
    named += [("since_service_incident", "neighbours"), ("since_others_incident", "neighbours")]
    named += [(f"incident_rate{name}", "history") for name in ("", "_pooled", "_seasonal")]
    named += [(f"log_rate{name}", "history") for name in ("", "_pooled")] + [("season_log", "time")]
    named += [(name, "time") for name in ("hour_sin", "hour_cos", "weekday_sin", "weekday_cos")]
    named += [("error_share", "errors")]
    slow = {f"decay_{i}": int(tau_s) for i, tau_s in zip(scales, taus_s, strict=True) if tau_s >= _DAY_S}
    cycles = {"hour_sin": _DAY_S, "hour_cos": _DAY_S, "weekday_sin": 7 * _DAY_S, "weekday_cos": 7 * _DAY_S}
    memory_s = {name: next((s for end, s in (slow | cycles).items() if name.endswith(end)), 0) for name, _ in named}
    return FeatureSchema(1, tuple(Feature(name, group, memory_s=memory_s[name]) for name, group in named))


def _taus_s(horizons_s: tuple[int, ...]) -> tuple[float, ...]:
    return (*horizons_s, *(slower * horizons_s[-1] for slower in _SLOWER))


class Intensity:
    """What is known of the events of some series.

    Parameters
    ----------
    service : IntArray
        Shape (n,), number of each series' service, whose series are its neighbours.
    horizons_s : tuple of int
        Seconds, ascending: decayed counts have these time constants, and 4 and 24 times the longest.

    References
    ----------
    Hawkes (1971), Spectra of some self-exciting and mutually exciting point processes, Biometrika 58 (the decayed counts are
    the sufficient statistics of its exponential kernels).

    Examples
    --------
    >>> events = Intensity(np.array([0, 0]), (3600,))
    >>> events.add(np.array([0, 1]), np.array([1000.0, 4600.0]), np.array([INCIDENT, INCIDENT]))
    >>> x = events.features(4600)
    >>> schema = schema_of((3600,))
    >>> [round(float(value), 3) for value in x[:, schema.index("incident_decay_1")]]
    [0.368, 1.0]
    """

    def __init__(self, service: IntArray, horizons_s: tuple[int, ...]) -> None:
        n = len(service)
        self.schema = schema_of(horizons_s)
        self.horizons_s = horizons_s
        self.heard: BoolArray = np.zeros(n, dtype=np.bool_)
        """Shape (n,), which series were ever heard of."""
        self._service = service
        self._n_services = int(service.max()) + 1 if n else 0
        self._taus = np.array(_taus_s(horizons_s), np.float64)
        self._longest_h = horizons_s[-1] / 3600.0
        self._now = -np.inf
        self._decayed = np.zeros((n, len(_KINDS), len(self._taus)))
        self._last = np.full((n, _LAST), -np.inf)
        self._newest = np.full((n, len(_KINDS)), -np.inf)
        self._gaps = np.zeros((n, 3))  # faded number, sum and sum of squares of their logarithms
        self._count = np.zeros(n)
        self._since = np.full(n, np.inf)
        self._week = np.zeros((n, _HOURS))

    def add(self, row: IntArray, time_s: FloatArray, kind: IntArray) -> None:
        """Add events, in any order, none of them after the time for which features are asked next.

        Parameters
        ----------
        row : IntArray
            Shape (m,), whose.
        time_s : FloatArray
            Shape (m,), unix seconds.
        kind : IntArray
            Shape (m,), `INCIDENT` to `HEARD`. An incident is an error too, and everything is heard.
        """
        if not len(row):
            return
        self._move_to(max(self._now, float(time_s.max())))
        fresh = np.exp(-(self._now - time_s)[:, None] / self._taus)
        for what in range(len(_KINDS)):
            counts = kind <= what if what != SIGN else kind == SIGN
            if what == INCIDENT:
                counts = kind == INCIDENT
            np.add.at(self._decayed[:, what], row[counts], fresh[counts])
            np.maximum.at(self._newest[:, what], row[counts], time_s[counts])
        self.heard[row] = True
        np.minimum.at(self._since, row, time_s)
        for place in np.flatnonzero(kind == INCIDENT).tolist():
            self._add_incident(int(row[place]), float(time_s[place]))

    def features(self, as_of_s: float) -> Float32Array:
        """Return the matrix of all series at a time, shape (n, columns of `schema_of`).

        Raises
        ------
        InvalidValue
            When events after that time were added.
        """
        if as_of_s < self._now:
            raise InvalidValue(f"as_of_s must be at least {self._now}, the time of the newest event, got {as_of_s}")
        self._move_to(as_of_s)
        logs = np.log1p(self._decayed)
        columns = [*self._decayed[:, INCIDENT, : len(self.horizons_s)].T]
        columns += [column for what in range(len(_KINDS)) for column in logs[:, what].T]
        columns += [self._ago(self._last[:, k - 1]) for k in _SHOWN]
        columns += [self._ago(self._newest[:, what]) for what in (ERROR, SIGN, HEARD)]
        columns += self._rhythm()
        columns += self._neighbours()
        columns += self._rates()
        hour, weekday = as_of_s % 86_400 / 86_400, (as_of_s / 86_400 + 4) % 7 / 7  # the epoch was a Thursday
        turns = [wave(2 * np.pi * turn) for turn in (hour, weekday) for wave in (np.sin, np.cos)]
        columns += [np.full(len(self.heard), turn) for turn in turns]
        slow = self._decayed[:, :, -2]
        columns += [np.divide(slow[:, ERROR], slow[:, HEARD] + 1.0)]
        return np.stack(columns, axis=1).astype(np.float32)

    def _move_to(self, time_s: float) -> None:
        if np.isfinite(self._now) and time_s > self._now:
            self._decayed *= np.exp(-(time_s - self._now) / self._taus)
        self._now = time_s

    def _add_incident(self, row: int, time_s: float) -> None:
        last = self._last[row]
        if np.isfinite(last[0]) and time_s > last[0]:
            gap = np.log(time_s - last[0])
            self._gaps[row] = self._gaps[row] * _GAP_FADE + (1.0, gap, gap * gap)
        last[-1] = max(last[-1], time_s)
        last[:] = np.sort(last)[::-1]
        self._count[row] += 1
        self._week[row, int(time_s // 3600) % _HOURS] += 1

    def _ago(self, time_s: FloatArray) -> FloatArray:
        """Return the logarithm of how long ago something was, in longest horizons, bounded for never."""
        longest = self._taus[len(self.horizons_s) - 1]
        ago = np.where(np.isfinite(time_s), (self._now - time_s) / longest, _LONG_AGO)
        return np.log(np.clip(ago, 1e-4, _LONG_AGO))

    def _rhythm(self) -> list[FloatArray]:
        """Return the usual gap between incidents, how regular it is, and how much of it is over."""
        number, total, squares = self._gaps.T
        longest = np.log(self._taus[len(self.horizons_s) - 1])
        usual = np.divide(total, number, out=np.full(len(number), longest + np.log(_LONG_AGO)), where=number > 0)
        variance = np.divide(squares, number, out=np.zeros(len(number)), where=number > 0) - usual**2
        spread = np.where(number > 1.0, np.sqrt(np.maximum(variance, 0.0)), 0.0)
        phase = np.where(number > 0, self._ago(self._last[:, 0]) + longest - usual, 0.0)
        return [usual - longest, spread, phase]

    def _neighbours(self) -> list[FloatArray]:
        """Return what happened to the other series of the service, and to those of other services."""
        own, service = self._decayed, self._service
        of_service = np.zeros((self._n_services, *own.shape[1:]))
        np.add.at(of_service, service, own)
        beside, beyond = of_service[service] - own, own.sum(0) - of_service[service]
        columns = [
            column
            for counts in (beside, beyond)
            for what in (INCIDENT, ERROR)
            for column in np.log1p(np.maximum(counts[:, what], 0.0)).T
        ]
        newest = self._newest[:, INCIDENT]
        return [*columns, self._ago(_of_others(newest, service)), self._ago(_beyond(newest, service, self._n_services))]

    def _rates(self) -> list[FloatArray]:
        """Return incidents an hour: own, pooled over service and all, pooled at this hour of the week; and their logarithms."""
        borrow = _SEASON_FADE * self._longest_h
        hours = np.where(self.heard, (self._now - self._since) / 3600.0, 0.0)
        hours = np.where(np.isfinite(hours), np.maximum(hours, 0.0), 0.0)
        everyone = np.zeros_like(self._service)
        own, level = pooled(self._count, hours, (everyone, self._service), borrow)
        hour = int(self._now // 3600) % _HOURS
        at_hour = self._week[:, hour % 24 :: 24].sum(1)
        daily = shrunk(at_hour, hours / 24.0, level, borrow / 24.0)
        seasonal = shrunk(self._week[:, hour], hours / _HOURS, daily, borrow / 24.0)
        return [own, level, seasonal, np.log(own), np.log(level), np.log(seasonal / level)]


def _of_others(newest: FloatArray, group: IntArray) -> FloatArray:
    """Return the newest of the other members of each one's group."""
    size = int(group.max()) + 1 if len(group) else 0
    best, second = np.full(size, -np.inf), np.full(size, -np.inf)
    np.maximum.at(best, group, newest)
    is_best = newest == best[group]
    several = np.bincount(group, is_best, size) > 1
    np.maximum.at(second, group[~is_best], newest[~is_best])
    return np.where(is_best & ~several[group], second[group], best[group])


def _beyond(newest: FloatArray, group: IntArray, size: int) -> FloatArray:
    """Return the newest outside of each one's group."""
    best = np.full(size, -np.inf)
    np.maximum.at(best, group, newest)
    return _of_others(best, np.zeros(size, np.int64))[group]
