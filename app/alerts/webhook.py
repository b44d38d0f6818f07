"""Posts notices in the shape of Alertmanager's webhooks (version 4), signed, so that what reads those reads ours."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlsplit

import msgspec

from app.alerts.alertmanager import rfc3339
from app.alerts.blotting import pieces_of
from app.alerts.contract import Notice
from app.alerts.posting import Post, chunks, key_of, signed, trusted
from app.channel_settings import SignedWebhookSettings

__all__ = ["Webhook", "delivery"]

_NO_END = "0001-01-01T00:00:00Z"  # Alertmanager's end of an alert that fires


class Webhook:
    """One address that takes signed notices.

    Parameters
    ----------
    name : str
        Of the channel; the receiver reads it as ``receiver``.
    settings : SignedWebhookSettings
        Where it is, and what it shares with us.
    now_s : callable
        Unix seconds, which are signed.

    Raises
    ------
    InvalidSetting
        When the file of the authority cannot be read, or a secret is not what it begins like.
    """

    def __init__(self, name: str, settings: SignedWebhookSettings, now_s: Callable[[], float] = time.time) -> None:
        self.name = name
        self._now_s = now_s
        self._group_by = settings.group_by
        self._keys = [key_of(f"channels.{name}.secrets", secret.get_secret_value()) for secret in settings.secrets]
        headers = {key: value.get_secret_value() for key, value in settings.headers.items()}
        context = trusted(f"channels.{name}.ca", settings.ca)
        url = settings.url.get_secret_value()
        hidden = pieces_of(url) - {urlsplit(url).hostname or ""}
        self._post = Post(f"channel {name}", url, context, settings.timeout_s, headers, hidden)

    def send(self, notices: Sequence[Notice]) -> None:
        """Post the notices, and return once the receiver answered that it has them.

        The id names what is said: the same alerts in the same states have the same one, however often and in whatever words they are told.

        Raises
        ------
        NotDelivered
            When it is not known whether it has them all.
        NoticeRefused
            When it will not take them.
        """
        for part in chunks(notices):
            body = msgspec.json.encode(delivery(self.name, part, self._group_by))
            self._post.send(body, signed(self._keys, _id(part), int(self._now_s()), body))


def delivery(receiver: str, notices: Sequence[Notice], group_by: Sequence[str]) -> dict[str, object]:
    """Return the body that says some notices, with the members of Alertmanager's version 4.

    Parameters
    ----------
    receiver : str
        Name of the channel.
    notices : Sequence of Notice
        What is said; one or more.
    group_by : Sequence of str
        Labels that name the group, where all share their value.
    """
    shared = _shared([notice.labels for notice in notices])
    group = {name: shared[name] for name in group_by if name in shared}
    return {
        "version": "4",
        "groupKey": f"{receiver}:{{{', '.join(f'{name}={_quoted(value)}' for name, value in group.items())}}}",
        "truncatedAlerts": 0,
        "status": "firing" if any(notice.firing for notice in notices) else "resolved",
        "receiver": receiver,
        "groupLabels": group,
        "commonLabels": shared,
        "commonAnnotations": _shared([notice.annotations for notice in notices]),
        "externalURL": next((_origin(notice.link) for notice in notices if notice.link), ""),
        "alerts": [_alert(notice) for notice in notices],
    }


def _id(notices: Sequence[Notice]) -> str:
    states = sorted((notice.key, notice.firing, rfc3339(notice.starts_at)) for notice in notices)
    return f"msg_{hashlib.sha256(msgspec.json.encode(states)).hexdigest()[:32]}"


def _alert(notice: Notice) -> dict[str, object]:
    return {
        "status": "firing" if notice.firing else "resolved",
        "labels": dict(notice.labels),
        "annotations": dict(notice.annotations),
        "startsAt": rfc3339(notice.starts_at),
        "endsAt": _NO_END if notice.firing else rfc3339(notice.ends_at or notice.starts_at),
        "generatorURL": notice.link,
        "fingerprint": hashlib.sha256(notice.key.encode()).hexdigest()[:16],
    }


def _shared(maps: Sequence[Mapping[str, str]]) -> dict[str, str]:
    first, *others = maps
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in others)}


def _quoted(value: str) -> str:
    return msgspec.json.encode(value).decode()


def _origin(link: str) -> str:
    parts = urlsplit(link)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""
