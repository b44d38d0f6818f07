"""What webhooks say, and that a receiver can tell that it was us."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.alerts.contract import Notice
from app.alerts.posting import signature
from app.alerts.webhook import Webhook, delivery
from app.channel_settings import SignedWebhookSettings
from features.errors import InvalidSetting
from tests.house.sources import ROOT
from tests.inboxes import Receiver, receiver

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
LABELS = {"alertname": "Risk", "tenant": "shop"}
CART = Notice("k1", True, {**LABELS, "service": "cart"}, {"why": "errors rise"}, starts_at=NOON, link="http://fs:8318/a/k1")
OVER = Notice(
    "k2", False, {**LABELS, "service": "pay"}, {"why": "errors rise"}, starts_at=NOON, ends_at=NOON + timedelta(hours=1)
)
AT_S = 1_772_452_800
SECRETS = ("whsec_b2xkIHNlY3JldCBvZiBvdXJz", "a new secret of ours")


def hook(there: Receiver, *secrets: str, **settings: Any) -> Webhook:
    table = {"kind": "webhook", "url": there.url, "secrets": secrets or SECRETS[1:], **settings}
    return Webhook("hook", SignedWebhookSettings.model_validate(table), lambda: AT_S + 0.9)


def test_the_body_has_the_members_of_alertmanagers_version_4() -> None:
    assert delivery("hook", [CART, OVER], ("tenant", "alertname", "service")) == {
        "version": "4",
        "groupKey": 'hook:{tenant="shop", alertname="Risk"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "hook",
        "groupLabels": {"tenant": "shop", "alertname": "Risk"},
        "commonLabels": LABELS,
        "commonAnnotations": {"why": "errors rise"},
        "externalURL": "http://fs:8318",
        "alerts": [
            {
                "status": "firing",
                "labels": {**LABELS, "service": "cart"},
                "annotations": {"why": "errors rise"},
                "startsAt": "2026-03-02T12:00:00.000Z",
                "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": "http://fs:8318/a/k1",
                "fingerprint": "6ab9f1eb8f7d3388",
            },
            {
                "status": "resolved",
                "labels": {**LABELS, "service": "pay"},
                "annotations": {"why": "errors rise"},
                "startsAt": "2026-03-02T12:00:00.000Z",
                "endsAt": "2026-03-02T13:00:00.000Z",
                "generatorURL": "",
                "fingerprint": "015f7e6bc5aeaf48",
            },
        ],
    }
    assert delivery("hook", [OVER], ())["status"] == "resolved"


def documented() -> Callable[..., bool]:
    """Return the function of `docs/notifications.md` by which a receiver checks a signature."""
    page = (ROOT / "docs" / "notifications.md").read_text(encoding="utf-8")
    (source,) = [block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "def verified" in block]
    names: dict[str, Any] = {}
    exec(source, names)
    return cast("Callable[..., bool]", names["verified"])


def test_a_receiver_that_checks_as_documented_takes_ours_with_either_secret_and_nothing_else() -> None:
    verified = documented()
    with receiver() as there:
        hook(there, *SECRETS).send([CART])
        (request,) = there.requests
    for secret in SECRETS:
        assert verified(secret, request.headers, request.body, AT_S + 200)
    assert not verified("another secret", request.headers, request.body, AT_S)
    assert not verified(SECRETS[0], request.headers, request.body + b" ", AT_S)
    assert not verified(SECRETS[0], request.headers, request.body, AT_S + 301), "sent again later by somebody who listened"
    assert not verified(SECRETS[0], request.headers, request.body, AT_S - 301)
    for changed in ({"webhook-timestamp": str(AT_S + 10)}, {"webhook-id": "msg_other"}, {"webhook-signature": "v1,"}):
        assert not verified(SECRETS[0], {**request.headers, **changed}, request.body, AT_S)
    for name in ("webhook-timestamp", "webhook-id", "webhook-signature"):
        assert not verified(SECRETS[0], {key: v for key, v in request.headers.items() if key != name}, request.body, AT_S)


def test_a_replay_of_an_old_body_changes_nothing_at_a_receiver_that_does_as_documented() -> None:
    verified, taken, done = documented(), dict[str, float](), list[str]()

    def receive(headers: Mapping[str, str], body: bytes, now_s: float) -> None:
        if verified(SECRETS[1], headers, body, now_s) and headers["webhook-id"] not in taken:
            taken[headers["webhook-id"]] = now_s
            done.append(headers["webhook-id"])
        for old in [name for name, at in taken.items() if now_s - at > 600]:
            del taken[old]

    with receiver() as there:
        now = [float(AT_S)]
        table = {"kind": "webhook", "url": there.url, "secrets": SECRETS[1:]}
        channel = Webhook("hook", SignedWebhookSettings.model_validate(table), lambda: now[0])
        for states in ([CART], [CART], [replace(CART, firing=False, ends_at=NOON)]):
            channel.send(states)
            now[0] += 60
        requests = there.requests
    first, again, over = requests
    assert first.headers["webhook-id"] == again.headers["webhook-id"] != over.headers["webhook-id"]
    assert first.headers["webhook-signature"] != again.headers["webhook-signature"], "each try is signed with its own time"
    for later in (1, 100, 299, 301, 599, 601, 86_400):
        for request in requests:
            receive(request.headers, request.body, AT_S + later)
    assert done == [first.headers["webhook-id"], over.headers["webhook-id"]]


def test_what_is_said_again_has_the_same_id_in_other_words_too_and_another_state_another() -> None:
    with receiver() as there:
        channel = hook(there, headers={"Authorization": "Bearer t0ken"})
        channel.send([CART])
        channel.send([replace(CART, annotations={"why": "errors rise more"})])
        others = [replace(CART, firing=False), replace(CART, starts_at=NOON + timedelta(days=1)), OVER]
        for other in others:
            channel.send([other])
        first, second, *rest = [request.headers["webhook-id"] for request in there.requests]
    assert first == second
    assert len({first, *rest}) == 1 + len(others)
    assert {request.headers["authorization"] for request in there.requests} == {"Bearer t0ken"}
    assert {request.headers["content-type"] for request in there.requests} == {"application/json"}


def test_a_secret_that_only_looks_like_base64_is_refused_unshown() -> None:
    with receiver() as there, pytest.raises(InvalidSetting, match=r"channels.hook.secrets: .*Base64") as raised:
        hook(there, "whsec_not base64 at all!")
    assert "not base64" not in str(raised.value)


@given(
    body=st.binary(max_size=20), at=st.integers(0, 2**40), other=st.integers(0, 2**40), key=st.binary(min_size=1, max_size=8)
)
def test_a_signature_is_of_one_body_at_one_time(body: bytes, at: int, other: int, key: bytes) -> None:
    assert signature(key, "m", at, body) == signature(key, "m", at, body)
    assert (signature(key, "m", at, body) == signature(key, "m", other, body)) == (at == other)
    assert signature(key, "m", at, body) != signature(key, "m", at, body + b"x")
