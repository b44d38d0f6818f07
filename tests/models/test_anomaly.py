"""The detector looks back alone, says the same of a series whoever stands beside it, and is right about how rare things are."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from features.arrays import FloatArray
from features.errors import InvalidValue
from models.anomaly import ANOMALY, EPISODE_TICKS, WARM_TICKS, Anomalies, Counts, Detector, Verdict

START_S = 1.7e9
USUAL = np.ones(1, np.bool_)

STREAMS = arrays(np.float64, st.integers(1, 80), elements=st.floats(-1e9, 1e9, width=32))


def run(anomalies: Anomalies, values: FloatArray, first: int = 0) -> list[Verdict]:
    """Give values, shape (ticks, n), to the detector, a minute each."""
    every = np.ones(values.shape[1], np.bool_)
    times = START_S + 60.0 * np.arange(first, first + len(values))
    return [anomalies.advance(row, np.full(len(row), time), every) for row, time in zip(values, times.tolist(), strict=True)]


def grown(n: int) -> Anomalies:
    anomalies = Anomalies()
    anomalies.grow(n)
    return anomalies


def tails(verdicts: list[Verdict]) -> FloatArray:
    return np.array([verdict.tail for verdict in verdicts])


@given(STREAMS, st.data())
@settings(max_examples=20, deadline=None)
def test_what_was_said_hangs_on_nothing_that_came_later(values: FloatArray, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(values)))
    whole, part = Detector(), Detector()
    said = [whole.score_one(START_S + 60.0 * i, value) for i, value in enumerate(values.tolist())]
    assert [part.score_one(START_S + 60.0 * i, value) for i, value in enumerate(values[:cut].tolist())] == said[:cut]
    assert all(0.0 <= score <= 1.0 for score in said)


def test_one_series_gives_the_same_as_many_at_once() -> None:
    rng = np.random.default_rng(3)
    values = np.stack(
        [rng.normal(size=400), rng.poisson(0.1, 400), np.exp(3 * rng.normal(size=400)), np.full(400, 7.5)], axis=1
    )
    values[300:, 0] += 8.0
    together = grown(4)
    scores = np.array([together.outstanding(run(together, row[None], i)[0]) for i, row in enumerate(values)])
    assert (scores.max(0)[:3] > 0.9).all()
    for column in range(4):
        alone = Detector()
        said = [alone.score_one(START_S + 60.0 * i, value) for i, value in enumerate(values[:, column].tolist())]
        assert said == scores[:, column].tolist()


def test_time_may_be_a_date() -> None:
    a, b = Detector(), Detector()
    start = datetime.fromtimestamp(START_S, UTC)
    for i in range(40):
        assert a.score_one(start + timedelta(minutes=i), i % 7) == b.score_one(START_S + 60.0 * i, i % 7)


def test_a_restored_state_goes_on_as_if_nothing_had_been() -> None:
    rng = np.random.default_rng(4)
    values = rng.normal(size=(200, 3))
    anomalies = grown(3)
    run(anomalies, values[:120])
    other, rows = grown(5), np.array([4, 0, 2])
    for name, columns in anomalies.parts().items():
        other.parts()[name].restore(rows, columns.snapshot(np.arange(3)))
    padded = np.zeros((80, 5))
    padded[:, rows] = values[120:]
    assert (tails(run(anomalies, values[120:], 120)) == tails(run(other, padded, 120))[:, rows]).all()


@pytest.mark.slow
def test_a_tail_of_one_in_a_thousand_comes_about_once_in_a_thousand_ticks() -> None:
    rng = np.random.default_rng(5)
    n, ticks, from_tick = 8, 10_000, 4_000
    hour = np.arange(ticks)[:, None] / 60.0
    streams = {
        "normal": rng.normal(size=(ticks, n)),
        "log-normal": np.exp(rng.normal(size=(ticks, n))),
        "counts": rng.poisson(3.0, (ticks, n)).astype(float),
        "few counts": rng.poisson(0.05, (ticks, n)).astype(float),
        "daily": 10.0 + 5.0 * np.sin(hour / 24.0 * 2.0 * np.pi) + rng.normal(size=(ticks, n)),
    }
    said = tails(run(grown(n * len(streams)), np.concatenate(list(streams.values()), axis=1)))[from_tick:]
    for number, name in enumerate(streams):
        own = said[:, number * n : (number + 1) * n]
        assert 0.002 < (own <= 0.01).mean() < 0.02, name
        assert (own <= 0.001).mean() < 0.003, name


def test_nothing_is_said_for_a_quarter_of_an_hour_and_something_after_it() -> None:
    rng = np.random.default_rng(6)
    calm = rng.normal(size=(WARM_TICKS + 5, 50))
    said = tails(run(grown(50), calm))
    assert (said[:WARM_TICKS] == 1.0).all()
    assert (said[WARM_TICKS:] < 1.0).any(0).all()
    loud = calm.copy()
    loud[-1] = 1000.0
    assert (tails(run(grown(50), loud))[-1] < tails(run(grown(50), calm))[-1]).all()


def test_an_episode_is_one_anomaly() -> None:
    rng = np.random.default_rng(7)
    values = rng.poisson(3.0, (4000, 1)).astype(float)
    values[3000:3030] += 60.0
    said = run(grown(1), values)
    begun = [i for i, verdict in enumerate(said) if verdict.since[0] == 0]
    assert [i for i in begun if 2990 <= i < 3100] == [3000]
    assert [int(verdict.since[0]) for verdict in said[3000 : 3000 + EPISODE_TICKS + 1]] == [*range(EPISODE_TICKS), -1]
    assert said[3000].tail[0] <= ANOMALY


def test_a_known_incident_does_not_become_usual() -> None:
    rng = np.random.default_rng(8)
    values = rng.poisson(3.0, (3000, 1)).astype(float)
    values[2000:2600] += 60.0
    kept_out, learned = grown(1), grown(1)
    for i, row in enumerate(values):
        time_s = np.full(1, START_S + 60.0 * i)
        said = kept_out.advance(row, time_s, np.array([not 2001 <= i < 2600]))
        other = learned.advance(row, time_s, USUAL)
        if i == 2599:
            assert said.tail[0] < other.tail[0]
            assert said.expected[0] < 10.0 < other.expected[0]


def test_bounds_hold_most_values() -> None:
    rng = np.random.default_rng(9)
    values = rng.normal(50.0, 2.0, (2000, 10))
    said = run(grown(10), values)[1000:]
    inside = [(v.lower <= row) & (row <= v.upper) for v, row in zip(said, values[1000:], strict=True)]
    assert 0.92 < np.mean(inside) < 0.98
    assert all((v.lower <= v.expected).all() and (v.expected <= v.upper).all() for v in said)


def test_few_errors_are_no_anomaly_and_counts_that_were_due_are_less_of_one() -> None:
    few, due, surprising = grown(1), grown(1), grown(1)
    one = np.ones(1)
    for i in range(1500):
        args = (np.array([float(i % 50 == 0)]), np.full(1, START_S + 60.0 * i), USUAL)
        for anomalies in (few, due, surprising):
            anomalies.advance(*args, Counts(0.02 * one, one))
    at = np.full(1, START_S + 60.0 * 1500)
    assert few.advance(2 * one, at, USUAL, Counts(0.02 * one, one)).tail[0] >= 0.01
    expected = due.advance(40 * one, at, USUAL, Counts(40 * one, one))
    unexpected = surprising.advance(40 * one, at, USUAL, Counts(0.02 * one, one))
    assert unexpected.tail[0] < expected.tail[0]
    assert expected.lower[0] < 40 < expected.upper[0]
    assert unexpected.since[0] == 0


def test_what_is_as_rare_stands_out_less_in_a_longer_life() -> None:
    anomalies = grown(2)
    verdict = run(anomalies, np.zeros((1, 2)))[0]
    anomalies.experts.columns["ticks"][:] = (400, 40_000)
    rare = replace(verdict, tail=np.full(2, 1e-3), begins=np.array([True, True]))
    short, long = (1.0 - anomalies.outstanding(rare)).tolist()
    assert long == pytest.approx(10.0 * short)
    assert not anomalies.outstanding(replace(rare, begins=np.array([False, False]))).any()


def test_a_series_takes_less_than_two_kibibytes() -> None:
    assert sum(columns.nbytes_a_row for columns in Anomalies().parts().values()) <= 2048


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(InvalidValue, match="finite"):
        Detector().score_one(START_S, float("nan"))
    with pytest.raises(InvalidValue, match="finite"):
        Detector().score_one(float("inf"), 1.0)
