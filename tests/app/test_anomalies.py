"""Series meet their judges: signals are told apart, incidents kept out, what nobody heard is not learned, a restart changes nothing."""

from __future__ import annotations

import numpy as np
import pytest

from app.anomalies import SeriesAnomalies
from features.batch import N_BUCKETS, N_CHANNELS, Batch, channel
from features.memory import Memory, MemoryPlan
from features.snapshot import restore, snapshot
from models.anomaly import WARM_TICKS
from models.prediction import SIGNALS

FIRST = 28_404_000


def feed(memory: Memory, judge: SeriesAnomalies, tick: int, errors: int, requests: int = 200, **other: float) -> None:
    """Let a minute pass in which one service and its operation have errors."""
    counts = np.zeros((1, N_CHANNELS))
    counts[0, channel("total")] = requests
    counts[0, [channel("errors"), channel("failed")]] = errors
    counts[0, channel("duration_sum_s")] = requests * (0.05 + 0.01 * (tick % 7 % 3))
    for name, value in other.items():
        counts[0, channel(name)] = value
    batch = Batch("traces", 1, (("cart", "GET /"),), np.array([0]), np.array([tick * 60]), counts, np.zeros((1, N_BUCKETS)))
    memory.begin(tick)
    memory.add("default", 0, batch)
    memory.advance(tick + 1)
    judge.advance(memory)


def calm(ticks: int, seed: int = 0) -> tuple[Memory, SeriesAnomalies]:
    memory, judge, rng = Memory(MemoryPlan()), SeriesAnomalies(60), np.random.default_rng(seed)
    for tick in range(ticks):
        feed(memory, judge, FIRST + tick, int(rng.binomial(200, 0.01)))
    return memory, judge


def test_nothing_is_said_before_the_first_tick() -> None:
    assert SeriesAnomalies(60).scores(FIRST) == []


def test_many_errors_are_an_anomaly_that_begins_with_its_window() -> None:
    memory, judge = calm(200)
    before = judge.scores(memory.tick)
    assert [score.since for score in before] == [None, None]
    feed(memory, judge, memory.tick, 60)
    score, first = judge.scores(memory.tick)[0], memory.tick - 1
    assert (score.value, score.score > 0.999) == (60.0, True)
    assert score.expected < 5.0
    assert score.lower <= score.expected <= score.upper < 60.0
    assert score.since is not None
    assert score.since.timestamp() == first * 60
    feed(memory, judge, memory.tick, 60)
    assert judge.scores(memory.tick)[0].since == score.since


@pytest.mark.parametrize(
    ("signal", "requests", "other", "value"),
    [("latency", 200, {"duration_sum_s": 160.0}, 0.8), ("traffic", 20, {}, 20.0), ("failed", 200, {"failed": 60.0}, 0.3)],
)
def test_what_is_wrong_is_named_with_its_own_numbers(signal: str, requests: int, other: dict[str, float], value: float) -> None:
    memory, judge = calm(120)
    feed(memory, judge, memory.tick, 2, requests, **other)
    score = judge.scores(memory.tick)[0]
    assert (score.signal, score.value) == (signal, pytest.approx(value, rel=1e-4))
    assert score.score > 0.99
    assert not score.lower <= score.value <= score.upper
    assert score.lower <= score.expected <= score.upper


def test_good_news_is_no_anomaly() -> None:
    memory, judge = calm(200)
    feed(memory, judge, memory.tick, 2, duration_sum_s=0.2)
    assert judge.scores(memory.tick)[0].score < 0.99


def test_bounds_are_those_of_each_signal_whichever_is_the_most_surprising() -> None:
    memory, judge = calm(120)
    normal = {signal: judge.bounds(signal)[0] for signal in ("errors", "latency")}
    assert normal["errors"][0] <= 2.0 <= normal["errors"][1] < 10.0
    assert 0.04 < normal["latency"][0] < 0.06 < normal["latency"][1] < 0.09
    feed(memory, judge, memory.tick, 60, duration_sum_s=160.0)
    score = judge.scores(memory.tick)[0]
    assert judge.bounds(score.signal)[0].tolist() == [score.lower, score.upper]
    for signal, value in (("errors", 60.0), ("latency", 0.8)):
        np.testing.assert_allclose(judge.bounds(signal)[0], normal[signal], rtol=0.2)
        assert judge.bounds(signal)[0, 1] < value
    assert np.isfinite(judge.bounds("errors")[1]).all()
    assert np.isnan(judge.bounds("latency")[1]).all(), "of operations only errors are judged"


def test_what_is_not_judged_has_no_bounds() -> None:
    memory, judge = calm(WARM_TICKS)
    assert np.isnan(judge.bounds("errors")).all()
    assert np.isnan(judge.bounds("latency")).all()
    feed(memory, judge, memory.tick, 2)
    assert np.isfinite(judge.bounds("errors")).all()
    assert np.isnan(judge.bounds("latency")).all(), "no hour is known yet in which the service is busy"
    for _ in range(2 * WARM_TICKS):
        feed(memory, judge, memory.tick, 2)
    assert np.isfinite(judge.bounds("latency")[0]).all()
    feed(memory, judge, memory.tick, 0, requests=3)
    assert np.isnan(judge.bounds("latency")[0]).all(), "three requests have no mean worth the name"
    assert np.isfinite(judge.bounds("errors")[0]).all()
    assert SeriesAnomalies(60).bounds("errors").shape == (0, 2)


def test_vital_signs_are_kept_of_busy_services_alone() -> None:
    memory, judge = calm(5)
    parts = judge.parts()
    assert len(memory.directory) == 2
    assert (len(parts["anomaly_experts"]["ticks"]), len(parts["anomaly_vital_experts"]["ticks"])) == (2, 3)


def test_windows_of_a_standing_incident_are_not_learned() -> None:
    memory, judge = calm(200)
    parts = judge.parts()["anomaly_experts"]
    for _ in range(6):
        feed(memory, judge, memory.tick, 100)
    assert memory.onsets.in_incident().all()
    learned = parts["learned"].copy()
    feed(memory, judge, memory.tick, 100)
    assert (parts["learned"] == learned).all()
    assert (parts["ticks"] == 207).all()


def test_what_nobody_heard_is_not_learned() -> None:
    memory, judge = calm(200)
    learned = judge.parts()["anomaly_experts"]["learned"].copy()
    memory.advance(memory.tick + 1)
    judge.advance(memory)
    assert FIRST + 200 in memory.unheard["default"]
    assert (judge.parts()["anomaly_experts"]["learned"] == learned).all()


def test_a_restart_changes_nothing() -> None:
    memory, judge = calm(80)
    state = snapshot(memory, 0, judge.parts())
    other, later = Memory(MemoryPlan()), SeriesAnomalies(60)
    restore(other, 0, state, later.parts())
    assert snapshot(other, 0, later.parts()) == state
    for errors in (3, 50, 2):
        feed(memory, judge, memory.tick, errors)
        feed(other, later, other.tick, errors)
        assert judge.scores(memory.tick) == later.scores(other.tick)
        for signal in SIGNALS:
            np.testing.assert_array_equal(judge.bounds(signal), later.bounds(signal))
    assert snapshot(other, 0, later.parts()) == snapshot(memory, 0, judge.parts())


def test_a_checkpoint_of_a_release_without_anomalies_begins_anew() -> None:
    memory, _ = calm(30)
    other, later = Memory(MemoryPlan()), SeriesAnomalies(60)
    restore(other, 0, snapshot(memory, 0), later.parts())
    feed(other, later, other.tick, 2)
    assert [score.score for score in later.scores(other.tick)] == [0.0, 0.0]
