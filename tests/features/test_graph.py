"""Edges between services."""

from __future__ import annotations

import numpy as np
import pytest

from features import graph as graph_module
from features.graph import Graph, resolve


@pytest.mark.parametrize(
    ("peer", "service"),
    [
        ("payment", "payment"),
        ("payment:8080", "payment"),
        ("payment.shop.svc.cluster.local:80", "payment"),
        ("http://payment.shop/charge", "payment"),
        ("pay.ment", "pay.ment"),
        ("bank.example:443", "bank.example:443"),
    ],
)
def test_address_means_the_service_it_names(peer: str, service: str) -> None:
    assert resolve(peer, {"payment", "pay.ment"}) == service


def test_calls_add_up_and_fade() -> None:
    graph = Graph(fade_ticks=10.0)
    graph.add("a", "web", "cart", 4.0, tick=0)
    graph.add("a", "web", "cart", 1.0, tick=10)
    rows = {("a", "web"): 0, ("a", "cart"): 1}
    assert graph.arrays(10, rows)[2].tolist() == pytest.approx([1.0 + 4.0 / np.e])
    assert graph.arrays(200, rows)[2].tolist() == []


def test_edges_lead_only_to_services_of_the_tenant() -> None:
    graph = Graph()
    graph.add("a", "web", "cart", 1.0, tick=0)
    graph.add("a", "web", "web", 1.0, tick=0)
    graph.add("a", "web", "bank:443", 1.0, tick=0)
    graph.add("b", "web", "cart", 1.0, tick=0)
    callers, callees, _ = graph.arrays(0, {("a", "web"): 0, ("a", "cart"): 1, ("b", "web"): 2})
    assert (callers.tolist(), callees.tolist()) == ([0], [1])


def test_edge_that_was_quiet_for_longest_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_module, "_MAX_EDGES", 2)
    graph = Graph()
    for callee in ("x", "y", "x", "z"):
        graph.add("a", "web", callee, 1.0, tick=0)
    assert [callee for _, _, callee in graph.edges] == ["x", "z"]


def test_a_tenant_with_many_edges_takes_none_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_module, "_MAX_TENANT_EDGES", 3)
    graph = Graph()
    graph.add("b", "web", "cart", 1.0, tick=0)
    for number in range(20):
        graph.add("a", "web", f"s{number}", 1.0, tick=1)
    assert [edge for edge in graph.edges if edge[0] == "b"] == [("b", "web", "cart")]
    assert [callee for tenant, _, callee in graph.edges if tenant == "a"] == ["s17", "s18", "s19"]


def test_edges_of_all_tenants_together_are_bounded_after_a_restart_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_module, "_MAX_EDGES", 4)
    graph = Graph()
    graph.edges = {("a", "web", f"s{number}"): (1.0, 0) for number in range(4)}
    for tenant in "bcd":
        graph.add(tenant, "web", "cart", 1.0, tick=1)
    assert list(graph.edges) == [("a", "web", "s3"), *((tenant, "web", "cart") for tenant in "bcd")]
