"""Posts a step of a recovery plan to the webhook that the user configured, signed as notices are, when a person says so.

`app.api.plans` calls it.
"""

from __future__ import annotations

from collections.abc import Callable

from app.alerts.blotting import pieces_of
from app.alerts.posting import Post, key_of, signed, trusted
from app.breaker import Breaker, BreakerPlan
from app.channel_settings import checked_address
from app.runbook_settings import RunbookSettings
from app.telemetry import Telemetry
from features.errors import NotDelivered, NoticeRefused

__all__ = ["Runbook"]

_PLAN = BreakerPlan(after_s=10.0, first_s=1.0, longest_s=15.0)  # guessed: a person who asks again waits no longer


class Runbook:
    """The configured webhook.

    Parameters
    ----------
    settings : RunbookSettings
        Where it is, and what it shares with us.
    telemetry : Telemetry
        Where it counts.
    now_s : callable
        Unix seconds, which are signed.

    Raises
    ------
    InvalidSetting
        When the secret is not what it begins like.
    """

    def __init__(self, settings: RunbookSettings, telemetry: Telemetry, now_s: Callable[[], float]) -> None:
        self._key = key_of("runbook.secret", settings.secret.get_secret_value())
        self._now_s = now_s
        self._breaker = Breaker("runbook", telemetry, _PLAN)
        self._post = _post(settings)
        self.receiver = self._post.receiver if self._post else ""
        """Scheme and host, empty where none is configured."""

    def post(self, message: str, body: bytes) -> None:
        """Post a body of JSON and return once the receiver took it. Blocks.

        Parameters
        ----------
        message : str
            Its id: the same for what is sent again, so that the receiver may do it once.
        body : bytes
            What is posted.

        Raises
        ------
        NotDelivered
            When nobody answered, or the answer was 408, 425, 429 or none of the 2xx and 4xx.
        NoticeRefused
            When it was another 4xx.
        CircuitOpen
            When it has not answered for a while; nothing was posted.
        """
        if self._post is None:
            raise NoticeRefused("no runbook is configured")
        answered: NotDelivered | None = None
        with self._breaker.call((NotDelivered,)):
            try:
                self._post.send(body, signed([self._key], message, int(self._now_s()), body))
            except NotDelivered as exc:
                if exc.away:
                    raise
                answered = exc  # the receiver is there
        if answered is not None:
            raise answered


def _post(settings: RunbookSettings) -> Post | None:
    url = settings.url.get_secret_value()
    if not url:
        return None
    hidden = pieces_of(url) - {checked_address(url).hostname or ""}
    return Post("the runbook", url, trusted("runbook.url", None), settings.timeout_s, secrets=hidden)
