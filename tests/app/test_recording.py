"""History read back gives the memory that live code had."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from app.recording import read_recording
from features.extract import extract
from features.memory import Memory, MemoryPlan
from features.series import WHOLE
from tests.lines import TICK_S, open_line
from tests.recorded import BEGIN_S, recorded
from training.replay import walk


def test_a_walk_over_history_sees_what_live_code_saw(tmp_path: Path) -> None:
    with open_line(tmp_path) as line:
        line.send(recorded(30, seed=4, failing=range(15, 22)))
        line.end_tick()
        line.worker.checkpoint()
        live = line.worker.flow.memory
        recording = read_recording(line.history, "default", TICK_S)
    memory = Memory(MemoryPlan())
    ticks = [tick for tick, _ in walk(recording, memory)]
    assert ticks == list(range(ticks[0], live.tick + 1))
    place = [live.directory.keys.index(key) for key in memory.directory.keys]
    assert sorted(place) == list(range(len(live.directory)))
    assert np.array_equal(memory.onsets.columns["open_since"], live.onsets.columns["open_since"][place])
    assert np.allclose(memory.windows.fine(), live.windows.fine()[place], rtol=1e-6)
    assert np.allclose(extract(memory), extract(live)[place], rtol=1e-4, atol=1e-5, equal_nan=True)


def test_whole_services_come_before_their_operations_and_rows_by_receipt(tmp_path: Path) -> None:
    with open_line(tmp_path) as line:
        line.send(recorded(10))
        line.end_tick()
        line.worker.checkpoint()
        recording = read_recording(line.history, "default", TICK_S)
        part = read_recording(line.history, "default", TICK_S, BEGIN_S + 120, BEGIN_S + 300)
        other = read_recording(line.history, "nobody", TICK_S)
    operations = [key.operation == WHOLE for key in recording.keys]
    assert operations == sorted(operations, reverse=True)
    assert (np.diff(recording.received) >= 0).all()
    assert (part.window.min(), part.window.max() + 1) == ((BEGIN_S + 120) // TICK_S, (BEGIN_S + 300) // TICK_S)
    assert (len(other.keys), len(other.received)) == (0, 0)
    assert np.array_equal(other.ticks, recording.ticks), "ticks were closed for everybody"


def test_no_history_is_an_empty_recording(tmp_path: Path) -> None:
    with open_line(tmp_path) as line:
        recording = read_recording(line.history, "default", TICK_S)
    assert (len(recording.ticks), recording.keys, recording.fact_kind) == (0, (), ())
