"""A node that others could reach does not start while it asks nobody who they are, unless it is told to."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from app.main import Node
from app.openness import refuse_open
from app.settings import load_settings
from features.errors import InvalidSetting

PORTS = {f"server.{name}_port": 0 for name in ("otlp_http", "otlp_grpc", "api")}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "foreshock.example.com", ""])
def test_an_open_address_is_refused_by_name_unless_something_guards_it(host: str) -> None:
    with pytest.raises(InvalidSetting, match=r"setting server.host.*security.require_tokens.*security.allow_open"):
        refuse_open(load_settings(None, **{"server.host": host}))
    for said in ("security.require_tokens", "security.allow_open"):
        refuse_open(load_settings(None, **{"server.host": host, said: True}))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_loopback_needs_nothing(host: str) -> None:
    refuse_open(load_settings(None, **{"server.host": host}))


def test_a_node_that_is_refused_has_done_nothing(tmp_path: Path) -> None:
    settings = load_settings(None, data=tmp_path / "data", **PORTS, **{"server.host": "0.0.0.0"})
    with pytest.raises(InvalidSetting, match=r"security.allow_open"), closing(Node(settings)) as node:
        node.start()
    assert not (tmp_path / "data" / "history").exists()


def test_an_open_node_that_is_told_to_starts(tmp_path: Path) -> None:
    open_node = {"server.host": "0.0.0.0", "security.allow_open": True, "dashboard.enabled": False}
    with closing(Node(load_settings(None, data=tmp_path, **PORTS, **open_node))) as node:
        assert node.start_servers().api.startswith("http://0.0.0.0:")
