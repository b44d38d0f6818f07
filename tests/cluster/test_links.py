"""Links do to bytes what their names say."""

from __future__ import annotations

import socket
import threading
from collections.abc import Generator
from contextlib import suppress

import pytest

from tests.cluster.links import Link, Links

WAIT_S = 0.3


@pytest.fixture
def link() -> Generator[Link]:
    """Return a link to a server that says everything back."""
    listener = socket.create_server(("127.0.0.1", 0))

    def echo(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while data := connection.recv(4096):
                connection.sendall(data)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=echo, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    links = Links()
    yield links.to(int(listener.getsockname()[1]))
    links.close()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def connected(link: Link) -> socket.socket:
    return socket.create_connection(("127.0.0.1", link.port), timeout=WAIT_S)


def test_what_is_said_comes_back(link: Link) -> None:
    with connected(link) as client:
        client.sendall(b"hello")
        assert client.recv(10) == b"hello"


def test_what_is_held_back_arrives_later(link: Link) -> None:
    with connected(link) as client:
        client.sendall(b"a")
        assert client.recv(10) == b"a"
        link.hold()
        client.sendall(b"b")
        with pytest.raises(TimeoutError):
            client.recv(10)
        with connected(link) as other:
            other.sendall(b"c")
            with pytest.raises(TimeoutError):
                other.recv(10)
            link.heal()
            client.settimeout(10.0)
            other.settimeout(10.0)
            assert client.recv(10) == b"b"
            assert other.recv(10) == b"c"


def test_what_is_cut_ends_and_begins_only_once_healed(link: Link) -> None:
    with connected(link) as client:
        client.sendall(b"a")
        assert client.recv(10) == b"a"
        link.cut()
        with suppress(ConnectionError):
            assert client.recv(10) == b""
    with connected(link) as client, suppress(ConnectionError):
        client.sendall(b"b")
        assert client.recv(10) == b""
    link.heal()
    test_what_is_said_comes_back(link)


def test_an_answer_is_lost_and_what_was_asked_arrived(link: Link) -> None:
    with connected(link) as client:
        client.sendall(b"hello")
        assert client.recv(10) == b"hello"
        link.lose_answers_to(b"secret")
        client.sendall(b"the secret word")
        with pytest.raises(TimeoutError):
            client.recv(10)
        assert link.lost_bytes == len(b"the secret word")
        link.heal()
        with suppress(ConnectionError):
            assert client.recv(10) == b""
    test_what_is_said_comes_back(link)
