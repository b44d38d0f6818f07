"""How many anomalies quiet series show in a simulated month, and how many are found that are there.

    python -m benchmarks.anomaly_month [--days 30] [--services 10] [--seed 0] [--json]

Services go through `features.memory.Memory` and `app.anomalies.SeriesAnomalies` minute by minute: *low volume* (one request a minute, 2 %
fail), *nightly batch* (10 requests a minute by day; from 2:00 to 2:40 a job with 600 of four times the duration, of which 5 % fail),
*weekday batch* (the same from Monday to Friday, up to a quarter of an hour late), *steady* (200 requests a minute, 1 % fail), and *daily*
(the same, but 40 at night and 360 by day). Nothing goes wrong in them but chance, so anomalies must not be more than one in a thousand
ticks, 43.2 in 30 days. Beside them stand as many steady services in which at a random minute of the day something is wrong for ten
minutes: once a day a tenth of all requests fails (*faults*), and once in ten days, for what breaks no incident rule is learned, requests
take twice as long (*slow*) or half of them stay away (*loss*). Durations are exponential with a mean of 50 ms. No window is marked as
part of an incident but by the incident rule itself.
"""

from __future__ import annotations

import argparse

import numpy as np

from app.anomalies import SeriesAnomalies
from benchmarks.answers import answers_as_json, deliver
from features.arrays import BoolArray, FloatArray, IntArray
from features.batch import N_BUCKETS, N_CHANNELS, Batch, channel
from features.memory import Memory, MemoryPlan
from models.anomaly import ANOMALY

__all__ = ["KINDS", "main", "simulated"]

KINDS = ("low volume", "nightly batch", "weekday batch", "steady", "daily", "faults", "slow", "loss")
_WRONG = KINDS[-3:]

_DAY, _FIRST = 1440, 28_404_000  # minutes; the first is the midnight of a Sunday
_JOB, _JOB_FROM, _LATE, _FAULT = 40, 120, 15, 10
_SELDOM = 10  # days between two minutes at which requests are slow or stay away
_WEEK = 7  # days after which a job of nights must be known
_ALLOWED = 0.001 * 30 * _DAY
_PATIENCE = 3  # minutes after a fault's start within which its anomaly counts as found


def simulated(
    tick: int, late: IntArray, faulty: BoolArray, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return requests, errors and seconds of a minute, shape (kinds, services).

    Parameters
    ----------
    tick : int
        Minutes since the first midnight.
    late : IntArray, shape (services,)
        Minutes by which the weekday batches begin late today.
    faulty : BoolArray, shape (services,)
        In which services of the last kinds something is wrong.
    rng : numpy.random.Generator
        Chance.
    """
    n, minute, weekday = len(faulty), tick % _DAY, tick // _DAY % 7
    at_work = np.zeros((len(KINDS), n), np.bool_)
    at_work[1] = 0 <= minute - _JOB_FROM < _JOB
    at_work[2] = (minute - _JOB_FROM - late >= 0) & (minute - _JOB_FROM - late < _JOB) & (weekday in range(1, 6))
    by_day = 200.0 - 160.0 * np.cos(2.0 * np.pi * minute / _DAY)
    rates = np.where(at_work, 600.0, np.array([1.0, 10.0, 10.0, 200.0, by_day, 200.0, 200.0, 200.0])[:, None])
    shares = np.where(at_work, 0.05, np.array([0.02, 0.0, 0.0, 0.01, 0.01, 0.01, 0.01, 0.01])[:, None])
    mean_s = np.where(at_work, 0.2, 0.05)
    seldom = faulty & _in_turn(tick // _DAY, n)
    shares[5, faulty], mean_s[6, seldom], rates[7, seldom] = 0.1, 0.1, 100.0
    requests = rng.poisson(rates)
    requests[0] = 1
    return requests.astype(float), rng.binomial(requests, shares).astype(float), rng.gamma(np.maximum(requests, 1e-9), mean_s)


def _in_turn(day: int, n: int) -> BoolArray:
    """Return the services of which requests are slow or stay away on a day."""
    return (day + np.arange(n)) % _SELDOM == _SELDOM - 1


def _batch(tick: int, requests: FloatArray, errors: FloatArray, seconds: FloatArray) -> Batch:
    kinds, n = requests.shape
    counts = np.zeros((kinds * n, N_CHANNELS))
    counts[:, channel("total")] = requests.ravel()
    for name in ("errors", "failed"):
        counts[:, channel(name)] = errors.ravel()
    counts[:, channel("duration_sum_s")] = seconds.ravel()
    names = tuple((f"{kind} {number}", "*") for kind in KINDS for number in range(n))
    times = np.full(kinds * n, (_FIRST + tick) * 60)
    return Batch("traces", kinds * n, names, np.arange(kinds * n), times, counts, np.zeros((kinds * n, N_BUCKETS)))


def _judged(starts: IntArray, late: IntArray, rng: np.random.Generator) -> tuple[BoolArray, BoolArray]:
    """Return where anomalies began and which windows were unlikely, shape (minutes, kinds * services)."""
    n, days = starts.shape
    memory, judge = Memory(MemoryPlan(max_series=10_000)), SeriesAnomalies(60)
    memory.begin(_FIRST)
    rows = np.array([memory.row("default", f"{kind} {i}", "*", 0) for kind in KINDS for i in range(n)])
    began, unlikely = np.zeros((days * _DAY, len(rows)), np.bool_), np.zeros((days * _DAY, len(rows)), np.bool_)
    for tick in range(days * _DAY):
        faulty: BoolArray = np.any((starts <= tick) & (tick < starts + _FAULT), axis=1)
        memory.add("default", 0, _batch(tick, *simulated(tick, late[tick // _DAY], faulty, rng)))
        memory.advance(_FIRST + tick + 1)
        judge.advance(memory)
        assert judge.newest is not None
        began[tick], unlikely[tick] = judge.newest.since[rows] == 0, judge.newest.tail[rows] <= ANOMALY
    return began, unlikely


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--services", type=int, default=10, help="of each kind")
    answers_as_json(parser)
    asked = parser.parse_args()
    rng, n = np.random.default_rng(asked.seed), asked.services
    starts = np.arange(asked.days) * _DAY + rng.integers(0, _DAY - 2 * _FAULT, (n, asked.days))
    late = rng.integers(0, _LATE, (asked.days, n))
    began, unlikely = _judged(starts, late, rng)
    found: dict[str, dict[str, float]] = {}
    for number, kind in enumerate(KINDS):
        own = slice(number * n, (number + 1) * n)
        found[kind] = {
            "ticks at or beyond 0.999": float(unlikely[:, own].mean()),
            "anomalies a series and month": float(began[:, own].sum() / n * 30 / asked.days),
            "of these, a day after the first week": float(began[_WEEK * _DAY :, own].sum() / n / max(asked.days - _WEEK, 1)),
        }
    for kind in _WRONG:
        first = KINDS.index(kind) * n
        hit = [
            began[s : s + _PATIENCE, first + i].any()
            for day, at in enumerate(starts.T.tolist())
            for i, s in enumerate(at)
            if kind == "faults" or _in_turn(day, n)[i]
        ]
        found[kind]["found within three minutes"] = float(np.mean(hit))
    print(f"one in a thousand ticks: {_ALLOWED:.1f} a series and month")
    for kind, values in found.items():
        print(f"{kind:16s}", ", ".join(f"{name}: {value:.5f}" for name, value in values.items()))
    deliver(asked, days=asked.days, services=n, found=found)


if __name__ == "__main__":
    main()
