"""How a node is called."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import pytest

from app.node_id import NODE_ID, node_id, software_version
from features.errors import InvalidSetting


def test_a_given_name_stands_and_nothing_is_kept(tmp_path: Path) -> None:
    assert node_id("shop-1", tmp_path) == "shop-1"
    assert list(tmp_path.iterdir()) == []


def test_without_one_the_machine_names_it_and_the_folder_keeps_it(tmp_path: Path) -> None:
    made = node_id("", tmp_path, lambda: "web 1.example.org")
    assert re.fullmatch(r"web-1\.example\.org-[0-9a-f]{6}", made)
    assert node_id("", tmp_path, lambda: "another") == made


def test_two_folders_of_one_machine_are_two_nodes(tmp_path: Path) -> None:
    one, other = (node_id("", tmp_path / name, lambda: "web") for name in ("one", "other"))
    assert one != other


def test_any_machine_gives_a_name(tmp_path: Path) -> None:
    for number, host in enumerate(("", "ä" * 300, "/../x")):
        assert re.match(NODE_ID, node_id("", tmp_path / str(number), lambda host=host: host))


def test_a_file_that_holds_no_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "node").write_bytes(b"a b\xff")
    with pytest.raises(InvalidSetting, match=r"node must hold 1 to 128 of .* got 'a b.'"):
        node_id("", tmp_path)


def test_the_version_is_that_of_the_package() -> None:
    assert software_version() == version("foreshock")
