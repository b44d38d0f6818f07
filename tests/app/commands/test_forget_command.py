"""The command that forgets, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.commands.forget_command import forget
from features.errors import InvalidSetting, InvalidValue
from tests.app.ingest.requests import a_log, as_json, logs
from tests.nodes import run_node, settings_in


def test_it_says_what_it_did(tmp_path: Path) -> None:
    with run_node(tmp_path) as running:
        body = as_json(logs(a_log(attributes={"user.id": "cust-4711"})))
        assert running.post("logs", body, x_scope_orgid="acme").status_code == 200
        running.tick()
    result = CliRunner().invoke(
        app, ["forget", "--attribute", "user.id=cust-4711", "--data", str(tmp_path), "--json"], catch_exceptions=False
    )
    report = json.loads(result.stdout)
    assert (report["entries"], report["history"]) == (1, 1)
    _, table = forget(settings_in(tmp_path), "acme", None)
    assert "forgot tenant acme: 1 entries" in table
    assert "backups are not changed" in table


@pytest.mark.parametrize(("tenant", "attribute", "got"), [(None, None, "none"), ("acme", "a=b", "both")])
def test_one_of_both_must_be_given(tenant: str | None, attribute: str | None, got: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match=f"exactly one .* got {got}"):
        forget(settings_in(tmp_path), tenant, attribute)


def test_an_attribute_needs_a_value_and_state_and_history_must_lie_in_the_folder(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="must be name=value"):
        forget(settings_in(tmp_path), None, "user.id")
    with pytest.raises(InvalidSetting, match="on a cluster"):
        forget(settings_in(tmp_path, nats_url="nats://127.0.0.1:1"), "acme", None)
    with pytest.raises(InvalidSetting, match="history must lie in the data folder"):
        forget(settings_in(tmp_path, history_url="s3://bucket/history"), "acme", None)
    (tmp_path / "moved.json").write_text('{"to": "nats://n1", "at": "2026-11-29"}')
    with pytest.raises(InvalidSetting, match="was moved there"):
        forget(settings_in(tmp_path), "acme", None)
