"""What commands and notebooks do on a cluster beside a running node: they read and register, and take nothing over."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.folder import Folder
from app.main import Node
from app.settings import Settings
from features.errors import DataInUse
from tests.app.ingest.requests import a_span, as_json, traces
from tests.ensembles import add_version
from tests.families import a_cluster
from tests.nodes import counted, run_node, settings_in, until

pytestmark = pytest.mark.cluster


def config_of(settings: Settings, path: Path) -> Path:
    """Write what a command needs to find the cluster, and the key of its nodes."""
    cluster = {name: value for name, value in settings.cluster.model_dump(mode="json").items() if value is not None}
    lines = [f"{name} = {json.dumps(value)}" for name, value in cluster.items()]
    head = f"nats_url = {json.dumps(settings.nats_url)}\nsigning_key = {json.dumps(str(settings.signing_key))}\n"
    path.write_text(head + "[cluster]\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_models_are_chosen_and_registered_beside_a_running_node_that_keeps_its_partitions(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes(bytes(range(32)))
    key.chmod(0o600)
    family: dict[str, Any] = {**a_cluster(), "signing_key": key}
    ours, beside = tmp_path / "node", tmp_path / "beside"
    with run_node(ours, **family) as running:
        config = config_of(running.node.settings, tmp_path / "foreshock.toml")

        def told(*arguments: str) -> dict[str, Any]:
            answer = CliRunner().invoke(app, [*arguments, "--config", str(config), "--data", str(beside), "--json"])
            assert answer.exit_code == 0, answer.output
            return json.loads(answer.stdout)

        sent = 0

        def goes_on() -> None:
            nonlocal sent
            span = a_span(startTimeUnixNano=str(running.now_ns + sent), endTimeUnixNano=str(running.now_ns + 10**6 + sent))
            assert running.post("traces", as_json(traces(span, service="shop"))).status_code == 200
            sent += 1
            running.tick()
            running.node.check_alive()
            assert counted(running.node, "total", "shop") == sent

        goes_on()
        with closing(Node(settings_in(beside, **family))) as node:  # as `open_folder` does
            first, second = (add_version(node.registry("default"), hour) for hour in (1, 2))
        assert {item["id"] for item in told("models")["items"]} == {first, second}
        assert told("models", "promote", first)["alias"] == "champion"
        until(lambda: len(running.get("/api/v1/models")["items"]) == 2, "both versions")
        goes_on()
        assert running.get("/api/v1/predictions/shop")["model_version"] == first, "the node loads what another one signed"
        assert told("models", "promote", second)["id"] == second
        assert told("models", "rollback")["id"] == first
        goes_on()
        with pytest.raises(DataInUse):
            Folder(settings_in(ours, **family))
        shutil.copytree(ours / "history", beside / "history", dirs_exist_ok=True)
        with Folder(settings_in(beside, **family)) as folder:
            assert folder.newest().timestamp() * 10**9 == running.now_ns
            goes_on()
        for command in ("train", "backtest"):
            refused = CliRunner().invoke(app, [command, "--config", str(config), "--data", str(beside)])
            assert "incidents" in str(refused.exception), "it came as far as the history, which holds none"
        goes_on()
        assert running.metric("foreshock_faults_total", place="worker") == 0
