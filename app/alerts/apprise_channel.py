"""Tells people by mail, Slack, Teams, PagerDuty and whatever else apprise has a way to.

What apprise is given and what it writes into its log hold passwords and tokens, so its lines go no further than this module: what is raised
names the service and the place in the settings, with every piece of the address blotted out.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import NamedTuple

from apprise import Apprise, AppriseAsset, NotifyBase, NotifyFormat, NotifyType, OverflowMode

from app.alerts.alertmanager import rfc3339
from app.alerts.blotting import blotted, pieces_of
from app.alerts.contract import Notice
from app.channel_settings import AppriseSettings
from features.errors import InvalidSetting, NotDelivered

__all__ = ["AppriseChannel", "message_of"]

_SHOWN = 200  # characters of what apprise says of a failure; guessed
_MOST_KEPT = 10_000  # notices that one address has and another lacks; guessed: far more than anybody is told

_Fact = tuple[str, bool]  # which notice, and whether that it fires


class _Heard(logging.Filter):
    """Keeps what apprise logs, by thread, in the place of the log."""

    def __init__(self) -> None:
        super().__init__()
        self._of = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:
        """Take a line, and let nobody else have it."""
        lines: list[str] | None = getattr(self._of, "lines", None)
        if lines is not None and record.levelno >= logging.WARNING:
            lines.append(record.getMessage())
        return False

    def begin(self) -> list[str]:
        """Return a list that the lines of this thread go into from now on."""
        self._of.lines = lines = list[str]()
        return lines


_HEARD = _Heard()
logging.getLogger("apprise").addFilter(_HEARD)
logging.getLogger("urllib3").setLevel(logging.INFO)  # below it writes paths, and in paths lie tokens


class _Address(NamedTuple):
    url: str
    target: NotifyBase


class AppriseChannel:
    """Some addresses of apprise, all of which are told.

    Parameters
    ----------
    name : str
        Of the channel.
    settings : AppriseSettings
        The addresses.

    Raises
    ------
    InvalidSetting
        When apprise does not know what to do with an address.
    """

    def __init__(self, name: str, settings: AppriseSettings) -> None:
        self.name = name
        # An address that says `redirect=yes` follows redirects; by itself nothing goes where settings do not say.
        asset = AppriseAsset(
            app_id="Foreshock", app_desc="Foreshock", app_url="", image_url_mask="", image_url_logo="", http_redirects=False
        )
        urls = [url.get_secret_value() for url in settings.urls]
        self._addresses = [_Address(url, self._made(at, url, asset, settings.timeout_s)) for at, url in enumerate(urls)]
        self._has: list[dict[_Fact, None]] = [{} for _ in urls]  # what an address has, while others lack it, oldest first

    def send(self, notices: Sequence[Notice]) -> None:
        """Tell all addresses that do not have these notices yet.

        Raises
        ------
        NotDelivered
            When one or more could not be told; apprise does not say whether that is for good.
        """
        failures: list[str] = []
        for at, address in enumerate(self._addresses):
            lacking = [notice for notice in notices if (notice.key, notice.firing) not in self._has[at]]
            if not lacking:
                continue
            why = _told(address, lacking)
            if why is None:
                self._keep(at, lacking)
            else:
                failures.append(f"{address.target.service_name} (address {at}){why}")
        if failures:
            text = f"channel {self.name}: {len(failures)} of {len(self._addresses)} not told: {'; '.join(failures)}"
            none = len(failures) == len(self._addresses)
            raise NotDelivered(text, away=none, took=not none)
        for has in self._has:
            for notice in notices:
                has.pop((notice.key, notice.firing), None)

    def _keep(self, at: int, told: Sequence[Notice]) -> None:
        has = self._has[at]
        has |= {(notice.key, notice.firing): None for notice in told}
        while len(has) > _MOST_KEPT:
            del has[next(iter(has))]

    def _made(self, at: int, url: str, asset: AppriseAsset, timeout_s: float) -> NotifyBase:
        said = _HEARD.begin()
        target = Apprise.instantiate(url, asset=asset)
        if target is None:
            why = _why(said, url)
            raise InvalidSetting(f"setting channels.{self.name}.urls: apprise cannot use address {at}, which is not shown{why}")
        if "overflow_mode" not in vars(target):  # else a page that is longer than a service takes is refused for ever
            target.overflow_mode = OverflowMode.SPLIT
        target.socket_connect_timeout = target.socket_read_timeout = timeout_s
        return target


def _told(address: _Address, notices: Sequence[Notice]) -> str | None:
    """Tell one address; return why it was not told, None when it was."""
    title, body, kind = message_of(notices)
    said = _HEARD.begin()
    try:
        if address.target.notify(title=title, body=body, notify_type=kind, body_format=NotifyFormat.TEXT):
            return None
    except Exception as exc:  # of one of a hundred ways; its text may hold the address, so it goes no further as it is
        said.append(f"{type(exc).__name__}: {exc}")
    return _why(said, address.url)


def message_of(notices: Sequence[Notice]) -> tuple[str, str, NotifyType]:
    """Return title, text and kind of a message that says some notices to a person.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> start = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
    >>> risk = Notice("k", True, {"alertname": "Risk", "service": "cart"}, {"summary": "cart: 61 % within 15 minutes"}, starts_at=start)
    >>> title, text, _ = message_of([risk])
    >>> title
    '[firing] cart: 61 % within 15 minutes'
    >>> print(text)
    cart: 61 % within 15 minutes
    firing since 2026-03-02T12:00:00.000Z
    alertname: Risk, service: cart
    """
    firing = [notice for notice in notices if notice.firing]
    names = list(dict.fromkeys(_name(notice) for notice in firing or notices))
    state = "firing" if firing else "resolved"
    title = f"[{state}{f': {len(firing or notices)}' if len(notices) > 1 else ''}] {names[0]}"
    title += f" and {len(names) - 1} more" if len(names) > 1 else ""
    return title, "\n\n".join(map(_text, notices)), NotifyType.FAILURE if firing else NotifyType.SUCCESS


def _why(said: Sequence[str], url: str) -> str:
    text = blotted(" ".join(" ".join(said).split()), pieces_of(url))[:_SHOWN]
    return f": {text}" if text else ""


def _name(notice: Notice) -> str:
    if summary := notice.annotations.get("summary"):
        return summary
    where = " ".join(notice.labels[label] for label in ("service", "operation") if notice.labels.get(label))
    return f"{notice.labels.get('alertname', notice.key)}{': ' if where else ''}{where}"


def _text(notice: Notice) -> str:
    since = rfc3339(notice.starts_at)
    state = (
        f"firing since {since}" if notice.firing else f"over since {rfc3339(notice.ends_at or notice.starts_at)}, began {since}"
    )
    labels = ", ".join(f"{name}: {value}" for name, value in sorted(notice.labels.items()))
    more = [f"{name}: {value}" for name, value in notice.annotations.items() if name != "summary"]
    lines = [_name(notice), state, labels, *more, notice.link]
    return "\n".join(line for line in lines if line)
