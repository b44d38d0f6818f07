"""A folder is copied as of one moment while its node takes in telemetry, and a backup that was not finished is none."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.backup import back_up
from app.history.delta import DeltaHistory
from app.ingest.codec import BatchMessage, unpack
from app.manifest import MANIFEST_FILE
from app.opening import open_alone
from app.restore import restore
from app.store.folder import UNFINISHED
from app.store.sqlite_schema import log_table
from features.errors import InvalidValue, StoreFailed
from tests.app.ingest.requests import a_log, a_span, as_json, logs, span_id, traces
from tests.house.sources import ROOT
from tests.nodes import RunningNode, counted, history_rows, run_node, settings_in, states_of, until


def quiet(_share: float, _text: str) -> None:
    """Tell nobody."""


def request(running: RunningNode, number: int) -> bytes:
    at: dict[str, Any] = {"startTimeUnixNano": str(running.now_ns), "endTimeUnixNano": str(running.now_ns + 10**7)}
    ids: dict[str, Any] = {"traceId": f"{number + 1:032x}", "spanId": span_id(number + 1)}
    failed = a_span(status={"code": 2, "message": f"no stock of item {number}"}, **at, **ids)
    return as_json(traces(failed, a_span(**at, traceId=f"{number + 1:032x}", spanId=span_id(10**9 + number))))


def fed(folder: Path, minutes: int = 3) -> None:
    """Let a node take in some minutes, with a verdict and a model's file."""
    with run_node(folder) as running:
        for number in range(minutes * 4):
            assert running.post("traces", request(running, number)).status_code == 200
            if number % 4 == 3:
                running.tick()
        running.node.store.blobs.put(b"a model")


def documents(folder: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(folder / "store.db")) as connection:
        return connection.execute("SELECT bucket, key, value FROM documents ORDER BY bucket, key").fetchall()


def acknowledged(folder: Path, ends: list[int]) -> int:
    """Return how many spans the log of a folder holds up to some offsets."""
    total = 0.0
    with closing(sqlite3.connect(folder / "store.db")) as connection:
        for number, end in enumerate(ends):
            rows = connection.execute(f'SELECT data FROM {log_table(number)} WHERE "offset" <= ?', [end])
            found = [message for message in (unpack(data) for (data,) in rows) if isinstance(message, BatchMessage)]
            total += sum(float(message.batch.counts[:, 0].sum()) for message in found)
    return int(total)


def test_a_stopped_folder_comes_back_to_the_last_byte_of_state_documents_history_and_models(tmp_path: Path) -> None:
    folder, there = tmp_path / "data", tmp_path / "new" / "data"
    fed(folder)
    done = back_up(folder, tmp_path / "kept" / "backup", "", quiet)
    assert restore(tmp_path / "kept" / "backup", there, quiet, done.sha256) == done.manifest
    assert states_of(there) == states_of(folder)
    assert documents(there) == documents(folder)
    for table in ("windows", "errors", "predictions", "facts"):
        assert history_rows(there, table) == history_rows(folder, table)
    assert (there / "signing.key").read_bytes() == (folder / "signing.key").read_bytes()
    assert not (there / "node").exists()
    assert (there / "signing.key").stat().st_mode & 0o077 == 0
    with run_node(there) as running, run_node(folder) as original:
        assert counted(running.node, "total", "cart") == counted(original.node, "total", "cart") == 24
        assert running.node.store.blobs.get(running.node.store.blobs.put(b"a model")) == b"a model"
        assert running.get("/api/v1/errors") == original.get("/api/v1/errors")
        for path in ("/api/v1/services", "/api/v1/incidents", "/api/v1/predictions"):
            assert [one["id" if "id" in one else "service"] for one in running.get(path)["items"]] == [
                one["id" if "id" in one else "service"] for one in original.get(path)["items"]
            ]


def test_a_backup_under_load_is_the_node_as_it_was_at_its_moment_and_goes_on(tmp_path: Path) -> None:
    folder, kept, there = tmp_path / "data", tmp_path / "backup", tmp_path / "restored"
    sent = [0]
    with run_node(folder) as running:
        verdict = {"service": "cart", "verdict": "missed", "start": "2026-01-01T00:00:00Z", "end": "2026-01-01T01:00:00Z"}
        said = running.client.post(f"{running.served.api}/api/v1/feedback", json=verdict)
        assert said.status_code == 201, said.text
        stop = threading.Event()

        def send() -> None:
            while not stop.is_set():
                assert running.post("traces", request(running, sent[0])).status_code == 200
                sent[0] += 1

        sender = threading.Thread(target=send)
        sender.start()
        try:
            until(lambda: sent[0] > 20, "some requests")
            running.tick(2)
            until(lambda: sent[0] > 40, "some more")
            before = sent[0]
            done = back_up(folder, kept, "", quiet)
            after = sent[0]
            running.tick(2)  # history and checkpoint move on
        finally:
            stop.set()
            sender.join()
        counted_then = acknowledged(folder, done.manifest.ends)
        assert 2 * before <= counted_then <= 2 * (after + 1)
        rows_then = DeltaHistory(kept / "history").read("windows").num_rows
        assert rows_then <= DeltaHistory(folder / "history").read("windows").num_rows
    restore(kept, there, quiet)
    with run_node(there) as again:
        worker = again.node.worker
        until(lambda: not worker.lag(), "the log")
        again.tick(6)
        assert counted(again.node, "total", "cart") == counted_then
        assert again.get("/api/v1/feedback")["items"][0]["service"] == "cart"
        assert again.post("traces", request(again, 10**6)).status_code == 200
        again.tick(1)
        assert counted(again.node, "total", "cart") == counted_then + 2
    windows = DeltaHistory(there / "history").read("windows").to_pylist()
    whole = [row for row in windows if row["service"] == "cart" and row["operation"] == "*"]
    assert sum(row["total"] for row in whole) == counted_then + 2, "no row twice, no hole"


