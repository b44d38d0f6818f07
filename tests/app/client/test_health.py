"""Calls about the service itself, asked of a node."""

from __future__ import annotations

import httpx
import pytest

from app.client import Foreshock
from app.client.exchange import Request
from app.client.health import Health, ReadyOut


def test_a_node_says_that_it_lives_is_ready_and_who_it_is(foreshock: Foreshock) -> None:
    assert foreshock.livez()
    ready = foreshock.readyz()
    assert ready.ok
    assert ready.checks["log"].detail.startswith("8 partitions")
    nodes = foreshock.nodes()
    assert (nodes.items[0].partitions, nodes.unheld) == (list(range(8)), [])
    assert "foreshock_http_requests_total" in foreshock.metrics()
    assert foreshock.openapi()["openapi"] == "3.1.0"


def test_not_to_be_ready_is_an_answer() -> None:
    steps = Health.readyz.call()
    request = next(steps)
    assert isinstance(request, Request)
    assert 503 in request.accepts
    body = {"status": "not ready", "checks": {"log": {"ok": False, "detail": "gone"}}}
    with pytest.raises(StopIteration) as stop:
        steps.send(httpx.Response(503, json=body))
    found: ReadyOut = stop.value.value
    assert (found.ok, found.checks["log"].ok) == (False, False)
