"""Old days go as whole partitions, and their files once nobody can be reading them."""

from __future__ import annotations

from pathlib import Path

from deltalake import DeltaTable

from app.history import upkeep
from app.history.delta import DeltaHistory
from tests.history_rows import facts, span

DAY = 86_400


def four_days(folder: Path) -> DeltaTable:
    history = DeltaHistory(folder)
    for day in range(4):
        rows = facts(span(0, 3 * day + 1, 3 * day + 3), lambda offset: (offset - 1) // 3 * DAY)
        history.append({"facts": rows}, {0: 3 * day + 3})
    return DeltaTable(folder / "facts")


def days(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "facts").glob("day=*") if list(path.iterdir()))


def test_dropping_days_writes_and_reads_no_file_of_rows(tmp_path: Path) -> None:
    delta = four_days(tmp_path)
    for file in (tmp_path / "facts").rglob("*.parquet"):
        file.write_bytes(b"cannot be read")
    assert upkeep.drop_days(delta, 1, 3 * DAY + 5) == 2
    assert sorted(partition["day"] for partition in delta.partitions()) == ["1970-01-03", "1970-01-04"]
    assert len(list((tmp_path / "facts").rglob("*.parquet"))) == 4
    version = delta.version()
    assert upkeep.drop_days(delta, 1, 3 * DAY + 5) == 0
    assert delta.version() == version, "nothing to drop is no commit"


def test_files_of_dropped_days_are_deleted_after_the_time_for_readers(tmp_path: Path) -> None:
    delta = four_days(tmp_path)
    reader = DeltaTable(tmp_path / "facts")
    upkeep.drop_days(delta, 2, 3 * DAY)
    upkeep.sweep(delta, 168)
    assert len(days(tmp_path)) == 4
    assert reader.to_pyarrow_table().num_rows == 12
    upkeep.sweep(delta, 0)
    assert days(tmp_path) == ["day=1970-01-02", "day=1970-01-03", "day=1970-01-04"]


def test_days_are_never_counted_back_beyond_the_first(tmp_path: Path) -> None:
    assert upkeep.drop_days(four_days(tmp_path), 30, DAY) == 0


def test_joining_leaves_one_file_a_day(tmp_path: Path) -> None:
    history = DeltaHistory(tmp_path)
    for last in range(1, 7):
        history.append({"facts": facts(span(0, last, last), lambda offset: offset % 2 * DAY)}, {0: last})
    delta = DeltaTable(tmp_path / "facts")
    upkeep.join_files(delta)
    assert len(delta.file_uris()) == 2
    assert delta.to_pyarrow_table().num_rows == 6


def test_a_stray_file_goes_only_where_strays_are_asked_for(tmp_path: Path) -> None:
    delta = four_days(tmp_path)
    stray = tmp_path / "facts" / "day=1970-01-01" / "left-behind.parquet"
    stray.write_bytes(b"an append that died")
    upkeep.sweep(delta, 0, strays=False)
    assert stray.exists()
    upkeep.sweep(delta, 0)
    assert not stray.exists()
