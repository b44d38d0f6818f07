"""The command that writes what the servers of a cluster start with."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.commands.cluster_command import write_configs
from features.errors import InvalidSetting, InvalidValue


def test_a_file_for_each_server_that_only_its_owner_reads(tmp_path: Path) -> None:
    answer = CliRunner().invoke(
        app, ["cluster-config", "n1", "n2", "n3", "--out", str(tmp_path / "nats"), "--token", "s3cret", "--json"]
    )
    assert answer.exit_code == 0, answer.output
    report = json.loads(answer.stdout)
    assert set(report["files"]) == {"n1", "n2", "n3"}
    assert "s3cret" not in answer.stdout
    for path in map(Path, report["files"].values()):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert "sync_interval: always" in path.read_text()
    assert report["monitor_urls"] == ["http://n1:8222", "http://n2:8222", "http://n3:8222"]


def test_a_file_that_others_could_read_is_theirs_no_more(tmp_path: Path) -> None:
    (tmp_path / "n1.conf").touch(mode=0o644)
    write_configs(["n1"], tmp_path, "data", "s3cret")
    assert stat.S_IMODE((tmp_path / "n1.conf").stat().st_mode) == 0o600


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidSetting, match=r"cannot be written to .*file"):
        write_configs(["n1"], tmp_path / "file", "data", "")


def test_two_servers_make_no_cluster(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="three to five"):
        write_configs(["n1", "n2"], tmp_path, "data", "")
