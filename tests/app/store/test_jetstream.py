"""Opening the store of a cluster."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from app.store import jetstream_link
from features.errors import InvalidSetting, StoreFailed
from tests.app.store.jetstreams import PLAN, an_account, opened
from tests.cluster.servers import BINARY, Servers, free_port, until_listening


def test_a_cluster_made_with_other_partitions_or_streams_is_refused() -> None:
    account = an_account()
    opened(account).close()
    with pytest.raises(InvalidSetting, match="made with 4 partitions, got 8; they are fixed"):
        opened(account, replace(PLAN, partitions=8))
    with pytest.raises(InvalidSetting, match="made with 2 streams, got 1"):
        opened(account, replace(PLAN, streams=1))


@pytest.mark.parametrize("lost", ["FS_LOG_1", "FS_STATE"])
def test_a_stream_that_was_lost_is_not_made_again_beside_what_is_there(lost: str) -> None:
    account = an_account()
    store = opened(account)
    store.log.append(0, "a", b"1")
    link = store.documents._link  # pyright: ignore[reportPrivateUsage]
    assert link.call(link.api(f"STREAM.DELETE.{lost}"))["success"]
    store.close()
    with pytest.raises(StoreFailed, match=f"the streams {lost} are gone"):
        opened(account)


def test_more_replicas_than_servers_cannot_be_made() -> None:
    with pytest.raises(StoreFailed, match=r"stream FS_LOG_0 cannot be made: .*replicas"):
        opened(an_account(), replace(PLAN, replicas=3))


def test_fewer_replicas_than_asked_are_refused() -> None:
    account = an_account()
    opened(account).close()
    with pytest.raises(InvalidSetting, match="has 1 replicas, 3 are asked for"):
        opened(account, replace(PLAN, replicas=3))


def test_a_server_that_is_not_there_is_named() -> None:
    with pytest.raises(StoreFailed, match=r"no server of nats://127\.0\.0\.1:9"):
        opened(an_account(), servers="nats://127.0.0.1:9", max_reconnect_attempts=1, allow_reconnect=False)


def test_closing_twice_is_fine_and_then_nothing_is_written() -> None:
    store = opened(an_account())
    store.close()
    store.close()
    with pytest.raises(StoreFailed, match="closed"):
        store.documents.put("members", "a", b"1")


def test_a_cluster_that_is_away_is_let_go_of_and_whoever_waits_for_an_append_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jetstream_link, "_PATIENCE_S", 0.5)
    servers = Servers(tmp_path, 1)
    closed: list[bool] = []
    try:
        store = opened(an_account(), servers=servers.urls, user=None, password=None)
        store.closed = lambda: closed.append(True)
        servers.close()
        answers = [store.log.append_later([(1, "", b"x")]) for _ in range(3)]
        store.close()
        assert all(isinstance(answer.exception(0), StoreFailed) for answer in answers)
        assert closed == [True]
    finally:
        servers.close()


def test_servers_that_take_small_messages_only_are_refused(tmp_path: Path) -> None:
    port = free_port()
    with subprocess.Popen(
        [BINARY, "-js", "-sd", tmp_path / "data", "-a", "127.0.0.1", "-p", str(port), "-l", tmp_path / "log"]
    ) as server:
        try:
            until_listening(port)
            with pytest.raises(InvalidSetting, match="must be above 4194304, got 1048576"):
                opened(an_account(), servers=f"nats://127.0.0.1:{port}", user=None, password=None)
        finally:
            server.kill()


def test_servers_without_the_room_are_told_how_much_is_asked(tmp_path: Path) -> None:
    servers = Servers(tmp_path, disk="64MB")
    try:
        with pytest.raises(StoreFailed, match=r"no suitable peers for placement.*; it asks the servers for 671088640 bytes"):
            opened(an_account(), replace(PLAN, replicas=3, max_bytes=2**30), servers=servers.urls)
    finally:
        servers.close()
