"""The lock of a data folder, and folders that are there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.store.folder import UNFINISHED, FolderLock, files_below, is_vacant, sync_folder, whole_folder
from features.errors import DataInUse


def test_the_holder_is_named_until_it_lets_go(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    with pytest.raises(DataInUse, match=f"{tmp_path} is held by process {os.getpid()}$"):
        FolderLock(tmp_path)
    lock.release()
    lock.release()
    FolderLock(tmp_path).release()


def test_a_holder_that_did_not_write_its_name_is_unknown(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    (tmp_path / "lock").write_bytes(b"")
    with pytest.raises(DataInUse, match="process unknown"):
        FolderLock(tmp_path)
    lock.release()


def test_a_name_left_by_a_dead_holder_does_not_hold_the_folder(tmp_path: Path) -> None:
    (tmp_path / "lock").write_bytes(b"1")
    lock = FolderLock(tmp_path)
    assert (tmp_path / "lock").read_text() == str(os.getpid())
    lock.release()


def test_a_folder_that_is_gone_cannot_be_made_durable(tmp_path: Path) -> None:
    sync_folder(tmp_path)
    with pytest.raises(FileNotFoundError):
        sync_folder(tmp_path / "gone")


def test_a_folder_has_its_name_once_it_is_filled(tmp_path: Path) -> None:
    path = tmp_path / "new" / "whole"
    with whole_folder(path) as staging:
        (staging / "a").write_text("1")
        assert not path.exists()
        assert staging.name.startswith(f"{UNFINISHED}whole-")
    assert (path / "a").read_text() == "1"
    assert path.stat().st_mode & 0o777 == 0o700
    assert [each.name for each in path.parent.iterdir()] == ["whole"]


def test_a_folder_that_was_not_finished_leaves_nothing(tmp_path: Path) -> None:
    def fill() -> None:
        with whole_folder(tmp_path / "whole") as staging:
            (staging / "a").write_text("1")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fill()
    assert list(tmp_path.iterdir()) == []


def test_a_place_is_vacant_where_nothing_or_an_empty_folder_is(tmp_path: Path) -> None:
    for name in ("empty", "full"):
        (tmp_path / name).mkdir()
    (tmp_path / "full" / "a").touch()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    (tmp_path / "nowhere").symlink_to(tmp_path / "absent")
    vacant = {name: is_vacant(tmp_path / name) for name in ("absent", "empty", "full", "full/a", "link", "nowhere")}
    assert [name for name, free in vacant.items() if free] == ["absent", "empty"]


def test_files_are_found_at_any_depth_and_links_are_not_followed(tmp_path: Path) -> None:
    for name in ("a/b/c", "a/lock", "lock", "left/d", "elsewhere"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "a" / "left").symlink_to(tmp_path / "left")
    (tmp_path / "a" / "e").symlink_to(tmp_path / "elsewhere")
    assert sorted(files_below(tmp_path, {"left", "lock"})) == ["a/b/c", "a/e", "a/left", "a/lock", "elsewhere"]
    assert sorted(files_below(tmp_path / "a")) == ["b/c", "e", "left", "lock"]
