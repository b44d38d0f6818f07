"""What people are told, and that their addresses go nowhere else."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.alerts.apprise_channel import AppriseChannel, message_of
from app.alerts.contract import Notice
from app.channel_settings import AppriseSettings
from features.errors import InvalidSetting, NotDelivered
from tests.inboxes import Receiver, receiver

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
RISK = Notice(
    "k1", True, {"alertname": "Risk", "service": "cart", "operation": "GET /"}, {"why": "errors rise"}, starts_at=NOON
)
BOTH = Notice("k4", True, {"alertname": "Risk", "service": "mail"}, starts_at=NOON)
OVER = Notice("k2", False, {"alertname": "Risk", "service": "pay"}, starts_at=NOON, ends_at=NOON + timedelta(minutes=9))


def channel(*urls: str) -> AppriseChannel:
    return AppriseChannel("people", AppriseSettings.model_validate({"kind": "apprise", "urls": urls}))


def at(there: Receiver) -> str:
    return there.url.replace("http://", "json://")


def test_who_has_a_message_is_not_told_again_because_another_has_not() -> None:
    with receiver() as one, receiver() as other:
        told = channel(at(one), at(other))
        other.answers += [503, 503]
        for _ in range(2):
            with pytest.raises(NotDelivered, match=r"channel people: 1 of 2 not told: JSON \(address 1\): .*503"):
                told.send([RISK])
        told.send([RISK])
        assert [len(one.requests), len(other.requests)] == [1, 3]
        told.send([RISK])  # that is another time, not another try
        assert [len(one.requests), len(other.requests)] == [2, 4]


def test_who_has_a_page_is_not_told_again_while_others_lack_it_whatever_else_is_told_and_however_words_change() -> None:
    with receiver() as one, receiver() as other:
        told = channel(at(one), at(other))
        other.answers += [503] * 4
        for sent in ([RISK], [OVER], [replace(RISK, annotations={"why": "errors rise on"})], [RISK, BOTH]):
            with pytest.raises(NotDelivered):
                told.send(sent)
        bodies = [json.loads(request.body)["message"] for request in one.requests]
        assert [("cart" in body, "pay" in body, "mail" in body) for body in bodies] == [
            (True, False, False),
            (False, True, False),
            (False, False, True),
        ]
        told.send([RISK, BOTH])
        told.send([OVER])
        assert [len(one.requests), len(other.requests)] == [3, 6]


def test_what_a_way_of_apprise_fails_at_unforeseen_holds_no_other_address_up_and_tells_no_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> bool:
        raise ValueError("cannot parse http://127.0.0.1/hidden-token")

    monkeypatch.setattr("apprise.plugins.custom_xml.NotifyXML.send", fail)
    with receiver() as there:
        told = channel("xml://127.0.0.1/hidden-token", at(there))
        with pytest.raises(NotDelivered, match=r"1 of 2 not told: XML \(address 0\): ValueError: cannot parse") as raised:
            told.send([RISK])
        assert len(there.requests) == 1
    assert "hidden" not in f"{raised.value}{raised.value.__cause__}"
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


def test_nothing_goes_on_to_where_a_receiver_points_unless_the_address_says_so() -> None:
    with receiver() as elsewhere, receiver() as there:
        there.headers["location"] = f"{elsewhere.url}/other"
        there.answers += [307, 307]
        with pytest.raises(NotDelivered):
            channel(f"{at(there)}?+X-Token=hidden").send([RISK])
        assert elsewhere.requests == []
        channel(f"{at(there)}?redirect=yes").send([RISK])
        assert len(elsewhere.requests) == 1


def test_a_channel_is_away_only_when_none_of_its_addresses_is_there() -> None:
    with receiver() as one, receiver() as other:
        one.answers += [503, 503]
        other.answers += [503]
        told = channel(at(one), at(other))
        for away in (True, False):
            with pytest.raises(NotDelivered) as raised:
                told.send([RISK])
            assert raised.value.away == away


def test_a_page_that_is_longer_than_a_service_takes_comes_in_parts() -> None:
    long = [replace(RISK, key=f"k{n}", annotations={"why": f"reason-{n}-" + "x" * 900}) for n in range(64)]
    with receiver() as there:
        channel(at(there)).send(long)
        bodies = [json.loads(request.body)["message"] for request in there.requests]
        assert len(bodies) > 1
        assert max(map(len, bodies)) <= 32_768
        assert [n for n in range(64) if f"reason-{n}-" not in "".join(bodies)] == []
        channel(f"{at(there)}?overflow=truncate").send(long)
        assert len(there.requests) == len(bodies) + 1


def test_a_message_says_what_fires_first_and_how_many() -> None:
    title, text, kind = message_of([OVER, RISK])
    assert (title, kind.value) == ("[firing: 1] Risk: cart GET /", "failure")
    assert "over since 2026-03-02T12:09:00.000Z, began 2026-03-02T12:00:00.000Z" in text
    title, _, kind = message_of([OVER])
    assert (title, kind.value) == ("[resolved] Risk: pay", "success")
    assert message_of([RISK, Notice("k3", True, {}, starts_at=NOON)])[0] == "[firing: 2] Risk: cart GET / and 1 more"


def test_an_address_that_apprise_does_not_know_stops_the_start_unshown() -> None:
    with pytest.raises(InvalidSetting, match=r"channels.people.urls: apprise cannot use address 1") as raised:
        channel("json://127.0.0.1", "nothing-like-it://hidden-token")
    assert "hidden" not in str(raised.value)
