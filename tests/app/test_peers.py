"""A node alone, and nodes of a cluster that come, go and refuse each other's key."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from app.main import Node
from app.peers import Alone
from features.errors import InvalidSetting
from tests.families import a_cluster
from tests.nodes import run_node, settings_in, until

ALL = frozenset(range(8))


def test_a_node_over_a_folder_is_alone_and_holds_everything(tmp_path: Path) -> None:
    with run_node(tmp_path) as running:
        peers = running.node.peers
        assert isinstance(peers, Alone)
        assert list(peers.others()) == []
        (state,) = peers.nodes().states
        assert (state.member.id, frozenset(state.member.held)) == (running.node.id, ALL)
        assert state.member.roles == ("ingest", "worker", "api")


@pytest.fixture
def cluster(tmp_path: Path) -> Generator[list[Node]]:
    """Three nodes over one cluster, of which none is started yet."""
    family = a_cluster()
    (tmp_path / "key").write_bytes(b"k" * 32)
    (tmp_path / "key").chmod(0o600)
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                closing(
                    Node(
                        settings_in(
                            tmp_path / name, features__tick_s=1, cluster__handover_s=30, signing_key=tmp_path / "key", **family
                        )
                    )
                )
            )
            for name in "abc"
        ]


def held(nodes: list[Node]) -> list[frozenset[int]]:
    return [node.worker.held for node in nodes]


def shared_out(nodes: list[Node]) -> bool:
    """Return whether every partition is held once, and nobody has much more than the others."""
    each = held(nodes)
    return sorted(n for part in each for n in part) == sorted(ALL) and all(len(part) <= 4 for part in each)


@pytest.mark.cluster
def test_nodes_share_the_partitions_and_one_that_stops_hands_its_own_over(cluster: list[Node]) -> None:
    for node in cluster:
        node.start()
    until(lambda: shared_out(cluster), "a share for each")
    assert {state.member.id for state in cluster[0].peers.nodes().states} == {node.id for node in cluster}
    leaver, *stayers = cluster
    leaver.close()
    until(lambda: sorted(n for part in held(stayers) for n in part) == sorted(ALL), "the partitions of the one that left")
    assert {node.telemetry.value("fenced") for node in cluster} == {0.0}, "nobody took anything from anybody"
    until(lambda: len(stayers[0].peers.nodes().states) == 2, "the end of its document")


@pytest.mark.cluster
def test_of_two_keys_the_later_nodes_is_refused(tmp_path: Path) -> None:
    family = a_cluster()
    with ExitStack() as stack:
        nodes = [stack.enter_context(closing(Node(settings_in(tmp_path / name, **family)))) for name in "ab"]
        nodes[0].start()
        until(lambda: len(nodes[0].worker.held) == 8, "the first node's partitions")
        nodes[1].start()
        with pytest.raises(InvalidSetting, match="copy one key file to every node"):
            until(lambda: nodes[1].check_alive() is not None, "the refusal")
        nodes[0].check_alive()


@pytest.mark.cluster
def test_a_stop_that_nobody_waits_for_ends_in_time(tmp_path: Path) -> None:
    with run_node(tmp_path, **a_cluster()) as running:
        assert running.node.worker.held == ALL
    assert not [thread for thread in threading.enumerate() if thread.name in ("peers", "worker")]


@pytest.mark.cluster
def test_a_stop_waits_for_no_end_of_a_tick_that_cannot_come(tmp_path: Path) -> None:
    with run_node(tmp_path, cluster__handover_s=600, **a_cluster()) as running:
        running.tick()
        assert running.node.worker.held == ALL
        began_s = time.monotonic()
    assert time.monotonic() - began_s < 60.0, "no clock runs, so that no tick ends"
