"""The matrix of all series: finite, of the schema's width, and of nothing but what was received by then."""

from __future__ import annotations

import copy

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from features.batch import CHANNELS
from features.extract import SCHEMA, extract
from features.memory import Memory
from tests.telemetry import T0, Minute, a_batch, by_key, minutes, play, play_minute, recorded, same_rows, traffic
from training.replay import walk

LENGTH = 5
SPEAKERS = [
    Minute(
        "default",
        tuple(traffic(T0, 5.0, service=s, operation=o) for s in ("web", "cart", "payment") for o in ("GET /", "PUT /")),
    )
]
"""Everybody once, so that every series has its row from the first tick on."""


@st.composite
def stories(draw: st.DrawFn, first: int = T0) -> list[list[Minute]]:
    return [draw(minutes(first + i)) for i in range(draw(st.integers(1, LENGTH)))]


def test_memory_without_series_gives_no_row() -> None:
    assert extract(Memory()).shape == (0, len(SCHEMA.features))


@settings(max_examples=30)
@given(story=stories())
def test_matrix_has_a_finite_row_of_the_schemas_width_for_every_series(story: list[list[Minute]]) -> None:
    memory = Memory()
    play(memory, story)
    matrix = extract(memory)
    assert matrix.shape == (len(memory.directory), len(SCHEMA.features))
    assert matrix.dtype == np.float32
    assert np.isfinite(matrix).all()


@settings(max_examples=40)
@given(
    counts=st.lists(
        st.dictionaries(st.sampled_from(CHANNELS), st.sampled_from([0.0, 1e-6, 1.0, 1e9, 1e15]), max_size=5), max_size=8
    ),
    levels=st.lists(st.floats(), max_size=8),
)
def test_absurd_counts_and_levels_give_finite_features_without_a_warning(
    counts: list[dict[str, float]], levels: list[float]
) -> None:
    memory = Memory()
    for i in range(8):
        group = [("web", "GET /", T0 + i, values) for values in counts[i : i + 1]]
        level = [("web", "heap", T0 + i, value) for value in levels[i : i + 1]]
        play_minute(memory, T0 + i, [Minute("a", (a_batch(*group, levels=level),))])
        assert np.isfinite(extract(memory)).all()


@settings(max_examples=30)
@given(past=stories(), future=st.lists(minutes(T0 + LENGTH), min_size=1, max_size=2), data=st.data())
def test_features_at_a_tick_are_the_same_whatever_is_received_after_it(
    past: list[list[Minute]], future: list[list[Minute]], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(1, len(past)))
    live = Memory()
    closed = play(live, [SPEAKERS, *past[:cut]])
    seen = by_key(live)
    closed += play(live, [*past[cut:], *future], first=T0 + cut + 1)
    again = Memory()
    for tick, _ in walk(recorded(live, closed), again):
        if tick == T0 + cut + 1:
            assert same_rows(by_key(again), seen)


@settings(max_examples=20)
@given(story=stories())
def test_extract_changes_nothing_and_says_the_same_twice(story: list[list[Minute]]) -> None:
    memory = Memory()
    play(memory, [SPEAKERS, *story])
    before = copy.deepcopy(memory.windows.columns.snapshot(np.arange(len(memory.directory))))
    first = extract(memory)
    assert np.array_equal(first, extract(memory))
    after = memory.windows.columns.snapshot(np.arange(len(memory.directory)))
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_names_are_unique_and_rows_follow_the_directory() -> None:
    memory = Memory()
    play(memory, [SPEAKERS])
    assert len(set(SCHEMA.names)) == len(SCHEMA.features)
    whole = extract(memory)[:, SCHEMA.names.index("whole_service")]
    assert whole.tolist() == [float(key.operation == "*") for key in memory.directory.keys]
