"""Notices that are sent to a real receiver over HTTP, however often it or the sender fails."""

from __future__ import annotations

import random
import threading
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pytest

from app.alerts.apprise_channel import AppriseChannel
from app.alerts.contract import Channel, Notice
from app.alerts.outbox import wanted
from app.alerts.sender import Sender, SenderParts, SenderPlan
from app.alerts.webhook import Webhook
from app.breaker import Breaker, BreakerPlan
from app.cache.alert_records import AlertRecord, NoticeRecord
from app.cache.documents import decode_document, encode_document, tenant_key
from app.channel_settings import AppriseSettings, SignedWebhookSettings
from app.store.contract import Documents
from app.telemetry import Telemetry
from features.errors import StoreFailed
from tests.alert_builders import an_alert, at
from tests.api_builders import Clock
from tests.contracts.stores import FAMILIES
from tests.inboxes import Receiver
from tests.inboxes import receiver as inbox
from tests.killed import run_and_kill
from tests.nodes import until
from tests.receivers import PostChannel, Received, receiver


@pytest.fixture
def received() -> Generator[Received]:
    with receiver(Received()) as running:
        yield running


ONCE = SenderPlan()


class Outbox:
    """Alerts and their notices in a store, and a sender whose waits a test skips."""

    def __init__(self, documents: Documents, clock: Clock, channel: Channel, plan: SenderPlan = ONCE) -> None:
        self.documents = documents
        self.seconds = 0.0
        self.telemetry = Telemetry()
        breaker = Breaker("post", self.telemetry, BreakerPlan(after_s=1000.0), lambda: self.seconds, random.Random(1))
        parts = SenderParts(documents, breaker, self.telemetry, clock, monotonic=lambda: self.seconds)
        self.sender = Sender(channel, parts, plan)

    def put(self, alert: AlertRecord) -> None:
        """Write an alert, and what is to be told of it."""
        key = tenant_key("default", alert.id)
        found = self.documents.get("notices", key)
        notice = wanted(alert, decode_document(found.value, NoticeRecord) if found else None, ("post",), "")
        self.documents.put("alerts", key, encode_document(alert))
        if notice is not None:
            self.documents.put("notices", key, encode_document(notice))

    def notice(self, alert_id: str) -> NoticeRecord:
        found = self.documents.get("notices", tenant_key("default", alert_id))
        assert found is not None
        return decode_document(found.value, NoticeRecord)

    def send(self, rounds: int = 1) -> int:
        """Send what is due, and later again; return how many notices were sent."""
        sent = 0
        for _ in range(rounds):
            sent += self.sender.send_due()
            self.seconds += 100.0
        return sent


@pytest.fixture
def outbox(documents: Documents, clock: Clock, received: Received) -> Generator[Outbox]:
    with closing(PostChannel(received.url)) as channel:
        yield Outbox(documents, clock, channel)


def test_notices_of_a_page_are_sent_together_once(outbox: Outbox, received: Received) -> None:
    for alert in (an_alert("a-1"), an_alert("b-1", "cart", page="a-1"), an_alert("c-1", "auth")):
        outbox.put(alert)
    assert outbox.send(3) == 3
    assert received.requests == 2
    assert received.states() == [("a-1", True), ("b-1", True), ("c-1", True)]
    outbox.put(an_alert("a-1", state="resolved", ended_at=at(60)))
    assert outbox.send(3) == 1
    assert received.states()[3:] == [("a-1", False)]
    assert outbox.notice("a-1").settled


def test_what_a_receiver_did_not_take_is_sent_again_and_nothing_else(outbox: Outbox, received: Received) -> None:
    received.answers = lambda number: 503 if number < 3 else 200
    outbox.put(an_alert("a-1"))
    assert [outbox.send() for _ in range(5)] == [0, 0, 0, 1, 0]
    assert received.states() == [("a-1", True)]
    assert outbox.telemetry.values("notices") == {"post,failed": 3.0, "post,delivered": 1.0}


