"""The shop's arrays say what its tables say."""

from __future__ import annotations

import numpy as np

from app.demo.shop import COMPONENTS, EDGES, OPERATIONS
from app.demo.topology import TOPOLOGY


def test_twelve_services_have_two_to_five_operations_and_two_or_three_instances() -> None:
    assert len(COMPONENTS) == 12
    for service, component in enumerate(COMPONENTS):
        assert 2 <= len(TOPOLOGY.operations_of(service)) <= 5
        assert component.instances in (2, 3)


def test_edges_are_sorted_by_caller_and_found_through_the_fan_out() -> None:
    first, count = TOPOLOGY.fan_out
    assert count.sum() == len(EDGES)
    for i, operation in enumerate(OPERATIONS):
        own = EDGES[first[i] : first[i] + count[i]]
        assert all(edge.caller == f"{operation.service} {operation.name}" for edge in own)


def test_the_call_graph_has_no_cycle_and_every_operation_is_reached() -> None:
    reached = TOPOLOGY.rate > 0
    for _ in range(6):
        reached = reached | np.isin(np.arange(len(OPERATIONS)), TOPOLOGY.ends[1][reached[TOPOLOGY.ends[0]]])
    assert reached.all()
    wave = np.arange(len(OPERATIONS))
    for _ in range(6):
        wave = np.unique(TOPOLOGY.ends[1][np.isin(TOPOLOGY.ends[0], wave)])
    assert len(wave) == 0


def test_every_service_gets_at_least_six_entries_on_an_average_minute() -> None:
    rate = TOPOLOGY.rate.copy()
    for _ in range(5):
        passed = np.bincount(TOPOLOGY.ends[1], rate[TOPOLOGY.ends[0]] * TOPOLOGY.edge_odds[0], minlength=len(rate))
        rate = TOPOLOGY.rate + passed
    assert (np.bincount(TOPOLOGY.service, rate) > 6).all()


def test_messages_are_never_fatal() -> None:
    assert (TOPOLOGY.edge_odds[1][TOPOLOGY.queued] == 0).all()
