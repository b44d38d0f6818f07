"""Calls about incidents, asked of a node."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.client import Foreshock, NotFound
from tests.inboxes import Receiver
from tests.nodes import RunningNode


def test_incidents_are_listed_with_what_was_predicted(foreshock: Foreshock, shop: RunningNode) -> None:
    rule = foreshock.incidents()
    rule = rule[rule["source"] == "rule"]
    assert list(rule["id"]) == ["i2", "i1", "i0"]
    assert set(rule["predicted_60min"]) == {0.34}
    assert list(foreshock.incidents(state="ended")["id"]) == ["i0"]
    hour_ago = datetime.fromtimestamp(shop.now_ns / 1e9, UTC) - timedelta(hours=1)
    assert list(foreshock.incidents(until=hour_ago, service="payment")["id"]) == ["i0"]


def test_an_incident_has_its_group_with_causes_and_plan(foreshock: Foreshock) -> None:
    group = foreshock.incident("i1").group
    assert group is not None
    assert (group.id, group.causes[0].service, group.plan[0].action) == ("g1", "payment", "Roll back to version 2.4.0")
    assert foreshock.group("g1") == group
    (listed,) = foreshock.groups(state="open", service="payment").to_dict("records")
    assert (listed["id"], listed["blast_radius_services"]) == ("g1", group.blast_radius.services)
    with pytest.raises(NotFound):
        foreshock.group("nobody")


def test_a_step_is_posted_once_the_receiver_has_it(foreshock: Foreshock, runbook: Receiver) -> None:
    posted = foreshock.post_step("i1", 1, who="ana")
    assert posted.receiver == runbook.url.removesuffix("/")
    with pytest.raises(NotFound, match="no step 99"):
        foreshock.post_step("i1", 99)


def test_alerts_of_ones_own_become_incidents(foreshock: Foreshock, shop: RunningNode) -> None:
    start = datetime.fromtimestamp(shop.now_ns / 1e9, UTC)
    alerts = [
        {"status": "firing", "labels": {"service": "catalog"}, "startsAt": start, "fingerprint": "a1"},
        {"status": "firing", "labels": {"alertname": "Watchdog"}, "startsAt": start, "fingerprint": "a2"},
    ]
    taken = foreshock.take_alerts(alerts)
    assert taken == foreshock.take_alerts(alerts)
    assert [one.fingerprint for one in taken.ignored] == ["a2"]
    assert foreshock.incident(taken.incidents[0]).source == "webhook"
