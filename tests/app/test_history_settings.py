"""Settings of history: what is refused at the start, and that no secret is printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from app.cli import app
from app.history.tables import SCHEMAS
from app.history_settings import HistorySettings, checked_options, checked_url
from app.settings import load_settings
from features.errors import InvalidSetting


def load(folder: Path, text: str) -> object:
    config = folder / "foreshock.toml"
    config.write_text(text, encoding="utf-8")
    return load_settings(config)


def test_every_table_has_days() -> None:
    assert HistorySettings().days().keys() == SCHEMAS.keys()


def test_nothing_is_deleted_that_nobody_asked_to() -> None:
    assert set(HistorySettings().days().values()) == {0}


@pytest.mark.parametrize("url", ["", "/var/history", "history", "file:///var/history", "s3://bucket", "gs://b/c", "az://c/d"])
def test_places_that_history_may_have(url: str) -> None:
    assert checked_url(url) == url


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("ftp://host/a", r"scheme must be one of .*got 'ftp'"),
        ("S3://bucket", r"scheme must be one of .*got 'S3'"),
        ("s3://", "must name a bucket, such as s3://bucket/path"),
        ("file://host/a", "absolute folder"),
        ("file://", "absolute folder"),
        ("s3://key:hush@bucket", "neither credentials nor a query"),
        ("s3://bucket?key=hush", "neither credentials nor a query"),
        ("s3://[bucket", "must be a URL"),
    ],
)
def test_places_that_are_refused_in_one_line_without_a_secret(tmp_path: Path, url: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        checked_url(url)
    with pytest.raises(InvalidSetting, match=rf"setting history_url: .*{told}") as refusal:
        load(tmp_path, f'history_url = "{url}"\n')
    assert "\n" not in str(refusal.value)
    assert "hush" not in str(refusal.value)


@pytest.mark.parametrize(
    "value", ['"hush"', "[1, 2]", '{ aws_secret_access_key = ["hush"] }', '{ AWS_S3_ALLOW_UNSAFE_RENAME = "true" }']
)
def test_options_that_are_refused_do_not_show(tmp_path: Path, value: str) -> None:
    with pytest.raises(InvalidSetting, match=r"setting history_options.*not shown") as refusal:
        load(tmp_path, f"history_options = {value}\n")
    assert "hush" not in str(refusal.value)


def test_what_lets_nodes_overwrite_each_other_is_refused() -> None:
    for name in ("aws_s3_allow_unsafe_rename", "ALLOW_UNSAFE_RENAME"):
        with pytest.raises(ValueError, match=f"{name.lower()} would let nodes overwrite each other's rows"):
            checked_options({name: SecretStr("true")})
        assert checked_options({name: SecretStr("false")})


def test_options_come_from_the_environment_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORESHOCK_HISTORY_URL", "s3://bucket/history/")
    monkeypatch.setenv("FORESHOCK_HISTORY_OPTIONS__AWS_SECRET_ACCESS_KEY", "hush")
    monkeypatch.setenv("FORESHOCK_HISTORY__ERRORS_DAYS", "7")
    settings = load_settings()
    assert settings.history_url == "s3://bucket/history"
    assert settings.history_options["aws_secret_access_key"].get_secret_value() == "hush"
    assert settings.history.days()["errors"] == 7


def test_check_config_prints_no_secret(tmp_path: Path) -> None:
    config = tmp_path / "foreshock.toml"
    config.write_text('history_url = "s3://bucket"\n[history_options]\naws_secret_access_key = "hush"\n', encoding="utf-8")
    printed = CliRunner().invoke(app, ["check-config", "--config", str(config), "--json"])
    assert printed.exit_code == 0
    assert json.loads(printed.stdout)["history_options"] == {"aws_secret_access_key": "**********"}
    assert "hush" not in printed.output


@pytest.mark.parametrize(("days", "refused"), [(0, False), (59, True), (60, False)])
def test_what_training_reads_is_kept(tmp_path: Path, days: int, refused: bool) -> None:
    text = f"[history]\nfacts_days = {days}\n"
    if not refused:
        load(tmp_path, text)
        return
    with pytest.raises(InvalidSetting, match=r"history\.facts_days must be 0 or >= models\.history_days \(60\).*it is 59"):
        load(tmp_path, text)
