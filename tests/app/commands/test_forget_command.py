"""The command that forgets, and what it refuses."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.auth.audit import AuditLog
from app.cli import app
from app.clock import utc_now
from app.commands.forget_command import forget
from app.history.delta import DeltaHistory
from app.main import history_place
from app.opening import open_alone
from app.store import jetstream_rewrite
from features.errors import InvalidSetting, InvalidValue, StoreFailed
from tests.app.ingest.requests import a_log, as_json, logs
from tests.families import a_cluster
from tests.nodes import run_node, settings_in
from tests.object_store import object_store


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


def test_an_attribute_needs_a_value_and_the_folder_must_be_the_nodes(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="must be name=value"):
        forget(settings_in(tmp_path), None, "user.id")
    (tmp_path / "moved.json").write_text('{"to": "nats://n1", "at": "2026-11-29"}')
    with pytest.raises(InvalidSetting, match="was moved there"):
        forget(settings_in(tmp_path), "acme", None)


def test_history_under_a_url_is_changed_too_and_what_is_beyond_reach_is_said(tmp_path: Path) -> None:
    store = object_store()
    options = {f"history_options.{name}": value for name, value in store.options.items()}
    for url in (f"file://{tmp_path}/shared", store.place()):
        over: dict[str, Any] = {"history_url": url, **(options if url.startswith("s3") else {})}
        folder = tmp_path / url[:2]
        with run_node(folder, **over) as running:
            body = as_json(logs(a_log(attributes={"user.id": "cust-4711"})))
            for tenant in ("acme", "other"):
                assert running.post("logs", body, x_scope_orgid=tenant).status_code == 200
            running.tick()
            running.tick()
        settings = settings_in(folder, **over)
        history = DeltaHistory(*history_place(settings))
        assert len(history.read("errors", tenant="acme")) == 1
        report, table = forget(settings, None, "user.id=cust-4711")
        assert report["history"] == 2
        assert "cust-4711" not in repr(history.read("errors").to_pylist())
        report, table = forget(settings, "acme", None)
        assert report["history"] > 0
        assert {row["tenant"] for name in ("errors", "windows") for row in history.read(name).to_pylist()} == {"other"}
        assert ("earlier versions of objects" in table) == url.startswith("s3")


@pytest.mark.cluster
def test_where_putting_back_fails_the_reason_is_told_and_the_next_call_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(jetstream_rewrite, "WATCH_S", 1.0)  # nobody else is at it here
    over: dict[str, Any] = a_cluster()
    settings = settings_in(tmp_path, **over)
    with closing(open_alone(settings)) as store:
        store.documents.put("errors", "acme/1", b"{}")

    def away(_link: object, name: str) -> None:
        raise StoreFailed(f"stream {name}: the servers n2 did not take part")

    with monkeypatch.context() as patched:
        patched.setattr(jetstream_rewrite, "_await_all", away)
        with pytest.raises(StoreFailed, match="n2 did not take part"):
            forget(settings, "acme", None)
    assert "the audit log does not say that it was refused" in caplog.text
    report, table = forget(settings, "acme", None)
    assert table.startswith("an earlier call that did not end was brought to its end first")
    assert report["documents"] == 0
    with closing(open_alone(settings)) as store:
        assert list(store.documents.items("errors")) == []
        assert [deed.outcome for deed in AuditLog(store.documents, utc_now, 86_400).deeds()] == ["done", "begun"]
