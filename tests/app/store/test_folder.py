"""The lock of a data folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.store.folder import FolderLock, sync_folder
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
