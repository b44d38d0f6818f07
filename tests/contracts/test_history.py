"""History in a folder and in an object store: every row exactly once, whoever writes beside whom and whatever dies when."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from app.history.delta import DeltaHistory
from tests.history_rows import facts, once, places, predictions, span
from tests.killed import ROOT, run_and_kill
from tests.object_store import object_store

DAY = 86_400

APPEND = """
import json, sys
from app.history.delta import DeltaHistory
from tests.history_rows import facts, predictions
place, options, partition, first, step, end = json.loads(sys.argv[1])
history = DeltaHistory(place, options)
print("ready", flush=True)
for last in range(first, end, step):
    rows = facts([(partition, offset) for offset in range(max(last - 2 * step, 0) + 1, last + 1)])
    history.append({"facts": rows, "predictions": predictions(partition, last)}, {partition: last})
    print(last, flush=True)
"""
"""Appends, in steps, rows of which half were appended before."""


class Store:
    """Where the tests of one kind of place keep their tables."""

    def __init__(self, place: str, options: dict[str, str] | None) -> None:
        self.place, self.options = place, options

    def open(self, **told: object) -> DeltaHistory:
        """Return history as another node would open it."""
        return DeltaHistory(self.place, self.options, **told)  # pyright: ignore[reportArgumentType]

    def arguments(self, partition: int, first: int, step: int = 3, end: int = 10_000) -> str:
        """Return what the program `APPEND` is started with."""
        return json.dumps([self.place, self.options, partition, first, step, end])


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.cluster)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return Store(str(tmp_path / "history"), None)
    return Store(object_store().place(), object_store().options)


@pytest.fixture
def history(store: Store) -> DeltaHistory:
    return store.open()


def run_together(arguments: Sequence[str]) -> list[list[str]]:
    """Run the program once for each of these, all at a time, and return what each printed."""
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", APPEND]
    programs = [subprocess.Popen([*command, each], stdout=subprocess.PIPE, text=True, env=environment) for each in arguments]
    try:
        printed = [program.communicate(timeout=240)[0].split() for program in programs]
    finally:
        for program in programs:
            program.kill()
            program.wait()
    assert [program.returncode for program in programs] == [0] * len(programs)
    return printed


def test_the_same_append_again_adds_nothing(store: Store) -> None:
    for _ in range(3):
        store.open().append({"facts": facts(span(0, 1, 5))}, {0: 5})
    assert places(store.open().read("facts")) == once(span(0, 1, 5))
    assert store.open().recorded("facts", 0) == 5


def test_a_repetition_cut_elsewhere_adds_only_what_is_new(history: DeltaHistory) -> None:
    history.append({"facts": facts([*span(0, 1, 5), *span(1, 1, 2)])}, {0: 5, 1: 2})
    history.append({"facts": facts(span(0, 1, 3))}, {0: 3})
    assert history.recorded("facts", 0) == 5, "a shorter repetition does not take the recorded offset back"
    history.append({"facts": facts([*span(0, 4, 8), *span(1, 1, 3)])}, {0: 8, 1: 3})
    assert places(history.read("facts")) == once([*span(0, 1, 8), *span(1, 1, 3)])


def test_a_crash_between_two_tables_leaves_neither_a_hole_nor_a_duplicate(history: DeltaHistory) -> None:
    history.append({"facts": facts(span(0, 1, 5))}, {0: 5})  # died before the table that comes next
    history.append({"facts": facts(span(0, 1, 5)), "predictions": predictions(0, 5)}, {0: 5})
    assert places(history.read("facts")) == once(span(0, 1, 5))
    assert places(history.read("predictions")) == once([(0, 5)])


def test_four_processes_that_write_different_partitions_do_not_stop_each_other(store: Store) -> None:
    printed = run_together([store.arguments(partition, 3, 3, 31) for partition in range(4)])
    assert [lines[-1] for lines in printed] == ["30"] * 4
    assert places(store.open().read("facts")) == once([place for partition in range(4) for place in span(partition, 1, 30)])
    expected = [(partition, offset) for partition in range(4) for offset in range(3, 31, 3)]
    assert places(store.open().read("predictions")) == once(expected)


def test_three_processes_that_believe_to_own_one_partition_append_each_row_once(store: Store) -> None:
    run_together([store.arguments(0, step, step, 25) for step in (2, 3, 4)])
    assert places(store.open().read("facts")) == once(span(0, 1, 24))


def test_kill_9_in_a_loop_of_appends_leaves_every_row_once(store: Store) -> None:
    chance, history = random.Random(1), store.open()
    acknowledged = last = 0
    for _ in range(4):
        lines = run_and_kill(APPEND, [store.arguments(0, max(3, acknowledged))], after_lines=chance.randint(2, 9))
        acknowledged = int(lines[-1])
        last = history.recorded("facts", 0)
        assert last >= acknowledged
        assert places(history.read("facts")) == once(span(0, 1, last))
    # What was in the air at the last kill is appended again, as a worker would from its checkpoint.
    history.append({"predictions": predictions(0, last)}, {0: last})  # it may have died between the two tables
    rows = facts(span(0, 1, last + 3))
    history.append({"facts": rows, "predictions": predictions(0, last + 3)}, {0: last + 3})
    assert places(history.read("facts")) == once(span(0, 1, last + 3))
    assert places(history.read("predictions")) == once([(0, offset) for offset in range(3, last + 4, 3)])


def test_a_writer_that_is_killed_beside_others_costs_them_nothing_and_is_made_good(store: Store) -> None:
    others = threading.Thread(target=run_together, args=([store.arguments(partition, 3, 3, 31) for partition in (1, 2, 3)],))
    others.start()
    run_and_kill(APPEND, [store.arguments(0, 3)], after_lines=4)
    others.join()
    last = store.open().recorded("facts", 0)
    store.open().append({"facts": facts(span(0, 1, last + 1))}, {0: last + 1})
    expected = [*span(0, 1, last + 1), *(place for partition in (1, 2, 3) for place in span(partition, 1, 30))]
    assert places(store.open().read("facts")) == once(expected)


def test_a_reader_beside_a_writer_sees_whole_appends(store: Store) -> None:
    done = threading.Event()

    def append() -> None:
        history = store.open()
        for last in range(5, 51, 5):
            history.append({"facts": facts(span(0, last - 4, last))}, {0: last})
        done.set()

    writer = threading.Thread(target=append)
    writer.start()
    reader, seen = store.open(), 0
    while not done.is_set() and writer.is_alive():
        found = places(reader.read("facts"))
        assert found == once(span(0, 1, len(found)))
        assert len(found) % 5 == 0
        assert len(found) >= seen
        seen = len(found)
    writer.join()
    assert len(reader.read("facts")) == 50


def test_upkeep_beside_appends_loses_nothing_and_doubles_nothing(store: Store) -> None:
    """Rows of the last days stay, whatever is joined, dropped and deleted around them; rows of older days go."""
    n_days, keep, per_day = 6, 2, 4
    now_s = n_days * DAY
    stop, outcomes = threading.Event(), list[str]()

    def tend() -> None:
        keeper = store.open(keep_days={"facts": keep}, told=lambda _call, outcome: outcomes.append(outcome))
        while not stop.is_set():
            keeper.optimise(now_s, retention_hours=0, strays=False)

    def append(partition: int) -> None:
        history = store.open()
        for last in range(1, n_days * per_day + 1):
            rows = facts(span(partition, max(last - 2, 1), last), lambda offset: (offset - 1) // per_day * DAY)
            history.append({"facts": rows}, {partition: last})

    threads = [threading.Thread(target=append, args=(partition,)) for partition in range(2)]
    keeper = threading.Thread(target=tend)
    for thread in (*threads, keeper):
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    keeper.join()
    history = store.open(keep_days={"facts": keep})
    recent = [place for partition in range(2) for place in span(partition, (n_days - keep) * per_day + 1, n_days * per_day)]
    history.optimise(now_s)
    assert places(history.read("facts")) == once(recent)
    assert [history.recorded("facts", partition) for partition in range(2)] == [n_days * per_day] * 2
    assert len(outcomes) > 5
    assert set(outcomes) == {"done"}


@pytest.mark.parametrize(("keep", "left"), [(0, [0, 1, 2, 3]), (1, [2, 3]), (2, [1, 2, 3]), (30, [0, 1, 2, 3])])
def test_days_stay_as_long_as_they_are_to(store: Store, keep: int, left: list[int]) -> None:
    history = store.open(keep_days={"facts": keep})
    history.append({"facts": facts(span(0, 1, 4), lambda offset: (offset - 1) * DAY)}, {0: 4})
    history.optimise()
    assert len(history.read("facts")) == 4, "without a time nothing is too old"
    history.optimise(3 * DAY + 60)
    assert sorted(history.read("facts")["window"].to_pylist()) == [day * DAY for day in left]
    history.append({"facts": facts(span(0, 1, 4), lambda offset: (offset - 1) * DAY)}, {0: 4})
    assert len(history.read("facts")) == len(left), "what was dropped does not come again with a repetition"
