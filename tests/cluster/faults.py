"""What can befall a cluster. Each fault strikes one part or several; `Cluster.heal` undoes most, the rest undo themselves."""

from __future__ import annotations

import random
import resource
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime

from app.store.contract import Commit, Output
from app.store.jetstream import ClusterPlan, JetStreamStore, open_jetstream
from features.errors import Fenced, StoreFailed
from tests.cluster.load import request_of
from tests.cluster.nodes import Cluster, NodeProcess
from tests.cluster.session import Session

__all__ = ["FAULTS", "Fault", "Strike"]


@dataclass(frozen=True, slots=True)
class Strike:
    """What was struck.

    Parameters
    ----------
    target : str
        By name.
    gone : frozenset of str
        Nodes that must hold nothing until it is healed.
    hold_s : float
        Seconds until it is healed, where nothing is to be waited for.
    """

    target: str
    gone: frozenset[str] = frozenset()
    hold_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind of fault.

    Parameters
    ----------
    name : str
        As the table has it.
    strike : callable
        Does it and says what it struck.
    heal : callable
        Undoes it.
    nodes : int
        How many nodes there must be.
    weight : float
        How often it is drawn, beside others.
    """

    name: str
    strike: Callable[[Session, random.Random], Strike]
    heal: Callable[[Session], None] = field(default=lambda session: session.cluster.heal())
    nodes: int = 1
    weight: float = 1.0


def _node(session: Session, rng: random.Random) -> NodeProcess:
    return rng.choice(session.cluster.living)


def _kill_node(session: Session, rng: random.Random) -> Strike:
    node = _node(session, rng)
    node.kill()
    return Strike(node.name, frozenset({node.name}))


def _end_node(session: Session, rng: random.Random) -> Strike:
    node = _node(session, rng)
    node.terminate()
    return Strike(node.name, frozenset({node.name}))


def _kill_all_nodes(session: Session, _: random.Random) -> Strike:
    for node in session.cluster.nodes:
        node.kill()
    return Strike("all nodes", hold_s=1.0)


def _stop_node(session: Session, rng: random.Random) -> Strike:
    node = _node(session, rng)
    node.pause()
    return Strike(node.name, frozenset({node.name}), rng.choice((1.0, 4.0, 12.0)))


def _stop_node_for_a_minute(session: Session, rng: random.Random) -> Strike:
    node = _node(session, rng)
    node.pause()
    return Strike(node.name, frozenset({node.name}), 60.0)


def _part_node(session: Session, rng: random.Random) -> Strike:
    node, hold = _node(session, rng), rng.random() < 0.5
    node.part(hold=hold)
    return Strike(f"{node.name} {'held' if hold else 'cut'}", frozenset({node.name}), rng.choice((1.0, 5.0, 12.0)))


def _kill_server(session: Session, rng: random.Random) -> Strike:
    number = rng.randrange(session.cluster.shape.servers)
    session.cluster.servers.kill(number)
    return Strike(f"server {number}", hold_s=rng.choice((0.5, 4.0)))


def _kill_all_servers(session: Session, rng: random.Random) -> Strike:
    for number in range(session.cluster.shape.servers):
        session.cluster.servers.kill(number)
    return Strike("all servers", hold_s=rng.choice((0.0, 3.0)))


def _stop_server(session: Session, rng: random.Random) -> Strike:
    number = rng.randrange(session.cluster.shape.servers)
    session.cluster.servers.pause(number)
    return Strike(f"server {number}", hold_s=rng.choice((2.0, 8.0)))


def _part_server(session: Session, rng: random.Random) -> Strike:
    number, hold = rng.randrange(session.cluster.shape.servers), rng.random() < 0.5
    session.cluster.servers.cut_off(number, hold=hold)
    return Strike(f"server {number} {'held' if hold else 'cut'}", hold_s=rng.choice((3.0, 10.0)))


def _part_minority(session: Session, rng: random.Random) -> Strike:
    """Part a server and a node together from all others: what the node is sent there must not be acknowledged."""
    cluster = session.cluster
    number, node = rng.randrange(cluster.shape.servers), _node(session, rng)
    cluster.servers.cut_off(number)
    for other, link in enumerate(node.links):
        if other != number:
            link.cut()
    time.sleep(3.0)  # what its server and its connection still had is answered
    events, body = request_of("svc-60000", session.next_probe(), 2, cluster.shape.tick_s, time.time_ns())
    answer = session.load.post(node.ports["http"], body, timeout_s=15.0)
    session.load.ledger.leave(events)
    assert answer, f"{node.name} acknowledged what a minority of one server has"
    return Strike(f"{node.name} with server {number}: {answer}", frozenset({node.name}))


def _lose_acknowledgement(session: Session, rng: random.Random) -> Strike:
    node = _node(session, rng)
    before = sum(link.lost_bytes for link in node.links)
    for link in node.links:
        link.lose_answers_to(b"fs.log.")
    session.until(lambda: sum(link.lost_bytes for link in node.links) > before, f"{node.name} to lose an acknowledgement")
    return Strike(node.name, hold_s=rng.choice((0.5, 3.0)))


def _steal_and_offer(session: Session, rng: random.Random) -> Strike:
    """Take a partition over, let its owner take it back, then offer a batch of the earlier ownership: it must be refused whole."""
    cluster, partition = session.cluster, rng.randrange(session.cluster.shape.partitions)
    with closing(_opened(cluster)) as thief:
        began, now = time.monotonic(), time.time()
        head = thief.checkpoints.acquire(partition, "thief")
        session.until(lambda: session.revived() and session.resumed(began, now) is not None, "the owner to take it back")
        stale = Commit(partition, head.token, head.offset, {"stolen": b"1"}, [Output("predictions", "stolen", b"stolen")])
        try:
            thief.checkpoints.commit_all([stale])
        except Fenced:
            pass
        else:
            raise AssertionError(f"a stale batch of partition {partition} was taken")
    with closing(_opened(cluster)) as fresh:
        assert fresh.documents.get("predictions", "stolen") is None, "a document of a stale batch is there"
    return Strike(f"partition {partition}")


def _fill_disk(session: Session, rng: random.Random) -> Strike:
    """Let no write of a node to any file succeed (EFBIG), as on a disk without room."""
    node = _node(session, rng)
    assert node.process is not None
    _, hard = resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE, (0, hard))
    return Strike(node.name, hold_s=2.0 * session.cluster.shape.checkpoint_s)


def _empty_disk(session: Session) -> None:
    for node in session.cluster.nodes:
        if node.alive and node.process is not None:
            _, hard = resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
    session.cluster.heal()


def _roll(session: Session, _: random.Random) -> Strike:
    for node in session.cluster.nodes:
        node.terminate()
        node.tree = session.cluster.tree
        node.start()
        node.until_ready()
    return Strike(f"{len(session.cluster.nodes)} nodes")


def _add_node(session: Session, _: random.Random) -> Strike:
    node = session.cluster.add_node()
    node.until_ready()
    session.watch.look()
    return Strike(node.name)


def _remove_node(session: Session, _: random.Random) -> Strike:
    node = session.cluster.nodes[-1]
    node.terminate()
    session.cluster.nodes.pop()
    return Strike(node.name, frozenset({node.name}))


def _opened(cluster: Cluster) -> JetStreamStore:
    shape = cluster.shape
    plan, deadline = ClusterPlan(shape.partitions, shape.streams, min(shape.servers, 3)), time.monotonic() + 30.0
    while True:
        try:
            return open_jetstream({"servers": cluster.servers.urls}, plan, lambda: datetime.now(UTC))
        except StoreFailed:
            if time.monotonic() > deadline:
                raise


FAULTS = {
    fault.name: fault
    for fault in (
        Fault("kill -9 a node", _kill_node, weight=3.0),
        Fault("end a node and start it", _end_node),
        Fault("kill -9 all nodes", _kill_all_nodes),
        Fault("SIGSTOP a node", _stop_node, weight=2.0),
        Fault("SIGSTOP a node for a minute", _stop_node_for_a_minute, weight=0.25),
        Fault("part a node from all servers", _part_node, weight=2.0),
        Fault("kill -9 a server", _kill_server, weight=3.0),
        Fault("kill -9 all servers", _kill_all_servers),
        Fault("SIGSTOP a server", _stop_server),
        Fault("part a server from the others", _part_server, weight=2.0),
        Fault("part a node and a server from the others", _part_minority),
        Fault("lose an acknowledgement", _lose_acknowledgement, weight=2.0),
        Fault("offer a stale batch", _steal_and_offer),
        Fault("fill a node's disk", _fill_disk, _empty_disk),
        Fault("roll all nodes", _roll, weight=0.5),
        Fault("add a node", _add_node, nodes=2, weight=0.5),
        Fault("remove a node", _remove_node, nodes=3, weight=0.5),
    )
}
