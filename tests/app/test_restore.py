"""A backup is restored whole or not at all: every byte is looked at first, and nothing stands in the data folder before."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from app.backup import back_up
from app.manifest import MANIFEST_FILE
from app.restore import restore
from features.errors import InvalidValue
from tests.nodes import run_node


def quiet(_share: float, _text: str) -> None:
    """Tell nobody."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backup")
    with run_node(folder / "data") as running:
        running.tick()
        running.node.store.blobs.put(b"a model")
    back_up(folder / "data", folder / "backup", "", quiet)
    return folder / "backup"


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "copy"))


def a_file(copy: Path) -> Path:
    return next(path for path in sorted(copy.rglob("*.parquet")) if "_delta_log" not in path.parts)


def change_a_byte(copy: Path) -> None:
    data = bytearray(a_file(copy).read_bytes())
    data[len(data) // 2] ^= 1
    a_file(copy).write_bytes(bytes(data))


def cut(copy: Path) -> None:
    (copy / "store.db").write_bytes((copy / "store.db").read_bytes()[:-1])


def link(copy: Path) -> None:
    path = a_file(copy)
    path.rename(copy.parent / "elsewhere")
    path.symlink_to(copy.parent / "elsewhere")


def add_to_the_manifest(copy: Path) -> None:
    said = json.loads((copy / MANIFEST_FILE).read_bytes())
    said["files"]["../../escaped"] = {"sha256": sha256(b"x").hexdigest(), "n_bytes": 1}
    (copy / MANIFEST_FILE).write_text(json.dumps(said))


@pytest.mark.parametrize(
    ("tamper", "why"),
    [
        (change_a_byte, "with the sha256"),
        (cut, "must have .* bytes"),
        (lambda copy: a_file(copy).unlink(), "lacks"),
        (lambda copy: (copy / "signing.key").unlink(), "lacks"),
        (lambda copy: (copy / "history" / "extra").write_text("x"), "which the manifest does not name"),
        (lambda copy: (copy / "more").symlink_to("/etc"), "which the manifest does not name"),
        (link, "must be a plain file"),
        (add_to_the_manifest, "must lie in the backup"),
        (lambda copy: (copy / MANIFEST_FILE).unlink(), "must be a whole backup"),
    ],
)
def test_a_backup_that_was_changed_is_refused_before_anything_is_written(
    tamper: Callable[[Path], object], why: str, copy: Path, tmp_path: Path
) -> None:
    tamper(copy)
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(InvalidValue, match=why):
        restore(copy, tmp_path / "data", quiet)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_folder_that_holds_something_is_left_as_it_is(copy: Path, tmp_path: Path) -> None:
    there = tmp_path / "data"
    there.mkdir()
    (there / "store.db").write_text("mine")
    with pytest.raises(InvalidValue, match="absent or empty"):
        restore(copy, there, quiet)
    assert (there / "store.db").read_text() == "mine"


def test_an_empty_folder_is_filled_and_a_node_starts_on_it(copy: Path, tmp_path: Path) -> None:
    there = tmp_path / "data"
    there.mkdir()
    restore(copy, there, quiet)
    with run_node(there) as running:
        running.tick()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_database_that_was_broken_when_it_was_copied_is_refused(copy: Path, tmp_path: Path) -> None:
    path = copy / "store.db"
    with closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute("PRAGMA page_size").fetchone()
    data = bytearray(path.read_bytes())
    data[page : 2 * page] = b"\xff" * page
    path.write_bytes(bytes(data))
    said = json.loads((copy / MANIFEST_FILE).read_bytes())
    said["files"]["store.db"] = {"sha256": sha256(data).hexdigest(), "n_bytes": len(data)}
    (copy / MANIFEST_FILE).write_text(json.dumps(said))
    with pytest.raises(InvalidValue, match=r"store\.db (is broken|cannot be read)"):
        restore(copy, tmp_path / "data", quiet)
    assert not (tmp_path / "data").exists()
