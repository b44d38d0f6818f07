"""Tables of a folder are copied whole, and what a kill leaves of a copy is read by nobody and made whole by the next call."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from deltalake.fs import DeltaStorageHandler
from pyarrow.fs import FileSelector, FileType

from app.history.delta import DeltaHistory
from app.history.moving import UNFINISHED_FEATURE, move_tables, tables_in, went_on
from app.history.tables import rows_schema
from features.errors import InvalidValue, StoreFailed
from tests.killed import run_and_kill
from tests.object_store import object_store

MOVE = """
import json, sys
from pathlib import Path
from app.history import moving
for name in ("put_mark", "put", "remove_mark"):
    def told(self, *given, real=getattr(moving._Copy, name), name=name):
        done = real(self, *given)
        print(name, self.name, *given, flush=True)
        return done
    setattr(moving._Copy, name, told)
moving.move_tables(Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3]))
"""
"""Says what it did, step by step."""


@dataclass(frozen=True)
class Target:
    """Where tables go."""

    place: str
    options: dict[str, str] = field(default_factory=dict)

    @property
    def history(self) -> DeltaHistory:
        return DeltaHistory(self.place, self.options)

    def objects(self, name: str) -> DeltaStorageHandler:
        return DeltaStorageHandler(f"{self.place}/{name}", self.options)

    def files(self, name: str) -> dict[str, bytes]:
        """Return all files of a table."""
        if "://" not in self.place and not Path(self.place, name).is_dir():
            return {}
        objects = self.objects(name)
        listed = objects.get_file_info_selector(FileSelector("", recursive=True, allow_not_found=True))
        return {info.path: objects.open_input_file(info.path).read() for info in listed if info.type == FileType.File}

    def moved(self, folder: Path) -> dict[str, int]:
        return move_tables(folder, self.place, self.options)


def in_a_folder(tmp_path: Path) -> Target:
    return Target(str(tmp_path / "there"))


def in_a_store(_: Path) -> Target:
    store = object_store()
    return Target(store.place(), store.options)


@pytest.fixture(params=[in_a_folder, in_a_store])
def target(tmp_path: Path, request: pytest.FixtureRequest) -> Target:
    make: Callable[[Path], Target] = request.param
    return make(tmp_path)


def append(history: DeltaHistory, *offsets: int, table: str = "facts") -> None:
    for offset in offsets:
        row = dict.fromkeys(rows_schema(table).names) | {"window": 60 * offset, "partition": 0, "offset": offset}
        history.append({table: pa.Table.from_pylist([row], rows_schema(table))}, {0: offset})


def offsets_in(history: DeltaHistory, table: str = "facts") -> list[int]:
    return sorted(history.read(table)["offset"].to_pylist())


def bytes_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of two tables, one with joined files, a checkpoint and commits above it."""
    here = tmp_path / "here"
    history = DeltaHistory(here)
    append(history, *range(1, 6))
    history.optimise(strays=False)
    append(history, 6, 7)
    append(history, 7, table="windows")
    return here


def test_a_copy_has_every_file_and_goes_on_as_the_folder_would_have(folder: Path, target: Target) -> None:
    before = bytes_below(folder)
    shares: list[float] = []
    done = move_tables(folder, target.place, target.options, shares.append)
    assert done == {"tables": 2, "files": len(before), "rows": 8}
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert bytes_below(folder) == before
    there = {f"{name}/{path}": data for name in tables_in(folder) for path, data in target.files(name).items()}
    assert there == before
    assert any(path.endswith(".checkpoint.parquet") for path in there)
    history = target.history
    assert (offsets_in(history), history.recorded("facts", 0), history.versions()) == (
        list(range(1, 8)),
        7,
        DeltaHistory(folder).versions(),
    )
    newest = DeltaTable(f"{target.place}/facts", storage_options=target.options).version()
    earlier = DeltaTable(f"{target.place}/facts", version=newest - 1, storage_options=target.options)
    assert earlier.to_pyarrow_dataset().count_rows() == 6  # an earlier version is read as before
    append(history, 7)  # comes again, and is known
    append(history, 8)
    history.optimise()
    assert offsets_in(target.history) == list(range(1, 9))


def test_a_second_call_finds_all_there_and_leaves_what_went_on_alone(folder: Path, target: Target) -> None:
    target.moved(folder)
    nothing = {"tables": 0, "files": 0, "rows": 0}
    assert target.moved(folder) == nothing
    assert not went_on(folder, target.place, target.options)
    append(target.history, 8)
    assert went_on(folder, target.place, target.options)
    append(target.history, 9, table="windows")
    there = target.files("facts")
    assert target.moved(folder) == nothing
    assert target.files("facts") == there


