"""A service that fails, told to every kind of channel that the settings name, among them a real Alertmanager."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from tests.app.test_node_alerts import minutes
from tests.inboxes import receiver
from tests.monitors import alertmanager
from tests.nodes import run_node, until

ROUTING = "{route: {receiver: none, group_by: [alertname]}, receivers: [{name: none}]}"
KINDS = ("alertmanager", "hook", "people")


@pytest.mark.system("prometheus-alertmanager")
def test_an_alert_reaches_alertmanager_a_webhook_and_people_and_is_over_at_all_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    route = {"name": "truth", "on": "incident", "selector": {"service": "pay*"}, "shadow": False, "channels": KINDS}
    with receiver() as hook, receiver() as people, alertmanager(tmp_path, ROUTING) as address:
        hook.answers.append(503)  # so that it has to be tried again
        channels = {
            "alertmanager": {"kind": "alertmanager", "urls": [address]},
            "hook": {"kind": "webhook", "url": hook.url, "secrets": ["a secret of ours"]},
            "people": {"kind": "apprise", "urls": [people.url.replace("http", "json", 1)]},
        }
        monkeypatch.setenv("FORESHOCK_CHANNELS", json.dumps(channels))
        with run_node(tmp_path / "data", alerts__routes=[route]) as node:
            node.node.start_alerts()
            minutes(node, 2, failed=0)
            minutes(node, 2, failed=15)
            until(lambda: len(hook.requests) >= 2 and len(people.requests) >= 1, "the notices")
            until(lambda: len(httpx.get(f"{address}/api/v2/alerts").json()) == 1, "the alert at Alertmanager")
            (alert,) = httpx.get(f"{address}/api/v2/alerts").json()
            assert (alert["labels"]["alertname"], alert["labels"]["service"]) == ("truth", "payment")
            assert hook.requests[0].headers["webhook-id"] == hook.requests[1].headers["webhook-id"]
            minutes(node, 5, failed=0)
            until(lambda: hook.requests[-1].json["status"] == "resolved", "the end at the webhook")
            until(lambda: httpx.get(f"{address}/api/v2/alerts").json() == [], "the end at Alertmanager")
            until(lambda: "[resolved]" in people.requests[-1].json["title"], "the end that people are told")
