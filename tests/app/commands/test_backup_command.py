"""The commands that save a node's state and bring it back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.commands.backup_command import backup, bring_back
from app.opening import open_alone
from features.errors import InvalidSetting, InvalidValue
from tests.nodes import run_node, settings_in


def quiet(_share: float, _text: str) -> None:
    """Tell nobody."""


def ran(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_both_commands_say_what_they_did(tmp_path: Path) -> None:
    with run_node(tmp_path / "data") as running:
        running.tick()
        made = json.loads(ran("backup", str(tmp_path / "kept"), "--data", str(tmp_path / "data"), "--json"))
    assert made["not_included"] == ["settings file"]
    sha = ("--manifest-sha256", made["manifest_sha256"])
    back = json.loads(ran("restore", str(tmp_path / "kept"), "--data", str(tmp_path / "new"), "--json", *sha))
    assert {name: back[name] for name in ("files", "bytes", "made_at", "history")} == {
        name: made[name] for name in ("files", "bytes", "made_at", "history")
    }


def test_what_lies_elsewhere_is_named(tmp_path: Path) -> None:
    with run_node(tmp_path / "data", history_url=str(tmp_path / "elsewhere")) as running:
        running.tick()
    settings = settings_in(tmp_path / "data", history_url="s3://bucket/history")
    report, table = backup(settings, tmp_path / "kept", quiet)
    assert report["not_included"] == ["settings file", "setting history_url"]
    assert "history_url" in table
    report, table = bring_back(settings_in(tmp_path / "new"), tmp_path / "kept", "", quiet)
    assert report["history_elsewhere"] == "s3://bucket/history"
    assert "before the node starts" in table
    assert table.endswith(f"foreshock serve --data {tmp_path / 'new'}")


def test_a_data_folder_within_is_named_and_not_taken(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for folder in (data, data / "demo"):
        open_alone(settings_in(folder)).close()
    left = f"not in it: {data / 'demo'}, which is or holds a data folder of its own; back that one up with --data"
    assert ran("backup", str(tmp_path / "kept"), "--data", str(data)).splitlines()[-1] == left
    report, table = backup(settings_in(data / "demo"), tmp_path / "demo", quiet)
    assert report["not_included"] == ["settings file"]
    assert "own" not in table


def test_a_cluster_and_a_folder_that_moved_there_are_refused_with_the_way(tmp_path: Path) -> None:
    there = settings_in(tmp_path, nats_url="nats://127.0.0.1:1")
    with pytest.raises(InvalidSetting, match="nats stream backup"):
        backup(there, tmp_path / "kept", quiet)
    with pytest.raises(InvalidSetting, match="nats stream backup"):
        bring_back(there, tmp_path / "kept", "", quiet)
    (tmp_path / "moved.json").write_text('{"to": "nats://n1", "at": "2026-11-29"}')
    with pytest.raises(InvalidSetting, match="was moved there"):
        backup(settings_in(tmp_path), tmp_path.parent / "kept", quiet)


def test_another_manifest_than_the_one_that_was_written_down_is_refused(tmp_path: Path) -> None:
    with run_node(tmp_path / "data"):
        pass
    backup(settings_in(tmp_path / "data"), tmp_path / "kept", quiet)
    with pytest.raises(InvalidValue, match="another backup"):
        bring_back(settings_in(tmp_path / "new"), tmp_path / "kept", "0" * 64, quiet)