def test_an_earlier_state_is_brought_up_to_that_of_the_folder(folder: Path, target: Target) -> None:
    target.moved(folder)
    history = DeltaHistory(folder)
    append(history, 8)
    history.optimise(retention_hours=0)  # files that are there go here
    append(history, 9)
    assert target.moved(folder)["tables"] == 2  # the other one was summed up in a checkpoint
    assert target.files("facts") == bytes_below(folder / "facts")
    assert offsets_in(target.history) == list(range(1, 10))


def n_steps(folder: Path) -> int:
    return len(bytes_below(folder)) + 2 * len(tables_in(folder))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.85, 0.99])
def test_what_a_kill_leaves_is_read_by_nobody_until_the_next_call_made_it_whole(
    folder: Path, target: Target, share: float
) -> None:
    before, n_tables = bytes_below(folder), len(tables_in(folder))
    last = n_steps(folder) - n_tables  # from there on one table after the other is whole
    after_lines = 2 + int(share * (last - 2))
    lines = run_and_kill(MOVE, [folder, target.place, json.dumps(target.options)], after_lines=after_lines)
    released = {line.split()[1] for line in lines if line.startswith("remove_mark")}
    early = target.history  # of a node that was started too early
    for name in set(tables_in(folder)) - released:
        commits = sorted(path for path in target.files(name) if re.fullmatch(r"_delta_log/\d{20}\.json", path))
        kept = sorted(
            path.removeprefix(f"{name}/") for path in before if re.fullmatch(rf"{name}/_delta_log/\d{{20}}\.json", path)
        )
        *copied, mark = commits
        assert copied == kept[: len(copied)]
        assert mark not in kept
        summed = [path for path in target.files(name) if "checkpoint" in path]
        assert not summed or copied == kept
        with pytest.raises(StoreFailed, match="refused to read"):
            target.history.read(name)
        with pytest.raises(StoreFailed, match="refused to append"):
            append(early, 99, table=name)
        with pytest.raises(DeltaError):
            DeltaTable(f"{target.place}/{name}", storage_options=target.options)
    assert target.moved(folder)["tables"] >= n_tables - len(released) - 1  # one may have been released after it was said
    assert {f"{name}/{path}": data for name in tables_in(folder) for path, data in target.files(name).items()} == before
    assert bytes_below(folder) == before
    append(early, 7, 8)
    assert offsets_in(target.history) == list(range(1, 9))


def test_a_table_that_asks_for_the_feature_is_refused_with_its_name(folder: Path, tmp_path: Path) -> None:
    def dies(share: float) -> None:
        if share > 0.9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        move_tables(folder, tmp_path / "there", told=dies)
    with pytest.raises(StoreFailed, match=UNFINISHED_FEATURE):
        DeltaHistory(tmp_path / "there").read("facts")


def test_a_table_that_does_not_come_from_the_folder_is_refused_and_stays(folder: Path, target: Target) -> None:
    append(target.history, 1)
    there = target.files("facts")
    with pytest.raises(
        InvalidValue, match=r"/facts must be empty or an earlier state of .*, got a table at version 1 that is no copy"
    ):
        target.moved(folder)
    assert (target.files("facts"), target.files("windows")) == (there, {})


def test_a_copy_that_went_on_apart_from_the_folder_is_refused(folder: Path, target: Target) -> None:
    target.moved(folder)
    append(target.history, 8)
    append(DeltaHistory(folder), 9)
    there = target.files("facts")
    with pytest.raises(InvalidValue, match="that is no copy of it"):
        target.moved(folder)
    with pytest.raises(InvalidValue, match="that is no copy of it"):
        went_on(folder, target.place, target.options)
    assert target.files("facts") == there


def test_a_table_that_the_folder_lacks_is_refused_unless_nothing_was_written_to_it(folder: Path, target: Target) -> None:
    row = dict.fromkeys(rows_schema("incidents").names) | {"start": 0, "partition": 0, "offset": 5}
    other = pa.Table.from_pylist([row], rows_schema("incidents"))
    target.history.append({"incidents": other}, {0: 5})
    with pytest.raises(InvalidValue, match="must hold no table but copies of the folder's, got incidents at version 1"):
        target.moved(folder)
    assert target.files("facts") == {}
    for path in target.files("incidents"):
        if not path.endswith(f"{0:020}.json"):
            target.objects("incidents").delete_file(path)
    assert target.moved(folder)["tables"] == 2


