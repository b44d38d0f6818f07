"""`foreshock tokens` over a folder that nobody holds and through a running node: the same words, and only hashes stay behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from app.cli import app
from app.commands.tokens_command import in_store, over_rest
from app.main import Node
from app.settings import Settings, load_settings
from features.errors import DataInUse, InvalidValue

PORTS = {f"server.{name}_port": 0 for name in ("otlp_http", "otlp_grpc", "api")}
COLLECTOR = ("--name", "collector", "--scope", "ingest", "--tenant", "shop")


def demanding(folder: Path) -> Settings:
    return load_settings(None, data=folder, **PORTS, **{"security.require_tokens": True, "dashboard.enabled": False})


def run(*arguments: object) -> tuple[str, str]:
    """Run a command and return what it printed, and what it told beside."""
    found = CliRunner().invoke(app, ["tokens", *map(str, arguments)], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.stdout, found.stderr


@pytest.fixture
def node(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Return the address of a node that demands tokens, and a token of an administrator."""
    settings = demanding(tmp_path)
    boss = run("create", "--data", tmp_path, "--name", "boss", "--scope", "admin", "--scope", "read", "--tenant", "*")[
        0
    ].strip()
    with closing(Node(settings)) as running:
        yield running.start_servers().api, boss


def test_a_new_token_is_alone_on_standard_output_and_only_its_hash_is_kept(tmp_path: Path) -> None:
    out, told = run("create", "--data", tmp_path, *COLLECTOR)
    assert out.startswith("fsk_")
    assert out.count("\n") == 1
    assert "shown this once" in told
    assert out.strip() not in told
    secret = out.strip().split("_", 2)[2].encode()
    assert [path for path in tmp_path.rglob("*") if path.is_file() and secret in path.read_bytes()] == []
    listed = json.loads(run("list", "--data", tmp_path, "--json")[0])["items"]
    assert [(item["name"], item["scopes"], item["valid"]) for item in listed] == [("collector", ["ingest"], True)]


def test_a_running_node_is_asked_and_refuses_what_was_revoked_at_once(node: tuple[str, str], tmp_path: Path) -> None:
    url, boss = node
    reader = run("create", "--url", url, "--token", boss, "--name", "r/1", "--scope", "read", "--tenant", "shop")[0].strip()

    def status(token: str) -> int:
        return httpx.get(f"{url}/api/v1/services", headers={"Authorization": f"Bearer {token}"}, timeout=30).status_code

    assert status(reader) == 200
    rotated = run("rotate", "--url", url, "--token", boss, "--overlap", "0", "r/1")[0].strip()
    assert (status(reader), status(rotated)) == (401, 200)
    assert "revoked" in run("revoke", "--url", url, "--token", boss, "r/1")[0]
    assert status(rotated) == 401
    assert "r/1" in run("list", "--url", url, "--token", boss)[0]
    with pytest.raises(DataInUse, match="is held by process"), in_store(demanding(tmp_path)):
        pass
    with over_rest(url, reader) as asked, pytest.raises(InvalidValue, match="answered 401: the token is not valid"):
        asked.all()
