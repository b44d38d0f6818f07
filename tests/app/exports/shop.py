"""A node with a forecast of a service that holds now, for tests of what leaves it."""

from __future__ import annotations

import time
from typing import Any

from features.series import WHOLE
from tests.app.ingest.requests import a_span, as_json, traces
from tests.nodes import TICK_NS, RunningNode

__all__ = ["forecast"]


def forecast(running: RunningNode, service: str = "cart") -> dict[str, float]:
    """Let a service be known for half an hour, until now; returns its probabilities by horizon."""
    for ticks in (28, 1, 1):
        assert running.post("traces", _spans(service, running.now_ns)).status_code == 200
        running.tick(ticks)
    found = running.get(f"/api/v1/predictions/{service}")
    assert (found["status"], found["operation"]) == ("prior", WHOLE)
    assert time.time_ns() - running.now_ns < 3 * TICK_NS, "the forecast still holds"
    return {name: chance["probability"] for name, chance in found["horizons"].items()}


def _spans(service: str, end_ns: int) -> bytes:
    times: dict[str, Any] = {"startTimeUnixNano": str(end_ns - 10**7), "endTimeUnixNano": str(end_ns)}
    return as_json(traces(a_span(**times), service=service))
