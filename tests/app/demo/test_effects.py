"""Effects of an Episode lie within it and have the form of its kind."""

from __future__ import annotations

import numpy as np
import pytest

from app.demo.effects import Effects, effects
from app.demo.faults import Episode
from app.demo.schedule import Plan, schedule
from app.demo.symptom import Symptom
from app.demo.topology import TOPOLOGY

ARRAYS = ("tail", "error", "handled", "warning", "dead", "cut", "heap", "pool", "disk")
EPISODES = schedule(Plan(1, 24.0), 20)


def an_episode(kind: str) -> Episode:
    return next(e for e in EPISODES if e.kind == kind)


def calm(now: Effects) -> bool:
    return all(not getattr(now, name).any() for name in ARRAYS) and bool((now.relay == 1).all())


@pytest.mark.parametrize("kind", sorted({e.kind for e in EPISODES}))
def test_nothing_holds_before_the_onset_or_after_the_end(kind: str) -> None:
    episode = an_episode(kind)
    assert calm(effects([episode], 1.0, episode.onset - 1))
    assert calm(effects([episode], 1.0, episode.end))
    assert effects([episode], 1.0, episode.onset - 1).load == 1.0


def test_errors_begin_with_the_start() -> None:
    for episode in EPISODES:
        if episode.harmful:
            lead = [effects([episode], 1.0, m) for m in range(episode.onset, episode.start)]
            assert not any(now.error.any() or now.cut.any() or now.dead.any() for now in lead)
            assert effects([episode], 1.0, episode.start).error.any()


def test_failure_grows_to_its_severity_over_the_ramp() -> None:
    episode = an_episode("bad_deploy")
    odds = [effects([episode], 1.0, m).error.max() for m in range(episode.start, episode.end)]
    assert odds == sorted(odds)
    assert odds[0] == pytest.approx(episode.severity / episode.ramp)


def test_a_disk_fills_in_proportion_to_time() -> None:
    episode = an_episode("disk_full")
    disk = np.array([effects([episode], 1.0, m).disk.max() for m in range(episode.onset, episode.start)])
    assert np.allclose(np.diff(disk), 1 / (episode.start - episode.onset))


def test_a_decoy_rises_and_recedes_without_errors() -> None:
    episode = an_episode("pool_decoy")
    pool = [effects([episode], 1.0, m).pool.max() for m in range(episode.onset, episode.end)]
    assert max(pool) <= episode.severity
    assert pool[-1] < max(pool)
    assert not any(effects([episode], 1.0, m).error.any() for m in range(episode.onset, episode.end))


def test_callers_relay_little_until_the_cascade_reaches_them() -> None:
    episode = next(e for e in EPISODES if e.kind == "pool_exhaustion" and e.spread and e.spread[0][1] < e.end)
    caller, since = episode.spread[0]
    assert effects([episode], 1.0, since - 1).relay[caller] < 0.2
    assert effects([episode], 1.0, since).relay[caller] == 1.0


def test_a_service_recovers_slowly() -> None:
    episode = an_episode("flapping")
    mine = list(episode.operations)
    slow = [effects([episode], 1.0, episode.end + i).latency[mine].max() for i in range(6)]
    assert slow == sorted(slow, reverse=True)
    assert slow[0] > slow[-1] == 1.0


def test_a_partition_cuts_the_service_off() -> None:
    episode = an_episode("partition")
    now = effects([episode], 1.0, episode.end - 1)
    assert now.cut[episode.service] == pytest.approx(episode.severity)
    assert (now.symptom[list(episode.operations)] == Symptom.CUT).all()
    assert TOPOLOGY.service[now.error > 0].tolist() == [episode.service] * len(episode.operations)
