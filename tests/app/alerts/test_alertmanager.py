"""What Alertmanagers are told, and what a real one makes of it."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.alerts.alertmanager import Alertmanager, posted_alert
from app.alerts.contract import Notice
from app.alerts.webhook import delivery
from app.channel_settings import AlertmanagerSettings
from features.errors import NotDelivered, NoticeRefused, NotLetIn
from tests.inboxes import receiver
from tests.monitors import alertmanager
from tests.nodes import until

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
RISK = Notice("k1", True, {"alertname": "Risk", "service": "cart"}, {"probability": "0.61"}, starts_at=NOON)
TEXTS = st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=4)


def channel(*urls: str, **settings: Any) -> Alertmanager:
    return Alertmanager("am", AlertmanagerSettings.model_validate({"kind": "alertmanager", "urls": urls, **settings}))


def test_one_of_a_cluster_is_enough_and_all_are_told(caplog: pytest.LogCaptureFixture) -> None:
    with receiver() as one, receiver() as other:
        one.answers.append(500)
        channel(one.url, other.url).send([RISK])
        assert [len(one.requests), len(other.requests)] == [1, 1]
    assert f"{one.url} answered 500; another one of its cluster has the notice" in caplog.text


def test_a_member_that_is_away_is_not_waited_for_while_another_takes_it() -> None:
    now = [0.0]
    with receiver() as one, receiver() as other:
        table = {"kind": "alertmanager", "urls": [one.url, other.url]}
        told = Alertmanager("am", AlertmanagerSettings.model_validate(table), lambda: now[0])
        one.answers += [503, 503]
        for moment in (0.0, 59.0, 60.0, 61.0):
            now[0] = moment
            told.send([RISK])
        assert [len(one.requests), len(other.requests)] == [2, 4]
        other.answers.append(503)
        told.send([RISK])  # with nobody else there it is asked
        assert [len(one.requests), len(other.requests)] == [3, 5]


@pytest.mark.parametrize(
    ("first", "second", "kind"), [(401, 400, NotLetIn), (400, 400, NoticeRefused), (429, 503, NotDelivered)]
)
def test_of_what_all_say_the_hopeful_counts(first: int, second: int, kind: type[NotDelivered]) -> None:
    with receiver() as one, receiver() as other:
        one.answers.append(first)
        other.answers.append(second)
        with pytest.raises(NotDelivered) as raised:
            channel(one.url, other.url).send([RISK])
    assert (type(raised.value), raised.value.away) == (kind, False)


@pytest.mark.parametrize(("first", "second", "retryable"), [(400, 400, False), (400, 503, True)])
def test_none_that_takes_it_is_final_only_where_all_refuse(first: int, second: int, retryable: bool) -> None:
    with receiver() as one, receiver() as other:
        one.answers.append(first)
        other.answers.append(second)
        with pytest.raises(NotDelivered, match=rf"{one.url} answered {first}; .*{other.url} answered {second}") as raised:
            channel(one.url, other.url).send([RISK])
    assert raised.value.retryable == retryable
    assert isinstance(raised.value, NoticeRefused) != retryable


def test_who_sends_is_said_in_the_way_that_is_asked_for() -> None:
    with receiver() as there:
        channel(there.url).send([RISK])
        channel(there.url + "/prefix/", username="me", password="mine").send([RISK])
        channel(there.url, token="t0ken").send([RISK])
    assert [request.path for request in there.requests] == ["/api/v2/alerts", "/prefix/api/v2/alerts", "/api/v2/alerts"]
    basic = f"Basic {base64.b64encode(b'me:mine').decode()}"
    assert [request.headers.get("authorization") for request in there.requests] == [None, basic, "Bearer t0ken"]


def test_an_alert_ends_only_once_it_is_over() -> None:
    over = Notice("k", False, RISK.labels, starts_at=NOON, ends_at=NOON + timedelta(seconds=90), link="http://fs/alerts/k")
    assert "endsAt" not in posted_alert(RISK)
    assert posted_alert(over)["endsAt"] == "2026-03-02T12:01:30.000Z"
    assert posted_alert(over)["generatorURL"] == "http://fs/alerts/k"


@given(labels=TEXTS, annotations=TEXTS)
def test_names_are_those_that_every_alertmanager_takes(labels: dict[str, str], annotations: dict[str, str]) -> None:
    alert = posted_alert(Notice("k", True, labels, annotations, starts_at=NOON))
    for part in ("labels", "annotations"):
        found = alert[part]
        assert isinstance(found, dict)
        assert all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) and value for name, value in found.items())


ROUTING = """
route: {{receiver: hook, group_by: [alertname, tenant], group_wait: 100ms, group_interval: 200ms, repeat_interval: 1h}}
receivers: [{{name: hook, webhook_configs: [{{url: "{url}", send_resolved: true}}]}}]
"""


@pytest.mark.system("prometheus-alertmanager")
def test_a_real_alertmanager_holds_groups_and_resolves_our_alerts(tmp_path: Path) -> None:
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=2)
    labels = {"alertname": "Risk", "tenant": "shop"}
    said = {"summary": "61 % within 15 minutes", "lead_time": "11 min"}
    risks = [
        Notice(f"k-{service}", True, {**labels, "service": service}, said, starts_at=start, link=f"http://fs/{service}")
        for service in ("cart", "payment")
    ]
    with receiver() as hook, alertmanager(tmp_path, ROUTING.format(url=hook.url)) as address:
        there = channel(address)
        there.send(risks)
        there.send(risks)  # as long as it fires it is sent again, and stays the same alert
        alerts = httpx.get(f"{address}/api/v2/alerts").json()
        assert sorted(alert["labels"]["service"] for alert in alerts) == ["cart", "payment"]
        assert all(alert["annotations"] == said and alert["status"]["state"] == "active" for alert in alerts)
        assert {datetime.fromisoformat(alert["startsAt"]) for alert in alerts} == {start}
        assert {alert["generatorURL"] for alert in alerts} == {"http://fs/cart", "http://fs/payment"}
        (group,) = httpx.get(f"{address}/api/v2/alerts/groups").json()
        assert (group["labels"], len(group["alerts"])) == (labels, 2)
        until(lambda: len(hook.requests) == 1, "the notification of the group")
        cart, payment = risks
        there.send([Notice(cart.key, False, cart.labels, said, starts_at=start, ends_at=datetime.now(UTC))])
        until(lambda: len(hook.requests) == 2, "the notification that one is over")
        left = httpx.get(f"{address}/api/v2/alerts").json()
        assert [alert["labels"]["service"] for alert in left] == [payment.labels["service"]]
        told = hook.requests[1].json
        assert {alert["labels"]["service"]: alert["status"] for alert in told["alerts"]} == {
            "cart": "resolved",
            "payment": "firing",
        }
        ours = delivery("hook", risks, ("tenant",))
        assert {name: type(value) for name, value in ours.items()} == {name: type(value) for name, value in told.items()}
        assert [set(alert) for alert in json.loads(json.dumps(ours))["alerts"]] == [set(alert) for alert in told["alerts"]]


@pytest.mark.system("prometheus-alertmanager")
def test_a_real_alertmanager_says_why_it_refuses(tmp_path: Path) -> None:
    with (
        receiver() as hook,
        alertmanager(tmp_path, ROUTING.format(url=hook.url)) as address,
        pytest.raises(NoticeRefused, match=r"answered 400: .*at least one label"),
    ):
        channel(address).send([Notice("k", True, {}, starts_at=NOON)])
