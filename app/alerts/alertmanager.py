"""Sends notices to Alertmanagers, as Prometheus does: ``POST /api/v2/alerts``.

What names an alert goes into labels, by which Alertmanager knows it again, groups and silences it; what changes while it fires goes into
annotations. An alert that fires has no end, so Alertmanager takes it for over unless it is sent again within its ``resolve_timeout``; one that
is over is sent once with its end.
"""

from __future__ import annotations

import base64
import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from app.alerts.contract import Notice
from app.alerts.posting import Post, chunks, trusted
from app.channel_settings import AlertmanagerSettings
from features.errors import NotDelivered, NoticeRefused, NotLetIn

__all__ = ["Alertmanager", "posted_alert"]

logger = logging.getLogger(__name__)

_NOT_A_NAME = re.compile(
    r"^(?=[0-9])|[^A-Za-z0-9_]"
)  # of what Alertmanagers before 0.27 and PromQL take for the name of a label

_LEFT_ALONE_S = 60.0  # for which a member that is away is not asked while others are there; guessed


@dataclass(slots=True)
class _Member:
    """One of a cluster, and when it is looked for again if it is away."""

    post: Post
    look_at_s: float = float("-inf")


class Alertmanager:
    """The Alertmanagers of a cluster.

    Parameters
    ----------
    name : str
        Of the channel.
    settings : AlertmanagerSettings
        Where they are, and who logs in.
    monotonic : callable
        Seconds.

    Raises
    ------
    InvalidSetting
        When the file of the authority cannot be read.
    """

    def __init__(self, name: str, settings: AlertmanagerSettings, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self._monotonic = monotonic
        context = trusted(f"channels.{name}.ca", settings.ca)
        sender, who = f"channel {name}", _who(settings)
        hidden = [] if settings.password is None else [settings.password.get_secret_value()]
        self._members = [
            _Member(Post(sender, f"{url}/api/v2/alerts", context, settings.timeout_s, who, hidden)) for url in settings.urls
        ]

    def send(self, notices: Sequence[Notice]) -> None:
        """Tell all of them, and return when one or more have all notices.

        One that is away is left alone for a minute while others are there, since to wait for it would delay these.

        Raises
        ------
        NotDelivered
            When none has them.
        NoticeRefused
            When all of them refuse.
        NotLetIn
            When all of them do, and one or more take nothing of ours.
        """
        for part in chunks(notices):
            self._tell_all(msgspec.json.encode([posted_alert(notice) for notice in part]))

    def _tell_all(self, body: bytes) -> None:
        now_s, failures = self._monotonic(), list[NotDelivered]()
        absent = [member for member in self._members if now_s < member.look_at_s]
        for members in ([member for member in self._members if member not in absent], absent):
            failed = [failure for failure in (self._failure(member, body) for member in members) if failure is not None]
            failures += failed
            if len(failed) < len(members):
                for failure in failures:
                    logger.warning("%s; another one of its cluster has the notice", failure)
                return
        kind = NotDelivered
        if all(isinstance(failure, NoticeRefused) for failure in failures):
            kind = NotLetIn if any(isinstance(failure, NotLetIn) for failure in failures) else NoticeRefused
        away, wait_s = all(failure.away for failure in failures), min(failure.wait_s for failure in failures)
        raise kind("; ".join(map(str, failures)), away=away, wait_s=wait_s)

    def _failure(self, member: _Member, body: bytes) -> NotDelivered | None:
        """Tell one of them; return why it has nothing, None where it has."""
        try:
            member.post.send(body)
        except NotDelivered as exc:
            member.look_at_s = self._monotonic() + _LEFT_ALONE_S if exc.away else float("-inf")
            return exc
        member.look_at_s = float("-inf")
        return None


def _who(settings: AlertmanagerSettings) -> dict[str, str]:
    """Return the header that says who sends, if anybody asks for it (RFC 7617, RFC 6750)."""
    if settings.token is not None:
        return {"authorization": f"Bearer {settings.token.get_secret_value()}"}
    if settings.password is not None:
        login = f"{settings.username}:{settings.password.get_secret_value()}".encode()
        return {"authorization": f"Basic {base64.b64encode(login).decode()}"}
    return {}


def posted_alert(notice: Notice) -> dict[str, object]:
    """Return a notice as Alertmanager takes it.

    Examples
    --------
    >>> start = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
    >>> posted_alert(Notice("k", True, {"alertname": "Risk", "service.version": "2"}, starts_at=start))
    {'labels': {'alertname': 'Risk', 'service_version': '2'}, 'annotations': {}, 'startsAt': '2026-03-02T12:00:00.000Z'}
    """
    alert: dict[str, object] = {
        "labels": _named(notice.labels),
        "annotations": _named(notice.annotations),
        "startsAt": rfc3339(notice.starts_at),
    }
    if not notice.firing:
        alert["endsAt"] = rfc3339(notice.ends_at or notice.starts_at)
    if notice.link:
        alert["generatorURL"] = notice.link
    return alert


def rfc3339(time: datetime) -> str:
    """Return a time in UTC to the millisecond.

    Examples
    --------
    >>> rfc3339(datetime(2026, 3, 2, 12, 0, 0, 1500, tzinfo=UTC))
    '2026-03-02T12:00:00.001Z'
    """
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _named(values: Mapping[str, str]) -> dict[str, str]:
    """Return values by names that every Alertmanager takes; it leaves out empty values, and so is said here."""
    return {_NOT_A_NAME.sub("_", name): value for name, value in sorted(values.items()) if name and value}
