"""`foreshock tokens` over a folder that nobody holds and through a running node: the same words, and only hashes stay behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from app.auth import AuditLog
from app.auth.tokens import BUCKET
from app.cli import app
from app.commands.tokens_command import in_store, over_rest, seconds_of
from app.main import Node, open_alone
from app.parts import utc_now
from app.settings import Settings, load_settings
from features.errors import DataInUse, ForeshockError, InvalidValue

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


def test_what_a_command_does_is_in_the_audit_log_also_where_it_is_refused(tmp_path: Path) -> None:
    settings = demanding(tmp_path)
    run("create", "--data", tmp_path, *COLLECTOR)
    with in_store(settings) as asked:
        first = asked.rotate("collector", 0.0)["token"]
        asked.revoke("collector")
        with pytest.raises(ForeshockError, match="collector"):
            asked.revoke("collector")
    assert first.startswith("fsk_")
    with closing(open_alone(settings)) as store:
        deeds = list(AuditLog(store.documents, utc_now, 1e6).deeds())
        assert store.documents.items(BUCKET)
    assert [(deed.action, deed.outcome) for deed in deeds] == [
        ("token.revoke", "refused"),
        ("token.revoke", "done"),
        ("token.rotate", "done"),
        ("token.create", "done"),
    ]
    assert {deed.object for deed in deeds} == {"/api/v1/tokens/collector"}
    assert all(deed.principal.startswith("command line, ") for deed in deeds)


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


def test_who_does_not_answer_is_named() -> None:
    with over_rest("http://127.0.0.1:1", "") as asked, pytest.raises(InvalidValue, match="does not answer"):
        asked.all()
    with pytest.raises(InvalidValue, match="--url must be an address"), over_rest("http://a:b", ""):
        pass


@pytest.mark.parametrize("text", ["", "h", "-1s", "1w", "1e3", "1 h", "9" * 30])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match="length of time"):
        seconds_of(text)
