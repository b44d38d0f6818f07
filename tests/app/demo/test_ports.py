"""Ports that a process is told to listen on are free, each another one, and no connection gets them by chance."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.demo import ports
from app.demo.ports import free_ports
from features.errors import PartStopped


def test_ports_are_free_and_different() -> None:
    found = free_ports(50)
    assert len(set(found)) == 50
    with ExitStack() as held:
        for port in found:
            held.enter_context(socket.create_server(("127.0.0.1", port)))


def test_no_connection_is_given_one() -> None:
    given = Path("/proc/sys/net/ipv4/ip_local_port_range")
    first = int(given.read_text().split()[0]) if given.exists() else 32_768
    assert max(free_ports(50)) < first


def test_a_port_that_somebody_has_is_passed_over_and_none_left_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    (taken,) = free_ports(1)
    monkeypatch.setattr(ports, "_PORTS", range(taken, taken + 1))
    with (
        socket.create_server(("127.0.0.1", taken)),
        pytest.raises(PartStopped, match=f"1 ports from {taken} to {taken} must be free, got 0"),
    ):
        free_ports(1)
