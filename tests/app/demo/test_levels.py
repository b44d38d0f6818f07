"""Levels have their normal place, follow what pushes them, and end with the process."""

from __future__ import annotations

import numpy as np

from app.demo.effects import Effects
from app.demo.levels import LEVELS, sample_levels
from app.demo.topology import TOPOLOGY


def levels(now: Effects, minute: int = 0) -> dict[str, np.ndarray]:
    return dict(zip(LEVELS, sample_levels(np.random.default_rng(1), now, now.load, minute).T, strict=True))


def test_levels_stay_within_their_bounds_over_a_day() -> None:
    for minute in range(0, 1440, 30):
        found = levels(Effects(1.5), minute)
        assert (found["disk_ratio"] < 0.75).all()
        assert (found["cpu_ratio"] <= 1).all()
        assert (found["pool_waiting"] == 0).all()


def test_a_pushed_level_goes_to_the_top_on_its_service_alone() -> None:
    now, mine = Effects(1.0), TOPOLOGY.instance_service == 5
    now.heap[5] = now.pool[5] = now.disk[5] = 1.0
    pushed, normal = levels(now), levels(Effects(1.0))
    assert (pushed["heap_bytes"][mine] > 1.5 * normal["heap_bytes"][mine]).all()
    assert (pushed["pool_used"][mine] == TOPOLOGY.components[5].pool).all()
    assert (pushed["pool_waiting"][mine] > 0).all()
    assert (pushed["disk_ratio"][mine] > 0.99).all()
    for name in LEVELS:
        assert np.array_equal(pushed[name][~mine], normal[name][~mine])


def test_a_dead_service_has_no_levels() -> None:
    now = Effects(1.0)
    now.dead[2] = True
    assert (np.isnan(levels(now)["heap_bytes"]) == (TOPOLOGY.instance_service == 2)).all()
