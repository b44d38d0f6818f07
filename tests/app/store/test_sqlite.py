"""What only the SQLite family promises: one holder, a fixed number of partitions, and nothing lost to kill -9."""

from __future__ import annotations

import gc
import lzma
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from app.settings import StoreSettings
from app.store.sqlite import SqliteStore, open_store
from features.errors import DataInUse, InvalidSetting, NewerVersion, SnapshotMismatch, StoreFailed
from tests.killed import ROOT, run_and_kill

FOLDERS = ROOT / "tests" / "folders"

OPEN = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from app.settings import StoreSettings
from app.store.contract import Output
from app.store.sqlite import open_store
store = open_store(Path(sys.argv[1]), settings=StoreSettings(partitions=4), max_in_flight_bytes=10**8,
                   now=lambda: datetime.now(UTC))
"""

APPEND = (
    OPEN
    + """
from threading import Thread
def append(caller):
    n = 0
    while True:
        offset = store.log.append_many([(caller, "x", b"%d" % n), (3, "y", b"%d/%d" % (caller, n))])[0]
        print(f"{caller} {n} {offset}\\n", end="", flush=True)
        n += 1
for caller in range(3):
    Thread(target=append, args=(caller,)).start()
"""
)

COMMIT = (
    OPEN
    + """
head = store.checkpoints.acquire(0, "one")
token, n = head.token, head.offset
while True:
    n += 1
    value = b"%d" % n
    outputs = [Output("predictions", str(k), value) for k in range(50)]
    token = store.checkpoints.commit(0, token, n, {"a": value, "b": value * 20_000}, outputs)
    print(n, flush=True)
