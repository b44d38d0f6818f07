"""The address of a request is that of its connection, unless a trusted proxy says otherwise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.edge.addresses import Addresses

PROXIED = Addresses(["10.0.0.0/8", "2001:db8:ffff::/48", "192.0.2.1"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("203.0.113.9", ["198.51.100.7"], "203.0.113.9"),  # anybody can write the header
        ("10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["1.2.3.4, 198.51.100.7"], "198.51.100.7"),  # 1.2.3.4 was written by the client itself
        ("10.0.0.1", ["1.2.3.4", "198.51.100.7, 192.0.2.1"], "198.51.100.7"),
        ("10.0.0.1", ["198.51.100.7:51234"], "198.51.100.7"),
        ("10.0.0.1", ["[2001:db8:1:2:3:4:5:6]:443"], "2001:db8:1:2::/64"),
        ("2001:db8:ffff::1", ["198.51.100.7"], "198.51.100.7"),
        ("::ffff:10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["unknown"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7, unknown"], "10.0.0.1"),  # what is left of something unreadable is not believed
        ("10.0.0.1", ["10.0.0.2, 10.0.0.3"], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["1" * 100_000], "10.0.0.1"),
        ("fe80::1%eth0", [], "fe80::/64"),
        ("", [], ""),
    ],
)
def test_only_a_trusted_proxy_is_believed(peer: str, forwarded: list[str], found: str) -> None:
    assert PROXIED.of(peer, forwarded) == found


def test_without_trusted_proxies_nobody_is_believed() -> None:
    assert Addresses([]).of("10.0.0.1", ["198.51.100.7"]) == "10.0.0.1"
    assert not Addresses([]).trusts("10.0.0.1")


@given(st.text(max_size=80), st.lists(st.text(max_size=80), max_size=4))
def test_no_header_and_no_peer_is_too_odd(peer: str, forwarded: list[str]) -> None:
    assert len(PROXIED.of(peer, forwarded)) <= 64


def test_a_network_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="host bits"):
        Addresses(["10.0.0.1/8"])