def test_a_page_that_failed_waits_and_another_does_not(outbox: Outbox, received: Received) -> None:
    received.answers = lambda number: 503 if number == 0 else 200
    outbox.put(an_alert("a-1"))
    outbox.sender.send_due()
    outbox.put(an_alert("b-1", "cart"))
    outbox.sender.send_due()
    assert received.states() == [("b-1", True)]
    outbox.seconds += 100.0
    outbox.sender.send_due()
    assert received.states()[1:] == [("a-1", True)]


def test_a_notice_that_is_refused_is_sent_no_more_and_holds_no_other_back(outbox: Outbox, received: Received) -> None:
    received.answers = lambda number: 400 if number in (0, 1) else 200  # both together, then the first alone
    outbox.put(an_alert("a-1"))
    outbox.put(an_alert("b-1", "cart", page="a-1"))
    outbox.send(3)
    assert received.states() == [("b-1", True)]
    assert outbox.notice("a-1").delivered["post"].refused == "answered 400"
    assert outbox.telemetry.value("breaker_state", target="post") == 0.0


def test_nothing_is_repeated_of_what_somebody_took_or_silenced_on_another_node(outbox: Outbox, received: Received) -> None:
    received.answers = lambda _: 503
    outbox.put(an_alert("a-1"))
    outbox.put(an_alert("b-1", "cart"))
    outbox.send(2)
    received.answers = lambda _: 200
    outbox.put(an_alert("a-1", state="acknowledged", acknowledged_by="ann", acknowledged_at=at(60)))
    outbox.put(an_alert("b-1", "cart", state="silenced"))
    assert outbox.send(3) == 0
    assert received.states() == []


def test_a_receiver_that_forgets_is_told_again(documents: Documents, clock: Clock, received: Received) -> None:
    with closing(PostChannel(received.url)) as channel:
        outbox = Outbox(documents, clock, channel, SenderPlan(resend_s=60.0))
        outbox.put(an_alert("a-1"))
        for _ in range(4):
            outbox.send()
            clock.move(30)
    assert received.states() == [("a-1", True), ("a-1", True)]


def test_an_end_that_comes_late_does_not_end_the_next_alert_of_the_series(
    documents: Documents, clock: Clock, received: Received
) -> None:
    with closing(PostChannel(received.url)) as channel:
        outbox = Outbox(documents, clock, channel, SenderPlan(resend_s=60.0))
        outbox.put(an_alert("a-1"))
        outbox.put(an_alert("b-1", "cart"))
        outbox.send()
        received.answers = lambda _: 503
        outbox.put(an_alert("a-1", state="resolved", ended_at=at(10)))
        clock.move(10)
        outbox.sender.send_due()
        received.answers = lambda _: 200
        outbox.put(an_alert("a-2", fired_s=20))
        clock.move(10)
        outbox.sender.send_due()  # the page of the first waits
        clock.move(10)
        outbox.seconds += 100.0
        assert [outbox.sender.send_due() for _ in range(3)] == [1, 1, 0]
    assert received.states()[2:] == [("a-2", True), ("a-1", False), ("a-2", True)]


def test_a_receiver_that_is_away_is_left_alone_until_a_look_finds_it(
    documents: Documents, clock: Clock, received: Received
) -> None:
    received.answers = lambda number: 503 if number < 2 else 200
    with closing(PostChannel(received.url)) as channel:
        outbox = Outbox(documents, clock, channel)
        plan = BreakerPlan(after_s=0.0, first_s=50.0, longest_s=50.0)
        breaker = Breaker("post", outbox.telemetry, plan, lambda: outbox.seconds, random.Random(1))
        outbox.sender.parts = replace(outbox.sender.parts, breaker=breaker)
        for number in range(20):
            outbox.put(an_alert(f"a-{number}"))
        assert outbox.sender.send_due() == 0
        assert received.requests == 1
        assert outbox.telemetry.value("notices_waiting", channel="post") == 20.0
        assert outbox.send(4) == 20
    assert len(received.notices) == 20


