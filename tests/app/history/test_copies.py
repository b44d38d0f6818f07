"""The version of a table that goes with a state of the log, and its files alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from app.history.copies import copies_of
from app.history.delta import DeltaHistory
from app.history.tables import rows_schema
from features.errors import StoreFailed


def append(history: DeltaHistory, offset: int, partition: int = 0) -> None:
    row = dict.fromkeys(rows_schema("facts").names) | {"window": 60 * offset, "partition": partition, "offset": offset}
    history.append({"facts": pa.Table.from_pylist([row], rows_schema("facts"))}, {partition: offset})


def test_the_newest_version_without_a_row_from_beyond_the_log_is_taken(tmp_path: Path) -> None:
    history = DeltaHistory(tmp_path)
    for offset in (10, 20, 30):
        append(history, offset)
    newest = DeltaTable(str(tmp_path / "facts")).version()
    taken = {end: copies_of(tmp_path, [end])[0].version for end in (10, 19, 20, 29, 30, 99)}
    assert taken == {10: newest - 2, 19: newest - 2, 20: newest - 1, 29: newest - 1, 30: newest, 99: newest}


def test_every_partition_counts(tmp_path: Path) -> None:
    history = DeltaHistory(tmp_path)
    append(history, 10)
    append(history, 10, partition=1)
    append(history, 20)
    newest = DeltaTable(str(tmp_path / "facts")).version()
    assert copies_of(tmp_path, [20, 10])[0].version == newest
    assert copies_of(tmp_path, [19, 10])[0].version == newest - 1
    assert copies_of(tmp_path, [20, 9])[0].version == newest - 2


@pytest.mark.parametrize("n", [3, 120])
def test_the_files_alone_are_the_table_at_that_version(n: int, tmp_path: Path) -> None:
    history = DeltaHistory(tmp_path / "history")
    for offset in range(1, n + 1):  # a checkpoint of Delta comes with every fiftieth commit
        append(history, offset)
    history.optimise(strays=False)
    append(history, n + 1)
    (copied,) = copies_of(tmp_path / "history", [n])
    for name in copied.files:
        (tmp_path / "copy" / "facts" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tmp_path / "history" / "facts" / name, tmp_path / "copy" / "facts" / name)
    again = DeltaHistory(tmp_path / "copy")
    assert sorted(again.read("facts")["offset"].to_pylist()) == list(range(1, n + 1))
    assert again.recorded("facts", 0) == n
    append(again, n)  # comes again, and is known
    append(again, n + 1)
    assert again.read("facts").num_rows == n + 1


def test_a_folder_without_tables_has_none_and_a_broken_one_is_told(tmp_path: Path) -> None:
    assert copies_of(tmp_path, [1]) == []
    append(DeltaHistory(tmp_path), 1)
    for path in (tmp_path / "facts" / "_delta_log").glob("*.json"):
        path.write_text("{")
    with pytest.raises(StoreFailed, match="history's table facts cannot be read"):
        copies_of(tmp_path, [1])
