"""History run again gives what was seen live, and nothing earlier than it was known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.arrays import Float32Array
from features.errors import InvalidValue
from features.extract import extract
from features.incident import Standing
from features.memory import Closed, Memory
from tests.telemetry import T0, Minute, minutes, play, play_minute, recorded, traffic
from training.replay import Recording, walk

LENGTH = 5
SPEAKERS = [
    Minute(t, tuple(traffic(T0, 5.0, service=s, operation=o) for s in ("web", "cart", "payment") for o in ("GET /", "PUT /")))
    for t in ("a", "b")
]
"""Everybody once, so that every series has its row from the first tick on."""


@st.composite
def stories(draw: st.DrawFn) -> list[list[Minute]]:
    return [SPEAKERS, *(draw(minutes(T0 + 1 + i, ("a", "b"))) for i in range(draw(st.integers(1, LENGTH))))]


def seen_live(story: list[list[Minute]]) -> tuple[Memory, list[Closed], list[Float32Array]]:
    memory, closed, matrices = Memory(), list[Closed](), list[Float32Array]()
    for i, received in enumerate(story):
        closed.append(play_minute(memory, T0 + i, received))
        matrices.append(extract(memory))
    return memory, closed, matrices


def same_standing(one: Standing, other: Standing) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("open_since", "began", "ended"))


@settings(max_examples=30)
@given(story=stories())
def test_walk_gives_the_matrix_and_the_incidents_that_were_seen_live(story: list[list[Minute]]) -> None:
    live, closed, matrices = seen_live(story)
    again = Memory()
    for i, (tick, standing) in enumerate(walk(recorded(live, closed), again)):
        assert tick == T0 + i + 1
        assert same_standing(standing, closed[i].standing)
        assert np.array_equal(extract(again), matrices[i])
    assert again.directory.keys == live.directory.keys


def test_walk_follows_an_incident_from_its_detection_to_its_end() -> None:
    live = Memory()
    closed = play(live, [[Minute("a", (traffic(T0 + i, 100.0, 40.0 if 60 <= i < 70 else 0.0),))] for i in range(80)])
    steps = list(walk(recorded(live, closed), Memory()))
    assert [(tick - T0, int(s.open_since[0]) - T0) for tick, s in steps if s.began[0]] == [(62, 60)]
    assert [tick for tick, s in steps if s.ended[0]] == [end.increment.tick for end in closed if end.standing.ended[0]]
    assert len([tick for tick, s in steps if s.ended[0]]) == 1


@settings(max_examples=20)
@given(story=stories(), shift=st.integers(1, 9), data=st.data())
def test_what_history_holds_of_later_ticks_changes_nothing_earlier(
    story: list[list[Minute]], shift: int, data: st.DataObject
) -> None:
    live, closed, matrices = seen_live(story)
    recording = recorded(live, closed)
    cut = data.draw(st.integers(1, len(story)))
    later = recording.received > T0 + cut
    later_facts = recording.fact_received > T0 + cut
    changed = replace(
        recording,
        values=np.where(later[:, None], recording.values * shift + 1.0, recording.values),
        window=np.where(later, recording.window - 1, recording.window),
        fact_value=np.where(later_facts, recording.fact_value + shift, recording.fact_value),
    )
    memory = Memory()
    for i, _ in enumerate(walk(changed, memory)):
        if i < cut:
            assert np.array_equal(extract(memory), matrices[i])


def test_series_has_its_row_when_it_is_first_heard_of_and_its_service_with_it() -> None:
    live = Memory()
    story = [
        [Minute("a", (traffic(T0, 1.0, service="web"),))],
        [],
        [Minute("a", (traffic(T0 + 2, 1.0, service="cart"),))],
    ]
    recording = recorded(live, play(live, story))
    only_operations = recording.series % 2 == 1
    chosen = {name: getattr(recording, name)[only_operations] for name in ("received", "series", "window", "values")}
    memory = Memory()
    sizes = [len(memory.directory) for _ in walk(replace(recording, **chosen), memory)]
    assert sizes == [2, 2, 4]
    assert [str(key) for key in memory.directory.keys] == ["a/web/*", "a/web/GET /", "a/cart/*", "a/cart/GET /"]


def test_recording_of_nothing_has_no_tick() -> None:
    assert list(walk(recorded(Memory(), []), Memory())) == []


@pytest.mark.parametrize("name", ["ticks", "received", "fact_received"])
def test_recording_refuses_ticks_that_are_out_of_order(name: str) -> None:
    live = Memory()
    closed = play(live, [SPEAKERS, *([Minute("a", (), ())] for _ in range(2))])
    recording: Recording = recorded(live, closed)
    unordered = np.array([T0 + 3, T0 + 1])
    with pytest.raises(InvalidValue, match=f"{name} must be ascending"):
        replace(recording, **{name: unordered})


def test_recording_refuses_values_of_another_shape() -> None:
    live = Memory()
    recording = recorded(live, play(live, [SPEAKERS]))
    with pytest.raises(InvalidValue, match="values must be"):
        replace(recording, values=recording.values[:, 1:])