def killed_at(word: str, folder: Path, destination: Path) -> None:
    """Back up in a process that kills itself as kill -9 does, once it is told of something."""
    program = (
        "import os, signal, sys; from pathlib import Path; from app.backup import back_up\n"
        f"def told(_share, text):\n    if text == {word!r}: os.kill(os.getpid(), signal.SIGKILL)\n"
        "back_up(Path(sys.argv[1]), Path(sys.argv[2]), '', told)"
    )
    command = [sys.executable, "-c", program, str(folder), str(destination)]
    assert subprocess.run(command, cwd=ROOT, timeout=120, check=False).returncode == -signal.SIGKILL


@pytest.mark.parametrize("word", ["copying the store", "copying history", "copying models and keys"])
def test_a_killed_backup_leaves_nothing_that_restore_takes(word: str, tmp_path: Path) -> None:
    folder, destination = tmp_path / "data", tmp_path / "backup"
    fed(folder, 1)
    killed_at(word, folder, destination)
    assert not destination.exists()
    (half,) = [path for path in tmp_path.iterdir() if path.name.startswith(UNFINISHED)]
    with pytest.raises(InvalidValue, match=f"it has no {MANIFEST_FILE}"):
        restore(half, tmp_path / "restored", quiet)
    back_up(folder, destination, "", quiet)
    assert restore(destination, tmp_path / "restored", quiet).history


def test_a_destination_that_holds_something_or_lies_in_the_folder_is_refused(tmp_path: Path) -> None:
    folder, full = tmp_path / "data", tmp_path / "full"
    fed(folder, 1)
    full.mkdir()
    (full / "a").touch()
    with pytest.raises(InvalidValue, match="absent or empty"):
        back_up(folder, full, "", quiet)
    for inside in (folder, folder / "backups" / "one"):
        with pytest.raises(InvalidValue, match="outside of the data folder"):
            back_up(folder, inside, "", quiet)


@pytest.mark.parametrize("target", ["/etc/hostname", "/etc"])
def test_what_cannot_be_copied_is_told_and_nothing_stays(target: str, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    fed(folder, 1)
    (folder / "link").symlink_to(target)
    with pytest.raises(StoreFailed, match="link is no plain file"):
        back_up(folder, tmp_path / "backup", "", quiet)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_history_that_went_on_since_the_store_was_copied_is_taken_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with run_node(folder) as running:
        running.post("traces", request(running, 1))
        running.tick()
        appended: list[int] = []

        def told(_share: float, text: str) -> None:
            if text == "copying history":  # the store is copied, and a checkpoint comes
                running.post("traces", request(running, 2))
                running.post("logs", as_json(logs(a_log(body={"stringValue": "later"}))))
                running.tick(2)
                appended.append(DeltaHistory(folder / "history").read("windows").num_rows)

        manifest = back_up(folder, tmp_path / "backup", "", told).manifest
    rows = DeltaHistory(tmp_path / "backup" / "history").read("windows")
    assert 0 < rows.num_rows < appended[0]
    assert all(row["offset"] <= manifest.ends[row["partition"]] for row in rows.to_pylist())
    said: Mapping[str, Any] = json.loads((tmp_path / "backup" / MANIFEST_FILE).read_bytes())
    assert said["history"]["windows"] == manifest.history["windows"]


def test_data_folders_of_others_within_are_left_out_and_named(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    open_alone(settings_in(folder)).close()
    (folder / "notes").mkdir()
    (folder / "notes" / "a").write_text("of this folder")
    (folder / "cluster-demo" / "nats").mkdir(parents=True)
    (folder / "cluster-demo" / "nats" / "n.conf").touch()
    open_alone(settings_in(folder / "cluster-demo" / "node-1")).close()
    with run_node(folder / "demo"):  # held meanwhile
        done = back_up(folder, tmp_path / "kept", "", quiet)
    assert done.others == ("cluster-demo", "demo")
    assert {"notes/a", "signing.key", "store.db"} <= set(done.manifest.files)
    assert {name.partition("/")[0] for name in done.manifest.files} & {"cluster-demo", "demo", "lock"} == set()
    assert sorted(path.name for path in (tmp_path / "kept").iterdir() if path.is_dir()) == ["notes"]
    assert restore(tmp_path / "kept", tmp_path / "new", quiet, done.sha256) == done.manifest
    assert back_up(tmp_path / "new", tmp_path / "again", "", quiet).others == ()