@contextmanager
def hook(documents: Documents, clock: Clock, longest_s: float = 1000.0) -> Generator[tuple[Outbox, Receiver]]:
    """Give a webhook on a real socket, with a breaker that opens at the first failure that counts."""
    with inbox() as there:
        table = {"kind": "webhook", "url": there.url, "secrets": ["a secret of sixteen"]}
        outbox = Outbox(documents, clock, Webhook("post", SignedWebhookSettings.model_validate(table)))
        strict(outbox, longest_s)
        yield outbox, there


def strict(outbox: Outbox, longest_s: float = 1000.0) -> None:
    """Let a sender's breaker open at the first failure that counts."""
    plan = BreakerPlan(after_s=0.0, first_s=longest_s, longest_s=longest_s)
    breaker = Breaker("post", outbox.telemetry, plan, lambda: outbox.seconds, random.Random(1))
    outbox.sender.parts = replace(outbox.sender.parts, breaker=breaker)


def told(there: Receiver) -> list[list[str]]:
    """Return the services that each request told of, in order."""
    return [[alert["labels"]["service"] for alert in request.json["alerts"]] for request in there.requests]


@pytest.mark.parametrize("status", [400, 413, 429, 500, 401])
def test_a_receiver_that_answers_is_not_away_and_other_pages_reach_it(documents: Documents, clock: Clock, status: int) -> None:
    with hook(documents, clock) as (outbox, there):
        there.answers.append(status)
        outbox.put(an_alert("a-1"))
        outbox.put(an_alert("b-1", "cart"))
        outbox.sender.send_due()
        assert told(there) == [["payment"], ["cart"]]
        assert outbox.telemetry.value("breaker_state", target="post") == 0.0


def test_a_receiver_that_says_when_is_left_alone_until_then(documents: Documents, clock: Clock) -> None:
    with hook(documents, clock) as (outbox, there):
        there.answers.append(429)
        there.headers["retry-after"] = "90"
        outbox.put(an_alert("a-1"))
        outbox.put(an_alert("b-1", "cart"))
        assert outbox.sender.send_due() == 0
        outbox.seconds = 89.0
        assert outbox.sender.send_due() == 0
        assert len(there.requests) == 1
        outbox.seconds = 90.0
        assert outbox.sender.send_due() == 2


@pytest.mark.parametrize("status", [401, 403, 404, 405])
def test_what_was_refused_for_the_way_there_is_told_once_that_is_mended(
    documents: Documents, clock: Clock, status: int
) -> None:
    with hook(documents, clock, 50.0) as (outbox, there):
        there.answers += [status] * 20
        for number in range(4):
            outbox.put(an_alert(f"a-{number}", f"s{number}"))
        assert outbox.send(4) == 0
        assert 8 <= len(there.requests) < 16
        there.answers.clear()
        assert outbox.send(4) == 4
        assert outbox.notice("a-0").delivered["post"].refused == ""


def test_who_takes_nothing_for_long_is_left_alone_although_it_answers(documents: Documents, clock: Clock) -> None:
    with hook(documents, clock) as (outbox, there):
        there.answers += [500] * 100
        for number in range(40):
            outbox.put(an_alert(f"a-{number:02}", f"s{number}"))
        outbox.sender.send_due()
        outbox.seconds += 60.0
        outbox.sender.send_due()
        assert len(there.requests) == 8


def test_of_a_page_that_a_receiver_fails_at_the_others_arrive_in_the_end(documents: Documents, clock: Clock) -> None:
    with hook(documents, clock) as (outbox, there):
        there.fails = lambda request: b'"service":"odd"' in request.body
        for alert in (an_alert("a-1", "odd"), an_alert("b-1", "cart", page="a-1"), an_alert("c-1", "auth", page="a-1")):
            outbox.put(alert)
        assert outbox.send(3) == 0
        assert outbox.send() == 2
        assert outbox.notice("b-1").delivered["post"].seq == 1
        assert "post" not in outbox.notice("a-1").delivered


