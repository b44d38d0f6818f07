"""A service that fails, from its spans to a notice at a receiver, an acknowledgement over REST, and the end."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.app.ingest.requests import a_span, as_json, traces
from tests.nodes import RunningNode, run_node, until
from tests.receivers import PostChannel, Received, receiver

ROUTES = [
    {"name": "truth", "on": "incident", "selector": {"service": "pay*"}, "shadow": False, "channels": ["post"]},
    {"name": "shadow", "on": "incident"},
]


@pytest.fixture
def received() -> Generator[Received]:
    with receiver(Received(answers=lambda number: 503 if number == 0 else 200)) as running:
        yield running


def send(node: RunningNode, service: str, failed: int) -> None:
    """Send a minute of 20 requests, some of which failed."""
    start, end = str(node.now_ns - 10**9), str(node.now_ns)
    codes = [2] * failed + [0] * (20 - failed)
    spans = [a_span(name="POST /", startTimeUnixNano=start, endTimeUnixNano=end, status={"code": code}) for code in codes]
    assert node.post("traces", as_json(traces(*spans, service=service))).status_code == 200


def minutes(node: RunningNode, n: int, failed: int) -> None:
    for _ in range(n):
        for service in ("payment", "web"):
            send(node, service, failed)
        node.tick()


def alerts(node: RunningNode, rule: str) -> list[dict[str, Any]]:
    return node.get(f"/api/v1/alerts?rule={rule}")["items"]


def test_an_alert_fires_is_delivered_acknowledged_and_resolved(tmp_path: Path, received: Received) -> None:
    with closing(PostChannel(received.url)) as post, run_node(tmp_path, channels=[post], alerts__routes=ROUTES) as node:
        minutes(node, 2, failed=0)
        assert alerts(node, "truth") == []
        minutes(node, 2, failed=15)
        until(lambda: len(received.notices) == 1, "the notice, at its second try")
        (alert,) = alerts(node, "truth")
        assert (alert["state"], alert["service"], alert["shadow"]) == ("firing", "payment", False)
        assert received.states() == [(alert["id"], True)]
        assert received.notices[0]["labels"]["alertname"] == "truth"
        told = node.get("/api/v1/alerts:explain?service=payment&at=" + alert["fired_at"])["routes"]
        assert [(one["route"], one["verdict"]) for one in told if one["route"] == "truth"] == [("truth", "fired")]

        taken = node.client.post(f"{node.served.api}/api/v1/alerts/{alert['id']}:acknowledge", json={"who": "ann"})
        assert taken.json()["state"] == "acknowledged"
        minutes(node, 1, failed=15)
        assert [one["state"] for one in alerts(node, "truth")] == ["acknowledged"]

        minutes(node, 4, failed=0)
        until(lambda: len(received.notices) == 2, "the notice that it is over")
        (alert,) = alerts(node, "truth")
        assert (alert["state"], alert["acknowledged_by"]) == ("resolved", "ann")
        assert alert["fired_at"] < alert["ended_at"]
        assert received.states() == [(alert["id"], True), (alert["id"], False)]

        # What the other route would have said is written down, of both services, and nobody was told.
        until(lambda: [one["state"] for one in alerts(node, "shadow")] == ["resolved"] * 2, "the ends of both")
        by_name = {item["name"]: item for item in node.get("/api/v1/alert-routes")["items"]}
        assert (by_name["shadow"]["lately"]["alerts"], by_name["shadow"]["lately"]["pages"]) == (2, 1)
        assert (by_name["truth"]["lately"]["alerts"], by_name["truth"]["lately"]["in_incident_within_hour"]) == (1, 1)
        assert node.metric("foreshock_notices_total", channel="post", outcome="failed") == 1.0
        assert node.metric("foreshock_notices_total", channel="post", outcome="delivered") == 2.0
        assert received.requests == 3
