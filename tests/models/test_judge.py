"""A nightly job is an anomaly until it is known, a failure at another time stays one."""

from __future__ import annotations

import numpy as np

from features.arrays import BoolArray, FloatArray
from models.anomaly import ANOMALY, Counts
from models.judge import Judge

TICK_S, A_DAY = 600, 144


def nights(days: int, rng: np.random.Generator, n: int) -> FloatArray:
    """Return errors in ten minutes: hardly any by day, 150 in each of four ticks from 2:00 on."""
    minute = np.arange(days * A_DAY) % A_DAY * 10
    at_work = (minute >= 120) & (minute < 160)
    return rng.poisson(np.where(at_work, 150.0, 0.5)[:, None], (days * A_DAY, n)).astype(float)


def anomalies(judge: Judge, values: FloatArray) -> BoolArray:
    """Return the windows that the judge takes for anomalies, where the job's windows are an incident's and so not learned."""
    judge.grow(values.shape[1])
    said = np.zeros(values.shape, np.bool_)
    due = Counts(np.full(values.shape[1], 0.5), np.ones(values.shape[1]))
    for i, row in enumerate(values):
        said[i] = judge.advance(row, np.full(len(row), 86_400.0 + TICK_S * i), row < 20.0, due).tail <= ANOMALY
    return said


def test_a_nightly_job_is_no_anomaly_from_the_third_night_on_and_a_failure_by_day_is() -> None:
    values = nights(5, np.random.default_rng(0), 2)
    values[4 * A_DAY + 75 : 4 * A_DAY + 77, 1] = 100.0
    judge = Judge()
    said = anomalies(judge, values).reshape(5, A_DAY, 2)
    assert said[1:3, 12:16].any(1).all()  # the first night comes too early to be judged
    assert not said[3:, 10:20].any()
    assert said[4, 75:77, 1].any()
    alone = judge.anomalies.advance(np.full(2, 150.0), np.full(2, 86_400.0 + 600 * (5 * A_DAY + 13)), np.zeros(2, np.bool_))
    assert (alone.tail <= ANOMALY).all()


def test_parts_hold_all_state() -> None:
    rng = np.random.default_rng(1)
    values = nights(3, rng, 1)
    judge, other = Judge(), Judge()
    anomalies(judge, values)
    other.grow(2)
    for name, columns in judge.parts().items():
        other.parts()[name].restore(np.array([1]), columns.snapshot(np.array([0])))
    time_s, job = np.full(1, 86_400.0 + TICK_S * (3 * A_DAY + 13)), np.full(1, 150.0)
    said = judge.advance(job, time_s, np.ones(1, np.bool_))
    again = other.advance(np.repeat(job, 2), np.repeat(time_s, 2), np.ones(2, np.bool_))
    assert (said.tail[0], said.tail[0] >= 0.01) == (again.tail[1], True)
