"""The vital signs of a service: what they are, when they are known, how people read them."""

from __future__ import annotations

import numpy as np
import pytest

from features.batch import N_BUCKETS, N_CHANNELS, Batch, channel
from features.memory import Memory
from features.vitals import VITALS, Vitals, busy

FIRST = 28_404_000


def minute(memory: Memory, tick: int, requests: float, failed: float = 0.0, seconds: float = 0.0) -> None:
    counts = np.zeros((1, N_CHANNELS))
    counts[0, [channel(name) for name in ("total", "failed", "duration_sum_s")]] = requests, failed, seconds
    batch = Batch("traces", 1, (("cart", "GET /"),), np.array([0]), np.array([tick * 60]), counts, np.zeros((1, N_BUCKETS)))
    memory.begin(tick)
    memory.add("default", 0, batch)
    memory.advance(tick + 1)


def after(ticks: int, requests: float, failed: float, seconds: float) -> Memory:
    memory = Memory()
    for tick in range(ticks):
        minute(memory, FIRST + tick, requests, failed, seconds)
    return memory


def test_what_people_read_is_what_was_counted() -> None:
    memory = after(200, 100.0, 1.0, 5.0)
    minute(memory, FIRST + 200, 150.0, 15.0, 30.0)
    vitals = Vitals.of(memory, np.array([0]))
    assert vitals.known.all()
    assert vitals.shown(vitals.judged)[0].tolist() == pytest.approx([0.1, 0.2, 150.0])
    assert vitals.shown(np.zeros((1, 3)))[0, 0] == pytest.approx(0.01, abs=0.001)


def test_a_share_and_a_mean_need_ten_requests_and_silence_is_traffic() -> None:
    memory = after(30, 100.0, 1.0, 5.0)
    minute(memory, FIRST + 30, 4.0, 4.0, 1.0)
    assert dict(zip(VITALS, Vitals.of(memory, np.array([0])).known[0].tolist(), strict=True)) == {
        "failed": False,
        "latency": False,
        "traffic": True,
    }
    memory.advance(FIRST + 32)
    vitals = Vitals.of(memory, np.array([0]))
    assert (vitals.judged[0, 2], vitals.shown(vitals.judged)[0].tolist()) == (0.0, pytest.approx([0.0, 1e-6, 0.0]))


def test_only_whole_services_with_enough_requests_are_busy() -> None:
    assert busy(after(5, 20.0, 0.0, 1.0)).tolist() == [0]
    assert busy(after(5, 9.0, 0.0, 1.0)).tolist() == []
    quiet = after(5, 20.0, 0.0, 1.0)
    minute(quiet, FIRST + 5, 2.0)
    assert busy(quiet).tolist() == []
