"""Levels carry the names that each language's runtime uses."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.demo.gauges import metrics_of, readings
from app.demo.levels import LEVELS
from app.demo.simulate import Shop
from app.demo.topology import TOPOLOGY


@pytest.mark.parametrize(("service", "heap"), [("payment", "jvm.memory.used"), ("web", "v8js.memory.heap.used")])
def test_heap_is_named_after_the_runtime(service: str, heap: str) -> None:
    metrics = metrics_of(TOPOLOGY.services.index(service))
    assert metrics[0].name == heap
    assert len(metrics) == len(LEVELS)
    assert len({metric.name for metric in metrics}) == len(LEVELS)


def test_every_living_instance_is_read_and_no_dead_one() -> None:
    shop = Shop(1, 5.0, 24.0, datetime(2026, 1, 5, tzinfo=UTC))
    leak = next(e for e in shop.episodes if e.kind == "memory_leak")
    dead = {i for i, service in enumerate(TOPOLOGY.instance_service.tolist()) if service == leak.service}
    everyone = set(range(len(TOPOLOGY.instance_service)))
    assert {instance for instance, _, _ in readings(shop.minute(leak.onset))} == everyone
    assert {instance for instance, _, _ in readings(shop.minute(leak.dead[0][0]))} == everyone - dead