def test_of_a_page_that_a_channel_fails_at_while_it_takes_others_the_rest_arrives_in_the_end(
    documents: Documents, clock: Clock
) -> None:
    with inbox() as there:
        there.fails = lambda request: b"odd" in request.body
        table = {"kind": "apprise", "urls": [there.url.replace("http://", "json://")]}
        outbox = Outbox(documents, clock, AppriseChannel("post", AppriseSettings.model_validate(table)))
        outbox.put(an_alert("a-1", "odd"))
        outbox.put(an_alert("b-1", "cart", page="a-1"))
        for number in range(8):
            outbox.put(an_alert(f"c-{number}", f"s{number}", fired_s=10.0))
            outbox.send()
        assert outbox.notice("b-1").delivered["post"].seq == 1
        assert "post" not in outbox.notice("a-1").delivered


def test_whoever_wants_to_be_left_alone_amid_a_page_is_so_at_once(documents: Documents, clock: Clock) -> None:
    with hook(documents, clock) as (outbox, there):
        there.answers += [400, 200, 429]  # together, then one by one
        there.headers["retry-after"] = "90"
        for number in range(9):
            outbox.put(an_alert(f"a-{number}", f"s{number}", page="a-0"))
        outbox.sender.send_due()
        assert len(there.requests) == 3
        outbox.seconds = 90.0
        assert outbox.sender.send_due() == 8
        assert len(there.requests) == 4


def test_a_page_that_fails_for_ever_stands_behind_the_others(documents: Documents, clock: Clock) -> None:
    with hook(documents, clock, 1.0) as (outbox, there):
        there.fails = lambda request: b'"service":"odd"' in request.body
        outbox.put(an_alert("a-1", "odd"))
        outbox.send(3)
        outbox.put(an_alert("b-1", "cart", fired_s=60.0))
        outbox.send()
        assert told(there)[-2:] == [["cart"], ["odd"]]


def test_one_address_that_is_gone_keeps_nobody_else_from_being_told(documents: Documents, clock: Clock) -> None:
    with inbox() as gone, inbox() as there:
        gone.answers += [503] * 100
        urls = [url.replace("http://", "json://") for url in (gone.url, there.url)]
        channel = AppriseChannel("post", AppriseSettings.model_validate({"kind": "apprise", "urls": urls}))
        outbox = Outbox(documents, clock, channel)
        strict(outbox)
        for number in range(12):
            outbox.put(an_alert(f"a-{number}", f"s{number}"))
        outbox.send(3)
        outbox.put(an_alert("b-1", "cart", fired_s=60.0))
        outbox.sender.send_due()
        assert len(there.requests) == 13
        assert outbox.telemetry.value("breaker_state", target="post") == 0.0


def test_whose_home_it_is_is_asked_once_a_look(outbox: Outbox) -> None:
    asked: list[str] = []

    def home(tenant: str) -> bool:
        asked.append(tenant)
        return True

    outbox.sender.parts = replace(outbox.sender.parts, home=home)
    for number in range(5):
        outbox.put(an_alert(f"a-{number}"))
    outbox.sender.send_due()
    assert asked == ["default"]


def test_another_tenants_home_is_left_to_it(outbox: Outbox, received: Received) -> None:
    outbox.sender.parts = replace(outbox.sender.parts, home=lambda tenant: tenant != "default")
    outbox.put(an_alert("a-1"))
    assert outbox.send(2) == 0


class Odd:
    """A channel whose library fails as nobody foresaw, at the first page alone."""

    name = "post"

    def __init__(self) -> None:
        self.told: list[str] = []

    def send(self, notices: Sequence[Notice]) -> None:
        if notices[0].key == "a-1":
            raise RuntimeError("nobody foresaw it")
        self.told += [notice.key for notice in notices]


def test_whatever_fails_ends_no_sender_and_holds_no_other_page_up(documents: Documents, clock: Clock) -> None:
    outbox, odd, stop = Outbox(documents, clock, Odd(), SenderPlan(poll_s=0.001)), Odd(), threading.Event()
    outbox.sender.channel = odd
    outbox.put(an_alert("a-1"))
    outbox.put(an_alert("b-1", "cart"))
    homes = iter((StoreFailed("no server leads"),))

    def home(_: str) -> bool:
        for failure in homes:
            raise failure
        return True

    outbox.sender.parts = replace(outbox.sender.parts, home=home)
    thread = threading.Thread(target=outbox.sender.run, args=(stop,))
    thread.start()
    until(lambda: odd.told == ["b-1"], "the other page")
    stop.set()
    thread.join()
    assert outbox.telemetry.value("faults", place="notices") == 2.0


