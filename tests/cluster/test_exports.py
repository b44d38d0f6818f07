"""Two workers that share a tenant's services on one cluster send each service's probability once, also after partitions moved."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.cache.documents import prediction_document, prediction_key
from app.main import Node
from tests.api_builders import a_prediction
from tests.app.exports.test_otlp import points
from tests.families import a_cluster
from tests.inboxes import Receiver, receiver
from tests.nodes import settings_in, until

pytestmark = pytest.mark.cluster

PARTITIONS = frozenset(range(8))
SERVICES = {f"s{n}" for n in range(12)}


def sent(nodes: list[Node], to: Receiver) -> list[set[str]]:
    """Let both export, and return the services that each sent."""
    found: list[set[str]] = []
    for node in nodes:
        to.requests.clear()
        assert node.otlp_export.send()
        found.append({service for _, service, _ in points(to.requests)})
    return found


def test_each_service_is_sent_by_the_node_that_holds_its_partition(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    with receiver() as to, ExitStack() as stack:
        family = a_cluster()
        nodes: list[Node] = []
        for name in ("a", "b"):
            settings = settings_in(tmp_path / name, export__otlp_endpoint=to.url, **family)
            nodes.append(stack.enter_context(closing(Node(settings))))
            stack.callback(nodes[-1].otlp_export.close)
        for service in SERVICES:
            made = replace(a_prediction(service), as_of=now, expires_at=now + timedelta(hours=1))
            nodes[0].store.documents.put("predictions", prediction_key(made.series), prediction_document(made))
        until(lambda: all(len(node.chances.shown(99).heads) == len(SERVICES) for node in nodes), "what the other node wrote")
        for first in (frozenset({0, 1, 2}), frozenset({2, 3, 4, 5}), frozenset[int]()):
            for node, part in zip(nodes, (first, PARTITIONS - first), strict=True):
                node.worker.want(part)
            until(lambda first=first: settled(nodes, first), "both hold what they should")
            assert Counter(service for one in sent(nodes, to) for service in one) == Counter(SERVICES)


def settled(nodes: list[Node], first: frozenset[int]) -> bool:
    for node in nodes:
        node.worker.drain()
    return [node.worker.held for node in nodes] == [first, PARTITIONS - first]
