"""A client goes to another server when the one at hand stores nothing for long; elections of leaders are no reason."""

from __future__ import annotations

import asyncio
import itertools
import random
from urllib.parse import urlparse

import pytest
from nats.aio.client import Client, Server

from app.store.jetstream_contact import Contact


class Leaving(Client):
    """A client that counts how often it is told to leave its server; it never had one."""

    def __init__(self) -> None:
        super().__init__()
        self.left = 0

    async def force_reconnect(self) -> None:
        self.left += 1


@pytest.fixture
def client() -> Leaving:
    return Leaving()


def fail(contact: Contact, client: Leaving, now: list[float], times_s: list[float]) -> list[int]:
    """Let calls fail at some times and return how often the client had left its server after each."""

    async def run() -> list[int]:
        counts = list[int]()
        for now[0] in times_s:
            await contact.failed(client)
            counts.append(client.left)
        return counts

    return asyncio.run(run())


def test_it_leaves_once_nothing_was_stored_for_three_seconds_and_then_ever_less_often(client: Leaving) -> None:
    now = [0.0]
    contact = Contact(lambda: now[0])
    assert fail(contact, client, now, [0.0, 2.9, 3.0, 3.1, 8.9, 9.0, 20.9, 21.0]) == [0, 0, 1, 1, 1, 2, 2, 3]
    assert fail(contact, client, now, [21.0 + 24.0 * n for n in range(1, 4)]) == [4, 5, 6], "every 24 s at most"


def test_what_is_stored_speaks_for_the_server(client: Leaving) -> None:
    now = [0.0]
    contact = Contact(lambda: now[0])
    assert fail(contact, client, now, [0.0, 2.9]) == [0, 0]
    contact.stored()
    assert fail(contact, client, now, [5.0, 7.9, 8.0]) == [0, 0, 1]


@pytest.mark.parametrize("n", [1, 2, 3])
def test_no_server_is_tried_twice_in_a_row_where_there_is_another(n: int) -> None:
    contact = Contact(rng=random.Random(1))
    servers = [Server(urlparse(f"nats://127.0.0.1:{port}")) for port in range(1, n + 1)]
    chosen = [contact.choose(servers, {})[0].uri.netloc for _ in range(200)]
    assert set(chosen) == {server.uri.netloc for server in servers}
    assert n == 1 or all(one != other for one, other in itertools.pairwise(chosen))


def test_a_server_that_failed_waits_a_moment() -> None:
    contact = Contact()
    server = Server(urlparse("nats://127.0.0.1:1"))
    assert contact.choose([server], {}) == (server, 0.0)
    server.reconnects = 1
    assert contact.choose([server], {})[1] > 0.0
