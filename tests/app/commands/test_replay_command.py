"""A replay that is killed and run again leaves exactly what an undisturbed one leaves."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.cache.documents import decode_document
from app.cache.group_records import GroupRecord
from app.commands.replay_command import into_folder
from app.main import Node
from features.errors import InvalidValue
from tests.nodes import DEADLINE_S, history_rows, settings_in, states_of
from tests.recorded import recorded, twisted, write_lines

ROOT = Path(__file__).parents[3]
LINES = twisted(recorded(80, seed=3, failing=range(30, 38)))
Reached = Callable[[Path], bool]


def log_holds(entries: int) -> Reached:
    def reached(data: Path) -> bool:
        try:
            with closing(sqlite3.connect(f"file:{data / 'store.db'}?mode=ro", uri=True, timeout=0.05)) as connection:
                (held,) = connection.execute("SELECT sum(seq) FROM sqlite_sequence").fetchone()
        except sqlite3.Error:
            return False
        return (held or 0) >= entries

    return reached


def history_holds(commits: int) -> Reached:
    return lambda data: len(list((data / "history" / "windows" / "_delta_log").glob("*.json"))) >= commits


def replay(file: Path, data: Path, kill_when: Reached | None = None) -> dict[str, Any] | None:
    """Run the command; kill it as soon as something is reached. A killed one returns None."""
    command = [sys.executable, "-m", "app.cli", "replay", str(file), "--data", str(data), "--json"]
    environment = dict(os.environ, FORESHOCK_STORE__CHECKPOINT_S="0.02")
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, env=environment, text=True) as process:
        deadline = time.monotonic() + DEADLINE_S
        while kill_when is not None and process.poll() is None and time.monotonic() < deadline:
            if kill_when(data):
                process.kill()
                break
            time.sleep(0.002)
        output, _ = process.communicate(timeout=DEADLINE_S)
    if process.returncode != 0:
        return None
    return json.loads(output)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lines(tmp_path_factory.mktemp("recording") / "shop.jsonl", LINES)


@pytest.fixture(scope="module")
def undisturbed(recording: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    report = into_folder([recording], settings_in(folder), lambda _share, _text: None)
    assert (report["lines"], report["malformed"], report["misdated"]) == (len(LINES), 1, 2)
    return folder


@pytest.mark.slow
def test_a_replay_that_is_killed_again_and_again_counts_as_an_undisturbed_one(
    recording: Path, undisturbed: Path, tmp_path: Path
) -> None:
    rng = random.Random(11)
    entries = sorted(rng.sample(range(40, len(LINES) + 400), 2))
    points = [
        log_holds(entries[0]),
        history_holds(rng.randint(3, 6)),
        log_holds(entries[1]),
        history_holds(rng.randint(12, 16)),
    ]
    killed = sum(replay(recording, tmp_path, point) is None for point in points)
    assert killed >= 2, "the points must lie within the replay"
    report = replay(recording, tmp_path)
    assert report is not None
    assert report["resumed_after"] > 0
    assert history_rows(tmp_path) == history_rows(undisturbed)
    assert history_rows(tmp_path, "errors") == history_rows(undisturbed, "errors")
    assert history_rows(tmp_path, "facts") == history_rows(undisturbed, "facts")
    without = ("offset", "id")
    assert history_rows(tmp_path, "predictions", without) == history_rows(undisturbed, "predictions", without)
    assert states_of(tmp_path) == states_of(undisturbed)
    again = replay(recording, tmp_path)
    assert again is not None
    assert again["resumed_after"] == again["lines"] == len(LINES)
    assert history_rows(tmp_path) == history_rows(undisturbed)


def test_what_a_replay_finds_is_in_its_report(undisturbed: Path, recording: Path) -> None:
    report = into_folder([recording], settings_in(undisturbed), lambda _share, _text: None)
    assert (report["services"], report["records"]["traces"]) == (4, 0)
    assert report["predictions"] == report["series"] > 4
    rows = history_rows(undisturbed, "incidents")
    assert any("payment" in row[1] for row in rows)


def test_incidents_of_a_recording_are_put_together_as_if_somebody_had_been_there(undisturbed: Path) -> None:
    with closing(Node(settings_in(undisturbed))) as node:
        groups = [decode_document(one.value, GroupRecord) for one in node.store.documents.items("groups")]
    (group,) = (one for one in groups if any(affected.service == "payment" for affected in one.services))
    assert group.causes[0].service == "payment"
    assert group.causes[0].reasons
    assert group.end is not None
    assert {"symptom", "detected"} <= {line.kind for line in group.timeline}
    assert group.plan


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match=r"cannot read .*absent\.jsonl"):
        into_folder([tmp_path / "absent.jsonl"], settings_in(tmp_path / "data"), lambda _share, _text: None)
