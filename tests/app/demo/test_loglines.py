"""Log lines tell of failures and of warnings, in order, within the minute."""

from __future__ import annotations

import numpy as np

from app.demo.effects import Effects
from app.demo.loglines import ERROR, INFO, WARN, sample_logs
from app.demo.minute import LogLine
from app.demo.symptom import Symptom
from app.demo.topology import TOPOLOGY
from app.demo.traces import sample_traces


def lines(now: Effects, load: float = 1.0) -> tuple[LogLine, ...]:
    rng = np.random.default_rng(5)
    return sample_logs(rng, now, sample_traces(rng, now, load))


def test_lines_are_sorted_and_lie_within_the_minute() -> None:
    found = lines(Effects(1.0), 20.0)
    assert [(line.instance, line.time_ns) for line in found] == sorted((line.instance, line.time_ns) for line in found)
    assert all(0 <= line.time_ns <= 60 * 10**9 for line in found)
    assert {line.severity for line in found} == {INFO, WARN, ERROR}


def test_warnings_come_at_the_rate_of_the_effects() -> None:
    now = Effects(1.0)
    now.warning[3] = 200.0
    now.warning_symptom[3] = Symptom.POOL_WARNING
    found = [line for line in lines(now) if line.symptom == Symptom.POOL_WARNING]
    assert 140 < len(found) < 260
    assert all(TOPOLOGY.instance_service[line.instance] == 3 and line.severity == WARN for line in found)


def test_a_share_of_the_failures_is_logged() -> None:
    now = Effects(1.0)
    now.error[:] = 0.5
    now.symptom[:] = Symptom.BUG
    rng = np.random.default_rng(5)
    spans = sample_traces(rng, now, 10.0)
    logged = {line.span for line in sample_logs(rng, now, spans) if line.severity == ERROR}
    failed = set(np.flatnonzero((spans.symptom != 0) & (spans.role == 0)).tolist())
    assert logged < failed
    assert 0.5 < len(logged) / len(failed) < 0.7


def test_a_dead_service_writes_nothing() -> None:
    now = Effects(1.0)
    now.dead[:] = True
    assert lines(now) == ()
