"""A population of services for `benchmarks.scale`: what each of them sends in a minute, as the worker reads it from the log.

Services have 4 to 40 operations; a whole service is a series too. Traffic follows Zipf's law over services and, within one, over
operations, 30 requests a minute and series in the mean. Every service sends one request a minute with its traffic groups, four levels,
two instances, three calls and up to three errors of each operation that failed, with the messages and stacks of the demo shop. One request
in 2,000 fails. A service has an incident in ten hours: for ten minutes it warns, for 10 to 30 minutes a third of the requests of
half of its operations fail.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from app.demo.messages import compose
from app.demo.stacks import stack
from app.demo.symptom import Symptom
from app.ingest.codec import BatchMessage
from features.arrays import BoolArray, FloatArray, IntArray
from features.batch import BUCKETS, CHANNELS, N_BUCKETS, N_CHANNELS, Batch, Call, Level, Presence
from features.event import ErrorRecord
from features.series import WHOLE, partition_of

__all__ = ["PARTITIONS", "START_TICK", "TENANT", "Population"]

TENANT = "default"

PARTITIONS = 8

START_TICK = 29_500_000
"""A minute in February 2026."""

_MEAN_RATE = 30.0
_FAILS, _FAILS_BEFORE, _FAILS_WITHIN = 1 / 2000, 0.005, 0.3
_INCIDENTS_A_TICK = 1 / 600
_WARNING_TICKS, _REST_TICKS = 10, 30
_MOST_RECORDS = 3
_LANGUAGES = ("java", "go", "python", "nodejs", "dotnet")
_SYMPTOMS = (Symptom.BLIP, Symptom.FLAP, Symptom.REFUSED, Symptom.UPSTREAM, Symptom.POOL, Symptom.OUTAGE, Symptom.BUG)
_VERBS = ("GET", "POST", "PUT", "DELETE")
_NEVER = 1 << 40


class Population:
    """Services and what they send.

    Parameters
    ----------
    n_series : int
        Series, whole services counted; the last service takes what is left.
    seed : int
        Decides everything.
    """

    def __init__(self, n_series: int, seed: int) -> None:
        self._rng = np.random.default_rng([seed, n_series])
        sizes = self._sizes(n_series)
        n = len(sizes)
        self.n_services, self.n_series = n, int(sizes.sum()) + n
        self._ends = np.cumsum(sizes)
        self._service: IntArray = np.repeat(np.arange(n), sizes)
        self.services = [f"service-{i:05d}" for i in range(n)]
        self._names = [
            ((name, WHOLE), *((name, f"{_VERBS[k % 4]} /api/{name}/resource-{k}") for k in range(size)))
            for name, size in zip(self.services, sizes.tolist(), strict=True)
        ]
        self._partition = [partition_of(TENANT, name, PARTITIONS) for name in self.services]
        self._rate = self._rates(sizes)
        self._log_s = self._rng.normal(-3.5, 1.0, len(self._service))  # of median durations, around 30 ms
        self._touched: BoolArray = self._rng.random(len(self._service)) < 0.5
        self._from, self._until = np.full(n, _NEVER), np.zeros(n, np.int64)
        self._callees = self._rng.integers(0, n, (n, 3))
        self.with_errors = 0.0
        """Share of the series of the last minute that failed at least once."""

    def messages(self, tick: int) -> Iterator[tuple[int, BatchMessage]]:
        """Yield what services send in a minute, with the partition that it is read from."""
        counts, histogram = self._traffic(tick)
        whole = self._whole(tick, counts)
        self.with_errors = float((counts[:, CHANNELS.index("errors")] > 0).sum()) / self.n_series
        begin = 0
        for service, end in enumerate(self._ends.tolist()):
            yield (
                self._partition[service],
                self._message(tick, service, counts[begin:end], histogram[begin:end], whole[service]),
            )
            begin = end

    def _sizes(self, n_series: int) -> IntArray:
        sizes, left = list[int](), n_series
        while left >= 2:
            size = min(int(np.exp(self._rng.uniform(np.log(4), np.log(41)))), left - 1)
            sizes.append(size)
            left -= size + 1
        return np.array(sizes)

    def _rates(self, sizes: IntArray) -> FloatArray:
        popularity = 1.0 / np.arange(1.0, len(sizes) + 1)
        self._rng.shuffle(popularity)
        within = np.concatenate([self._rng.permutation(1.0 / np.arange(1.0, size + 1)) for size in sizes.tolist()])
        share = within / np.bincount(self._service, within)[self._service] * popularity[self._service]
        return share / share.sum() * _MEAN_RATE * self.n_series

    def _traffic(self, tick: int) -> tuple[FloatArray, FloatArray]:
        """Return counts and durations of all operations."""
        rng = self._rng
        began = (rng.random(self.n_services) < _INCIDENTS_A_TICK) & (self._until < tick - _REST_TICKS)
        self._from[began] = tick + _WARNING_TICKS
        self._until[began] = tick + _WARNING_TICKS + rng.integers(10, 31, int(began.sum()))
        within = self._standing(tick)[self._service] & self._touched
        before = self._warning(tick)[self._service] & self._touched
        total = rng.poisson(self._rate)
        failed = rng.binomial(total, np.select([within, before], [_FAILS_WITHIN, _FAILS_BEFORE], _FAILS))
        log_s = self._log_s + within
        histogram = rng.multinomial(total, _shares(log_s)).astype(float)
        counts = np.zeros((len(total), N_CHANNELS))
        columns: dict[str, FloatArray] = {
            "total": total.astype(float),
            "served": total.astype(float),
            "failed": failed.astype(float),
            "server_errors": failed.astype(float),
            "errors": failed.astype(float),
            "duration_sum_s": total * np.exp(log_s + 0.18) * rng.lognormal(0.0, 0.05, len(total)),
            "duration_max_s": np.where(total > 0, _EDGES[N_BUCKETS - 1 - (histogram[:, ::-1] > 0).argmax(1)], 0.0),
        }
        for name, values in columns.items():
            counts[:, CHANNELS.index(name)] = values
        return counts, histogram

    def _whole(self, tick: int, counts: FloatArray) -> FloatArray:
        """Return what belongs to no operation: logs, warnings, inner spans."""
        rng = self._rng
        requests = np.bincount(self._service, counts[:, 0], self.n_services)
        warned = np.where(self._warning(tick) | self._standing(tick), 0.05, 0.002)
        whole = np.zeros((self.n_services, N_CHANNELS))
        for name, mean in (
            ("logs", requests),
            ("inner", 3 * requests),
            ("warnings", warned * requests),
            ("handled", warned * requests),
        ):
            whole[:, CHANNELS.index(name)] = rng.poisson(mean)
        return whole

    def _standing(self, tick: int) -> BoolArray:
        return (self._from <= tick) & (tick < self._until)

    def _warning(self, tick: int) -> BoolArray:
        return (self._from - _WARNING_TICKS <= tick) & (tick < self._from)

    def _message(self, tick: int, service: int, counts: FloatArray, histogram: FloatArray, whole: FloatArray) -> BatchMessage:
        heard = np.flatnonzero(counts[:, 0])
        n = len(heard) + 1
        name, ns = self.services[service], (tick * 60 + service % 55) * 10**9
        values = np.concatenate([whole[None], counts[heard]])
        batch = Batch(
            "traces",
            int(values[:, 0].sum()),
            self._names[service],
            np.append(0, heard + 1),
            np.full(n, tick * 60),
            values,
            np.concatenate([np.zeros((1, N_BUCKETS)), histogram[heard]]),
            errors=tuple(self._errors(ns, service, counts)),
            levels=tuple(
                Level(name, level, ns, float(self._rng.normal(10.0, 1.0))) for level in ("heap", "cpu", "queue", "threads")
            ),
            calls=tuple(Call(name, self.services[k], 10.0, 0.0) for k in self._callees[service].tolist()),
            presences=tuple(Presence(name, f"{name}-{k}", "1.4.2") for k in range(2)),
        )
        return BatchMessage(TENANT, f"{tick}-{service}", ns + 3 * 10**9, batch)

    def _errors(self, ns: int, service: int, counts: FloatArray) -> Iterator[ErrorRecord]:
        failed = counts[:, CHANNELS.index("failed")]
        language, name = _LANGUAGES[service % len(_LANGUAGES)], self.services[service]
        words = {"svc": name, "host": f"db-{service % 40}", "port": "5432", "status": "503"}
        words["peer"] = self.services[int(self._callees[service, 0])]
        for place in np.flatnonzero(failed).tolist():
            operation = self._names[service][place + 1][1]
            for salt in self._rng.integers(0, 2**62, min(int(failed[place]), _MOST_RECORDS)).tolist():
                symptom = _SYMPTOMS[(service + place + salt % 2) % len(_SYMPTOMS)]
                said = compose(symptom, language, place, salt, words | {"op": operation})
                trace = stack(language, name.replace("-", "_"), operation, said.type, said.message)
                yield ErrorRecord(
                    "span", name, operation, ns, 17, f"{salt:032x}", f"{salt:016x}", said.type, said.message, trace,
                    {"http.request.method": operation.split()[0], "http.response.status_code": "500"},
                )  # fmt: skip


_EDGES = np.array([*BUCKETS, 2 * BUCKETS[-1]])


def _shares(log_s: FloatArray) -> FloatArray:
    """Return the share of each bucket among log-normal durations with a deviation of 0.6."""
    z = (np.log(np.array(BUCKETS)) - log_s[:, None]) / 0.6
    below = 1.0 / (1.0 + np.exp(-1.702 * z))  # the logistic curve, near enough
    edges = np.concatenate([np.zeros((len(z), 1)), below, np.ones((len(z), 1))], axis=1)
    return np.diff(edges, axis=1)