@dataclass
class Moody:
    """Documents that cannot be swapped while the disk is full."""

    documents: Documents
    full: bool = True

    def swap(self, bucket: str, key: str, value: bytes, revision: int, *, ttl_s: float | None = None) -> int:
        if self.full:
            raise StoreFailed("no space is left")
        return self.documents.swap(bucket, key, value, revision, ttl_s=ttl_s)

    def __getattr__(self, name: str) -> object:
        return getattr(self.documents, name)


def test_what_a_receiver_has_is_not_told_again_while_that_cannot_be_noted(outbox: Outbox, received: Received) -> None:
    moody = Moody(outbox.documents)
    outbox.sender.parts = replace(outbox.sender.parts, documents=cast("Documents", moody))
    outbox.put(an_alert("a-1"))
    outbox.put(an_alert("b-1", "cart"))
    outbox.send(4)
    assert sorted(received.states()) == [("a-1", True), ("b-1", True)]
    outbox.put(an_alert("a-1", state="resolved", ended_at=at(60)))
    outbox.send(2)
    assert received.states()[2:] == [("a-1", False)]
    moody.full = False
    outbox.send(2)
    assert (outbox.notice("a-1").settled, outbox.notice("b-1").delivered["post"].seq) == (True, 1)
    assert received.requests == 3


def test_an_alert_that_another_release_wrote_holds_no_other_page_up(outbox: Outbox, received: Received) -> None:
    for alert in (an_alert("a-1"), an_alert("b-1", "cart"), an_alert("c-1", "auth")):
        outbox.put(alert)
    outbox.documents.put("alerts", tenant_key("default", "a-1"), b'{"id":"a-1"}')
    outbox.put(an_alert("b-1", "cart", state="resolved", ended_at=at(60)))
    outbox.documents.put("alerts", tenant_key("default", "b-1"), b'{"id":"b-1"}')
    assert outbox.send(2) == 2
    assert received.states() == [("b-1", False), ("c-1", True)]


SENDING = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from app.alerts.sender import Sender, SenderParts, SenderPlan
from app.breaker import Breaker, BreakerPlan
from app.telemetry import Telemetry
from tests.receivers import PostChannel
from app.settings import StoreSettings
from app.store.sqlite import open_store

class Telling(PostChannel):
    def send(self, notices):
        super().send(notices)
        print(*(notice.key for notice in notices))

def now():
    return datetime.now(UTC)

settings, telemetry = StoreSettings(partitions=4, log_max_bytes=3_000_000), Telemetry()
store = open_store(Path(sys.argv[1]), settings=settings, max_in_flight_bytes=1_000_000, now=now)
parts = SenderParts(store.documents, Breaker("post", telemetry, BreakerPlan(after_s=1000.0)), telemetry, now)
sender = Sender(Telling(sys.argv[2]), parts, SenderPlan(first_s=0.001, longest_s=0.01))
while True:
    sender.send_due()
"""


def test_of_what_killed_senders_leave_nothing_is_lost(tmp_path: Path, clock: Clock, received: Received) -> None:
    """Two are killed while a receiver fails every other time: what one had sent and not noted comes twice, the rest once."""
    received.answers = lambda number: 503 if number % 2 else 200
    names = {f"a-{number}" for number in range(60)}
    with closing(PostChannel(received.url)) as channel:
        with closing(FAMILIES["sqlite"](tmp_path, clock)) as store:
            outbox = Outbox(store.documents, clock, channel)
            for name in names:
                outbox.put(an_alert(name))
        for _ in range(2):
            run_and_kill(SENDING, (tmp_path, received.url), after_lines=15)
        with closing(FAMILIES["sqlite"](tmp_path, clock)) as store:
            assert Outbox(store.documents, clock, channel).send(20) <= 32
    keys = [key for key, _ in received.states()]
    assert set(keys) == names
    assert len(keys) <= len(names) + 2
