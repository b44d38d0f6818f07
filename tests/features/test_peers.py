"""Whom errors say that they could not reach."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.peers import CATEGORIES, peers_of
from features.taxonomy import KINDS


@pytest.mark.parametrize(
    ("message", "peers"),
    [
        ("connection refused to db-1", {"db-1"}),
        ("dial tcp orders:5432: connect: connection refused", {"orders"}),
        ("Connection refused (payments.shop.svc:8080)", {"payments.shop.svc"}),
        ("GET https://api.bank.example.com/v1/pay failed: 503", {"api.bank.example.com"}),
        ("redis://:secret@cache-2:6379 is away", {"cache-2"}),
        ("jdbc:postgresql://db-1:5432/shop refused", {"db-1"}),
        ("10.0.0.7: no route to host", {"10.0.0.7"}),
        ("java.net.ConnectException: Connection refused: db-1/10.0.0.3:5432", {"10.0.0.3"}),
        ("connect to kafka-0.kafka:9092 timed out, then to kafka-1.kafka:9092", {"kafka-0.kafka", "kafka-1.kafka"}),
    ],
)
def test_a_peer_is_found_however_libraries_write_it(message: str, peers: set[str]) -> None:
    assert peers_of(message) == peers


@pytest.mark.parametrize(
    "message",
    [
        "connection refused",
        "connect to localhost:5432, 127.0.0.1:5432 or 0.0.0.0:80 failed",
        "at 12:30:45 the request took 1500 ms",
        "status:503 code:500 at line:42",
        "thrown from java.net.Socket, failed to re-connect",
        "lookup cache on 10.96.0.10:53: no such host",
        "request to payment timed out after 3 attempts",
        "",
    ],
)
def test_what_names_nobody_or_oneself_or_who_was_only_asked_for_a_name_is_no_peer(message: str) -> None:
    assert peers_of(message) == frozenset()


def test_attributes_name_the_peer_in_the_words_of_the_conventions() -> None:
    assert peers_of("timeout", {"server.address": "DB-1", "http.route": "/pay"}) == {"db-1"}
    assert peers_of("timeout", {"server.address": "localhost", "peer.service": "bank"}) == {"bank"}


@given(st.text(max_size=400))
def test_any_message_is_read(message: str) -> None:
    assert all(name and name == name.lower() for name in peers_of(message))


def test_the_categories_are_those_of_the_taxonomy() -> None:
    assert {kind.category for kind in KINDS.values()} >= CATEGORIES
