"""Whether a forest over vectors of vital signs finds what single signals do not.

    python -m benchmarks.anomaly_combinations [--days 3] [--services 12] [--episodes 45] [--seed 1] [--json]

Services call each other in pairs. Their load wanders and has a day: with it rise requests (about 200 a minute) and durations; 1 % of
requests fail. After the first day an episode of 15 minutes comes now and then over one service, of a kind in turn:

- *slow and failing*: requests take 10 % longer and twice as many fail;
- *against each other*: a fifth of the requests stays away, and those that come take 10 % longer, where fewer are faster otherwise;
- *caller and callee*: the service called takes 10 % longer, and twice as many requests of the caller fail.

Everything goes through `features.memory.Memory` and `app.anomalies.SeriesAnomalies`. An episode is found when one of its windows is
beyond what comes once in a thousand windows without an episode (of the same run, after the first day): of the least tail of errors,
failed share, latency and traffic, and of the tail of their combination. Beside it stand how often a tail of at most 0.001 came in
windows without an episode, and what chance would find: the same for the windows an hour before each episode. The vectors were chosen with
seed 0 and four days.
"""

from __future__ import annotations

import argparse

import numpy as np

from app.anomalies import SeriesAnomalies
from benchmarks.answers import answers_as_json, deliver
from features.arrays import BoolArray, FloatArray, IntArray
from features.batch import N_BUCKETS, N_CHANNELS, Batch, Call, channel
from features.memory import Memory, MemoryPlan

__all__ = ["KINDS", "main"]

KINDS = ("slow and failing", "against each other", "caller and callee")

_DAY, _FIRST, _LENGTH, _APART = 1440, 28_404_000, 15, 60
_ONE_IN = 1_000


def _traffic(
    tick: int, load: FloatArray, kind: IntArray, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return requests, failures and seconds of a minute of every service; `kind` is -1 outside episodes."""
    callee = np.arange(len(load)) % 2 == 1
    caller_of = np.where(callee, np.roll(kind, 1), -1)
    curve = load + 0.3 * np.sin(2.0 * np.pi * tick / _DAY)
    rate, mean_s, share = 200.0 * np.exp(curve), 0.05 * np.exp(0.5 * curve), np.full(len(load), 0.01)
    slow = (kind == 0) | (kind == 1) | (caller_of == 2)
    share[(kind == 0) | (kind == 2)] *= 2.0
    rate[kind == 1] *= 0.8
    requests = rng.poisson(rate)
    seconds = rng.gamma(np.maximum(requests, 1e-9), np.where(slow, 1.1, 1.0) * mean_s)
    return requests.astype(float), rng.binomial(requests, share).astype(float), seconds


def _batch(tick: int, requests: FloatArray, failed: FloatArray, seconds: FloatArray) -> Batch:
    n = len(requests)
    counts = np.zeros((n, N_CHANNELS))
    for name, values in {"total": requests, "failed": failed, "errors": failed, "duration_sum_s": seconds}.items():
        counts[:, channel(name)] = values
    calls = tuple(Call(f"service {i}", f"service {i + 1}", float(requests[i]), 0.0) for i in range(0, n - 1, 2))
    names = tuple((f"service {i}", "*") for i in range(n))
    times = np.full(n, (_FIRST + tick) * 60)
    return Batch("traces", n, names, np.arange(n), times, counts, np.zeros((n, N_BUCKETS)), calls=calls)


def _tails(kinds: IntArray, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Return the least tail of single signals and that of their combination, shape (minutes, services)."""
    minutes, n = kinds.shape
    memory, judge = Memory(MemoryPlan()), SeriesAnomalies(60)
    memory.begin(_FIRST)
    rows = np.array([memory.row("default", f"service {i}", "*", 0) for i in range(n)])
    single, together, load = np.ones((minutes, n)), np.ones((minutes, n)), np.zeros(n)
    for tick in range(minutes):
        load = 0.95 * load + 0.03 * rng.normal(size=n)
        memory.add("default", 0, _batch(tick, *_traffic(tick, load, kinds[tick], rng)))
        memory.advance(_FIRST + tick + 1)
        judge.advance(memory)
        single[tick], together[tick] = judge.tails[rows, :-1].min(1), judge.tails[rows, -1]
    return single, together


def _episodes(asked: argparse.Namespace, rng: np.random.Generator) -> list[tuple[int, int, int]]:
    """Return start, service and kind of every episode, at least an hour apart."""
    first, last = _DAY + 2 * _APART, asked.days * _DAY - 2 * _LENGTH
    starts = np.linspace(first, last, asked.episodes).astype(int) + rng.integers(0, _LENGTH, asked.episodes)
    services = 2 * rng.integers(0, asked.services // 2, asked.episodes)
    return [
        (int(start), int(service), number % len(KINDS))
        for number, (start, service) in enumerate(zip(starts, services, strict=True))
    ]


def _found(rare: BoolArray, episodes: list[tuple[int, int, int]], before: int = 0) -> BoolArray:
    return np.array([rare[start - before : start - before + _LENGTH, service].any() for start, service, _ in episodes])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=3)
    parser.add_argument("--services", type=int, default=12)
    parser.add_argument("--episodes", type=int, default=45)
    answers_as_json(parser)
    asked = parser.parse_args()
    rng = np.random.default_rng(asked.seed)
    episodes = _episodes(asked, rng)
    kinds = np.full((asked.days * _DAY, asked.services), -1)
    for start, service, kind in episodes:
        kinds[start : start + _LENGTH, service] = kind
    tails = dict(zip(("single", "combination"), _tails(kinds, rng), strict=True))
    quiet: BoolArray = np.repeat(np.all(kinds < 0, axis=1)[:, None], asked.services, axis=1)
    quiet[:_DAY] = False
    answers: dict[str, dict[str, float]] = {}
    of_kind = np.array([kind for _, _, kind in episodes])
    rare = {name: values <= np.quantile(values[quiet], 1.0 / _ONE_IN) for name, values in tails.items()}
    hits = {name: _found(values, episodes) for name, values in rare.items()}
    for number, kind in enumerate(KINDS):
        own = of_kind == number
        answers[kind] = {name: float(hit[own].mean()) for name, hit in hits.items()}
        answers[kind]["combination alone"] = float((hits["combination"] & ~hits["single"])[own].mean())
        answers[kind]["single alone"] = float((hits["single"] & ~hits["combination"])[own].mean())
    answers["by chance"] = {name: float(_found(values, episodes, _APART).mean()) for name, values in rare.items()}
    answers["quiet windows at or below 0.001"] = {
        name: float((values[quiet] <= 1.0 / _ONE_IN).mean()) for name, values in tails.items()
    }
    for name, values in answers.items():
        print(f"{name:32s}", ", ".join(f"{what}: {value:.4f}" for what, value in values.items()))
    deliver(asked, days=asked.days, services=asked.services, episodes=asked.episodes, found=answers)


if __name__ == "__main__":
    main()