"""
)


def now() -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC)


def reopen(folder: Path, partitions: int = 4) -> SqliteStore:
    settings = StoreSettings.model_validate({"partitions": partitions})
    return open_store(folder, settings=settings, max_in_flight_bytes=10**6, now=now)


@pytest.mark.parametrize("after_lines", [1, 40, 333])
def test_every_acknowledged_append_survives_kill_9_in_order(tmp_path: Path, after_lines: int) -> None:
    before: dict[int, int] = {}
    for _ in range(2):
        lines = run_and_kill(APPEND, [tmp_path], after_lines=after_lines)
        acknowledged = [tuple(map(int, line.split())) for line in lines]
        with reopen(tmp_path) as store:
            together = [entry.data for entry in store.log.read(3, 0, 10**6)]
            for caller in range(3):
                entries = store.log.read(caller, before.get(caller, 0), 10**6)
                found = [int(entry.data) for entry in entries]
                assert found == list(range(len(found))), "in order, none twice, no hole"
                assert all(one.offset < other.offset for one, other in pairwise(entries))
                offset_of = dict(zip(found, (entry.offset for entry in entries), strict=True))
                assert all(offset_of[n] == offset for who, n, offset in acknowledged if who == caller)
                # Both messages of one append_many, or neither.
                assert len([data for data in together if data.startswith(b"%d/" % caller)]) == store.log.end(caller)
                before[caller] = store.log.end(caller)


def test_a_commit_is_whole_or_absent_after_kill_9(tmp_path: Path) -> None:
    for after_lines in (3, 50):
        lines = run_and_kill(COMMIT, [tmp_path], after_lines=after_lines)
        with reopen(tmp_path) as store:
            head = store.checkpoints.acquire(0, "two")
            value = b"%d" % head.offset
            assert head.offset >= int(lines[-1])
            assert dict(head.state) == {"a": value, "b": value * 20_000}
            assert [document.value for document in store.documents.items("predictions")] == [value] * 50


def test_a_folder_has_one_holder_and_the_next_one_is_told_who(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OPEN + "\nprint('open', flush=True)\nsys.stdin.read()", str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        with pytest.raises(DataInUse, match=f"{tmp_path} is held by process {process.pid}"):
            reopen(tmp_path)
        process.kill()
    reopen(tmp_path).close()


def test_a_second_opening_in_one_process_is_refused(tmp_path: Path) -> None:
    with reopen(tmp_path), pytest.raises(DataInUse):
        reopen(tmp_path)
    reopen(tmp_path).close()


def test_another_number_of_partitions_is_refused_with_both_numbers(tmp_path: Path) -> None:
    reopen(tmp_path, 4).close()
    with pytest.raises(InvalidSetting, match=r"store\.partitions.* made with 4 partitions, got 8"):
        reopen(tmp_path, 8)
    reopen(tmp_path, 4).close()


def test_tables_of_another_version_are_refused(tmp_path: Path) -> None:
    reopen(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "store.db")
    with connection:
        connection.execute("UPDATE meta SET value = 99 WHERE name = 'schema'")
    connection.close()
    with pytest.raises(NewerVersion, match="tables of version 99, this release reads 1 and 2: a newer one made them"):
        reopen(tmp_path)


def test_tables_older_than_those_of_the_version_before_are_refused(tmp_path: Path) -> None:
    reopen(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection, connection:
        connection.execute("UPDATE meta SET value = 0 WHERE name = 'schema'")
    with pytest.raises(SnapshotMismatch, match="tables of version 0, this program needs version 2"):
        reopen(tmp_path)


def test_tables_of_the_version_before_become_those_of_this_one(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(lzma.decompress((FOLDERS / "tables_1.db.xz").read_bytes()))
    for turn in range(2):
        with reopen(tmp_path, 4) as store:
            assert [store.log.end(partition) for partition in range(4)] == [5 + turn, 6 + turn, 7 + turn, turn]
            assert [entry.data for entry in store.log.read(0, 3, 2)] == [b"entry 0 3", b"entry 0 4"]
            head = store.checkpoints.acquire(1, "now")
            assert (head.offset, head.state) == (4, {"memory/head": b"state"})
            assert [document.value for document in store.documents.items("feedback")] == [b"{}"]
            # Partition 2 was trimmed to its end: what comes now must not take the place of what was there.
            assert [store.log.append(partition, f"new-{turn}", b"new") for partition in range(4)] == [
                6 + turn,
                7 + turn,
                8 + turn,
                1 + turn,
            ]


def test_a_file_that_is_no_database_is_refused_and_the_folder_let_go(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"no database at all " * 100)
    for _ in range(2):
        with pytest.raises(StoreFailed, match=r"store\.db"):
            reopen(tmp_path)


def test_a_folder_whose_blobs_cannot_be_made_is_let_go(tmp_path: Path) -> None:
    (tmp_path / "blobs").write_bytes(b"a file where the folder belongs")
    for _ in range(2):
        with pytest.raises(StoreFailed, match="blobs"):
            reopen(tmp_path)
    (tmp_path / "blobs").unlink()
    reopen(tmp_path).close()


def test_a_folder_that_cannot_be_made_is_a_setting_to_correct(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InvalidSetting, match="file"):
        reopen(tmp_path / "file" / "data")


def test_closing_twice_is_fine_and_a_closed_store_says_so(tmp_path: Path) -> None:
    store = reopen(tmp_path)
    store.log.append(0, "a", b"1")
    store.close()
    store.close()
    with pytest.raises(StoreFailed, match="closed"):
        store.log.append(0, "b", b"2")
    with pytest.raises(StoreFailed, match="closed"):
        store.log.read(0, 0)
    gc.collect()


def test_another_process_can_read_while_the_store_is_open(tmp_path: Path) -> None:
    with reopen(tmp_path) as store:
        store.log.append(0, "a", b"1")
        program = (
            f"import sqlite3; print(sqlite3.connect({str(tmp_path / 'store.db')!r}).execute('SELECT * FROM log_0').fetchall())"
        )
        found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
        assert found.stdout.strip() == "[(1, b'1')]"
