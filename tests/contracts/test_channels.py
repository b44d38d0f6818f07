"""What every `Channel` promises, against receivers on real sockets."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import TypeAdapter

from app.alerts.channels import channels_of
from app.alerts.contract import Channel, Notice
from app.channel_settings import ChannelSettings
from features.errors import NotDelivered, NoticeRefused
from tests.inboxes import mailbox, receiver

SECRET = "s3cret-token-of-ours"
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
FIRING = Notice("k1", True, {"alertname": "Risk", "service": "cart"}, {"summary": "61 % within 15 min ≥ 0.5"}, starts_at=NOON)
OVER = Notice("k2", False, {"alertname": "Risk", "service": "payment"}, starts_at=NOON, ends_at=NOON + timedelta(minutes=5))


@dataclass
class Sent:
    """A channel with its receiver: what came there as text, and how to let it fail."""

    channel: Channel
    came: Callable[[], Sequence[str]]
    fail: Callable[[bool], None]
    """Let the next request fail, for good or for now."""


@dataclass(frozen=True, slots=True)
class Way:
    """A kind of channel: its table in the settings for a port, and whether it is told that trying again is of no use."""

    table: Callable[[int], dict[str, object]]
    knows_for_good: bool = True
    mail: bool = False


WAYS = {
    "alertmanager": Way(
        lambda port: {"kind": "alertmanager", "urls": [f"http://127.0.0.1:{port}"], "token": SECRET},
    ),
    "webhook": Way(
        lambda port: {"kind": "webhook", "url": f"http://127.0.0.1:{port}/{SECRET}", "secrets": [SECRET]},
    ),
    "apprise over HTTP": Way(
        lambda port: {"kind": "apprise", "urls": [f"json://user:{SECRET}@127.0.0.1:{port}/{SECRET}"]},
        knows_for_good=False,
    ),
    "apprise by mail": Way(
        lambda port: {
            "kind": "apprise",
            "urls": [f"mailto://127.0.0.1:{port}?from=foreshock@example.com&to={SECRET}@example.com&mode=insecure"],
        },
        knows_for_good=False,
        mail=True,
    ),
}


def made(way: Way, port: int) -> Channel:
    table = TypeAdapter[object](ChannelSettings).validate_python(way.table(port))
    return channels_of({"oncall": table})["oncall"]  # pyright: ignore[reportArgumentType]


@contextmanager
def sent(way: Way) -> Generator[Sent]:
    if way.mail:
        with mailbox() as box:
            yield Sent(
                made(way, box.port),
                lambda: [f"{mail['subject']} {mail.get_body(('plain',)).get_content()}" for mail in box.mails],  # pyright: ignore[reportOptionalMemberAccess]
                lambda _: setattr(box, "refusals", 1),
            )
        return
    with receiver() as http:
        yield Sent(
            made(way, http.port),
            lambda: [request.body.decode() for request in http.requests],
            lambda for_good: http.answers.append(400 if for_good else 503),
        )


@pytest.fixture(params=WAYS.values(), ids=list(WAYS))
def way(request: pytest.FixtureRequest) -> Way:
    return request.param


def test_notices_arrive_together_with_what_they_say(way: Way) -> None:
    with sent(way) as there:
        there.channel.send([FIRING, OVER])
        (came,) = there.came()
    assert all(text in came.replace("\\u2265", "≥") for text in ("Risk", "cart", "payment", "61 % within 15 min ≥ 0.5"))


def test_a_receiver_that_is_away_is_worth_another_try(way: Way) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        channel = made(way, taken.getsockname()[1])  # bound, and nobody listens
        with pytest.raises(NotDelivered, match="channel oncall") as raised:
            channel.send([FIRING])
    assert raised.value.retryable
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("way", [way for way in WAYS.values() if not way.mail])  # between two mails apprise waits for seconds
def test_a_receiver_that_fails_once_gets_the_notice_with_the_next_try(way: Way) -> None:
    with sent(way) as there:
        there.fail(False)
        with pytest.raises(NotDelivered) as raised:
            there.channel.send([FIRING])
        assert raised.value.retryable
        there.channel.send([FIRING])
        assert len(set(there.came())) == 1


def test_a_refusal_is_told_with_the_channel_and_without_secrets(
    way: Way, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with sent(way) as there:
        there.fail(True)
        with pytest.raises(NotDelivered, match="channel oncall") as raised:
            there.channel.send([FIRING])
    assert isinstance(raised.value, NoticeRefused) == way.knows_for_good
    printed = capsys.readouterr()
    assert SECRET not in str(raised.value) + caplog.text + printed.out + printed.err
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


def test_a_delivery_writes_no_secret_into_the_log(way: Way, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with sent(way) as there:
        there.channel.send([FIRING])
    assert SECRET not in caplog.text


def test_many_notices_all_arrive(way: Way) -> None:
    many = [Notice(f"k{n}", True, {"alertname": "Risk", "service": f"service-{n}."}, starts_at=NOON) for n in range(150)]
    with sent(way) as there:
        there.channel.send(many)
        came = "".join(there.came())
    assert [n for n in range(150) if f"service-{n}." not in came] == []