def test_files_that_are_no_table_and_a_copy_of_another_one_are_refused(folder: Path, tmp_path: Path) -> None:
    stray = tmp_path / "there" / "facts" / "holiday.jpg"
    stray.parent.mkdir(parents=True)
    stray.touch()
    with pytest.raises(InvalidValue, match="got files without a log of commits"):
        move_tables(folder, tmp_path / "there")
    stray.unlink()

    def dies(_share: float) -> None:
        raise KeyboardInterrupt

    append(DeltaHistory(tmp_path / "other"), 1)
    with pytest.raises(KeyboardInterrupt):
        move_tables(tmp_path / "other", tmp_path / "there", told=dies)
    with pytest.raises(InvalidValue, match="got an unfinished copy of another table"):
        move_tables(folder, tmp_path / "there")
    assert not stray.exists()


def test_what_a_power_cut_took_from_a_folder_is_copied_again(folder: Path, tmp_path: Path) -> None:
    def dies(share: float) -> None:
        if share > 0.9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        move_tables(folder, tmp_path / "there", told=dies)
    for path in (tmp_path / "there").rglob("*.parquet"):
        path.write_bytes(bytes(path.stat().st_size))
    move_tables(folder, tmp_path / "there")
    assert bytes_below(tmp_path / "there") == bytes_below(folder)


def test_a_copy_that_is_not_what_was_sent_is_told_and_read_by_nobody(folder: Path, tmp_path: Path) -> None:
    def loses(_share: float) -> None:
        for path in (tmp_path / "there").rglob("day=*/*.parquet"):
            path.write_bytes(b"cut")

    with pytest.raises(StoreFailed, match=r"must hold the \d+ files of .*/windows, got \d+ that differ: day="):
        move_tables(folder, tmp_path / "there", told=loses)
    with pytest.raises(StoreFailed, match="refused to read"):
        DeltaHistory(tmp_path / "there").read("facts")


def test_a_folder_that_is_written_to_meanwhile_is_told_and_the_next_call_has_all(folder: Path, tmp_path: Path) -> None:
    history = DeltaHistory(folder)

    def writes(_share: float) -> None:
        if history.recorded("facts", 0) < 8:
            append(history, 8)

    with pytest.raises(StoreFailed, match=r"/facts must be at \(version, rows\) \(\d+, 8\) as .* is, got \(\d+, 7\)"):
        move_tables(folder, tmp_path / "there", told=writes)
    with pytest.raises(StoreFailed, match="refused to read"):
        DeltaHistory(tmp_path / "there").read("facts")
    move_tables(folder, tmp_path / "there")
    assert offsets_in(DeltaHistory(tmp_path / "there")) == list(range(1, 9))


def test_a_file_of_several_parts_arrives_as_it_is(folder: Path, target: Target) -> None:
    large = bytes(range(256)) * 2**16  # two parts, no row of which any commit names
    (folder / "facts" / "day=1970-01-01" / "large.parquet").write_bytes(large + b"and a third")
    target.moved(folder)
    assert target.files("facts")["day=1970-01-01/large.parquet"] == large + b"and a third"


def test_what_a_killed_writer_left_half_written_is_not_copied(folder: Path, tmp_path: Path) -> None:
    (folder / "facts" / "_delta_log" / f"{99:020}.json#1").touch()
    (folder / "facts" / "_delta_log" / "_commit_1.json.tmp").touch()
    before = {path for path in bytes_below(folder) if not path.endswith(("#1", ".tmp"))}
    move_tables(folder, tmp_path / "there")
    assert bytes_below(tmp_path / "there").keys() == before


def test_a_store_that_is_away_is_told_in_one_line(folder: Path) -> None:
    away = {**object_store().options, "aws_endpoint_url": "http://127.0.0.1:1", "max_retries": "0"}
    with pytest.raises(StoreFailed, match=r"history could not be copied from .* to s3://history/away: .+") as refusal:
        move_tables(folder, "s3://history/away", away)
    with pytest.raises(StoreFailed, match="history could not be copied"):
        went_on(folder, "s3://history/away", away)
    assert "\n" not in str(refusal.value)
    assert "a-secret-of-the-tests" not in str(refusal.value)


def test_a_folder_without_tables_has_none_to_move(tmp_path: Path) -> None:
    (tmp_path / "here" / "facts" / "_delta_log").mkdir(parents=True)
    assert tables_in(tmp_path / "here") == []
    assert not went_on(tmp_path / "here", tmp_path / "there")
    assert move_tables(tmp_path / "here", tmp_path / "there") == {"tables": 0, "files": 0, "rows": 0}
    assert not (tmp_path / "there").exists()
