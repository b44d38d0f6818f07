"""Edges between services, and the join of span ends that finds them."""

from __future__ import annotations

import json
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features import graph as graph_module
from features.graph import EdgeJoin, Graph, resolve

End = tuple[str, int, str, int]
"""Tenant, key, service, role."""


def match(join: EdgeJoin, *ends: End) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for tenant, key, service, role in ends:
        keys = np.array([key], np.uint64)
        found += join.match(tenant, keys, keys, [service], [role])
    return found


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_ends_meet_in_any_order(order: tuple[int, int, int]) -> None:
    ends = [("a", 2**63 + 7, "web", 0), ("a", 2**63 + 7, "cart", 1), ("a", 2**63 + 7, "mail", 1)]
    assert sorted(match(EdgeJoin(), *(ends[i] for i in order))) == [("web", "cart"), ("web", "mail")]


@given(
    ends=st.lists(
        st.tuples(st.just("a"), st.integers(0, 4), st.sampled_from(["web", "cart", "mail"]), st.integers(0, 1)), max_size=12
    ),
    cut=st.integers(0, 12),
)
def test_join_does_not_depend_on_how_requests_are_cut_nor_on_a_restart(ends: list[End], cut: int) -> None:
    keys = np.array([key for _, key, _, _ in ends], np.uint64)
    whole = EdgeJoin().match("a", keys, keys, [s for _, _, s, _ in ends], [r for _, _, _, r in ends])
    first, second = EdgeJoin(), EdgeJoin()
    found = match(first, *ends[:cut])
    second.restore(json.loads(json.dumps(first.snapshot())))
    assert second.snapshot() == first.snapshot()
    assert found + match(second, *ends[cut:]) == whole


def test_tenants_with_the_same_ids_do_not_meet() -> None:
    assert match(EdgeJoin(), ("a", 7, "web", 0), ("b", 7, "cart", 1)) == []


def test_service_that_calls_itself_is_no_edge() -> None:
    assert match(EdgeJoin(), ("a", 7, "web", 0), ("a", 7, "web", 1)) == []


def test_oldest_ends_are_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_module, "_MAX_ENDS", 2)
    join = EdgeJoin()
    match(join, *(("a", key, "web", 0) for key in range(3)), *(("a", key, "cart", 1) for key in range(10, 13)))
    assert match(join, ("a", 0, "mail", 1), ("a", 2, "mail", 1)) == [("web", "mail")]
    assert match(join, ("a", 11, "mail", 0), ("a", 12, "mail", 0)) == [("mail", "cart")]


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


def test_callees_of_one_caller_count_each_and_are_forgotten_with_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_module, "_MAX_ENDS", 3)
    join = EdgeJoin()
    match(join, ("a", 1, "mail", 1), *(("a", 2, f"s{number}", 1) for number in range(100)), ("a", 3, "cart", 1))
    assert sum(len(names) for names in join.callees.values()) <= 3
    assert match(join, ("a", 3, "web", 0)) == [("web", "cart")]
    again = EdgeJoin()
    again.restore(join.snapshot())
    match(again, *(("a", key, "s", 1) for key in range(10, 20)))
    assert [key for _, _, key in again.callees] == [17, 18, 19]


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
