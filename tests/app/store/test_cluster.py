"""What a node asks before it trusts the store of a cluster."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Generator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from app.store import jetstream_link
from app.store.cluster import ask_servers, join_cluster, open_cluster
from app.store.jetstream_link import Link
from app.telemetry import Telemetry
from features.errors import DataInUse, InvalidSetting, StoreFailed
from tests.cluster.servers import BINARY, Servers, free_port, until_listening
from tests.nodes import settings_in, until


@pytest.fixture
def unsynced(tmp_path: Path) -> Generator[Servers]:
    started = Servers(tmp_path, 1, sync="2m")
    yield started
    started.close()


def test_a_server_that_does_not_write_through_is_refused_unless_told_by_name(tmp_path: Path, unsynced: Servers) -> None:
    with pytest.raises(InvalidSetting, match="does not write through: set sync_interval: always"):
        ask_servers(unsynced.monitors, allow_unsynced=False)
    over = {"nats_url": unsynced.urls[0], "cluster__replicas": 1, "cluster__partitions": 2, "cluster__streams": 1}
    settings = settings_in(tmp_path / "data", **over, cluster__allow_unsynced=True)
    store = open_cluster(settings, lambda: None, Telemetry())  # type: ignore[arg-type, return-value]
    with pytest.raises(DataInUse):
        open_cluster(settings, lambda: None, Telemetry())  # type: ignore[arg-type, return-value]
    store.close()
    open_cluster(settings, lambda: None, Telemetry()).close()  # type: ignore[arg-type, return-value]


def test_servers_that_nobody_can_ask_are_refused() -> None:
    with pytest.raises(InvalidSetting, match=r"cluster\.monitor_urls must name"):
        ask_servers((), allow_unsynced=False)
    with pytest.raises(InvalidSetting, match=r"http://127\.0\.0\.1:9 does not answer"):
        ask_servers(["http://127.0.0.1:9"], allow_unsynced=False)


def test_a_node_starts_while_a_server_is_down_and_says_whom_it_could_not_ask(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    running = Servers(tmp_path, 1)
    hanging = socket.create_server(("127.0.0.1", 0))  # as one that is stopped: the connection is made, and nothing answers
    try:
        up, hangs = running.monitors[0], f"http://127.0.0.1:{hanging.getsockname()[1]}"
        with pytest.raises(InvalidSetting, match=r"more than half of 2 must answer, got 1"):
            ask_servers([up, "http://127.0.0.1:9"], allow_unsynced=False)
        began = time.monotonic()
        ask_servers([hangs, up, f"{up}/"], allow_unsynced=False)
        assert time.monotonic() - began < 10.0
        assert hangs in caplog.text
        assert f"{up} " not in caplog.text
    finally:
        hanging.close()
        running.close()


def test_one_of_most_that_does_not_write_through_is_refused(tmp_path: Path, unsynced: Servers) -> None:
    (tmp_path / "synced").mkdir()
    running = Servers(tmp_path / "synced", 1)
    try:
        with pytest.raises(InvalidSetting, match="does not write through"):
            ask_servers([running.monitors[0], unsynced.monitors[0], "http://127.0.0.1:9"], allow_unsynced=False)
    finally:
        running.close()


def test_an_address_that_is_none_is_refused_by_the_setting() -> None:
    with pytest.raises(InvalidSetting, match=r"setting cluster\.monitor_urls: http://\[nowhere"):
        ask_servers(["http://[nowhere"], allow_unsynced=False)


def test_a_server_that_only_starts_is_asked_again() -> None:
    port, telemetry = free_port(), Telemetry()
    answers = {"config": {"sync_always": True}}

    class Monitor(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(answers).encode())

    def serve_late() -> None:
        until(lambda: telemetry.value("calls", target="monitor 0", outcome="failed") >= 1, "the first question")
        with HTTPServer(("127.0.0.1", port), Monitor) as server:
            server.timeout = 20.0
            server.handle_request()

    late = threading.Thread(target=serve_late)
    late.start()
    ask_servers([f"http://127.0.0.1:{port}"], False, telemetry)
    late.join()
    assert telemetry.value("retries", target="monitor 0") >= 1


class Issuer:
    """A key that signs tokens, as `nsc` keeps it."""

    def __init__(self, kind: int) -> None:
        nkeys = pytest.importorskip("nkeys")
        self.seed = nkeys.encode_seed(os.urandom(32), kind)
        self.key = nkeys.from_seed(bytearray(self.seed))
        self.name = self.key.public_key.decode()

    def token(self, about: str, what: dict[str, Any]) -> str:
        claims = {"jti": "x", "iat": 1, "iss": self.name, "name": what["type"], "sub": about, "nats": {"version": 2, **what}}
        head, body = (
            base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
            for part in ({"typ": "JWT", "alg": "ed25519-nkey"}, claims)
        )
        signed = base64.urlsafe_b64encode(self.key.sign(head + b"." + body)).rstrip(b"=")
        return b".".join((head, body, signed)).decode()


def test_servers_that_want_credentials_let_in_who_has_them_and_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator, account, user = (Issuer(kind) for kind in (14 << 3, 0, 20 << 3))
    unlimited = dict.fromkeys(("subs", "conn", "leaf", "imports", "exports", "data", "payload"), -1)
    token = account.token(user.name, {"type": "user", "subs": -1, "data": -1, "payload": -1})
    port = free_port()
    (tmp_path / "server.conf").write_text(
        f"listen: 127.0.0.1:{port}\noperator: {operator.token(operator.name, {'type': 'operator'})}\nresolver: MEMORY\n"
        f"resolver_preload: {{ {account.name}: {operator.token(account.name, {'type': 'account', 'limits': unlimited})} }}\n"
    )
    file = tmp_path / "node.creds"
    file.write_text(
        f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{user.seed.decode()}\n------END USER NKEY SEED------\n"
    )
    monkeypatch.setattr(jetstream_link, "_PATIENCE_S", 2.0)
    server = subprocess.Popen([BINARY, "-c", tmp_path / "server.conf", "-l", tmp_path / "log"])
    try:
        until_listening(port)
        address = f"nats://127.0.0.1:{port}"
        with closing(Link({"servers": [address], "user_credentials": str(file)})) as link:
            assert link.client.is_connected
        with pytest.raises(StoreFailed, match="Authorization Violation"):
            Link({"servers": [address]})
    finally:
        server.kill()
        server.wait()
    assert not [thread for thread in threading.enumerate() if thread.name == "nats"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, r"none\.creds cannot be read"),
        ("SECRET", r"none\.creds must hold a NATS USER JWT, as nsc writes it"),
        ("-----BEGIN NATS USER JWT-----\nSECRET\n", r"none\.creds must hold a USER NKEY SEED"),
    ],
)
def test_credentials_that_are_none_are_named_and_not_shown(tmp_path: Path, text: str | None, told: str) -> None:
    pytest.importorskip("nkeys")
    file = tmp_path / "none.creds"
    if text is not None:
        file.write_text(text)
    over = {"nats_url": "nats://127.0.0.1:9", "cluster__credentials": file, "cluster__allow_unsynced": True}
    with pytest.raises(InvalidSetting, match=rf"setting cluster\.credentials: .*{told}") as refusal:
        join_cluster(settings_in(tmp_path, **over), lambda: None, Telemetry())  # type: ignore[arg-type, return-value]
    assert "SECRET" not in str(refusal.value)
