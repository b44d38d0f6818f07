"""Posts a step of a recovery plan to the webhook that the user configured, signed, when a person says so.

`app.api.plans` calls it. Signed as Standard Webhooks have it, like notices: HMAC-SHA256 over id, time and body in the headers
``webhook-id``, ``webhook-timestamp`` and ``webhook-signature``.
"""

from __future__ import annotations

import base64
import hmac
import logging
from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import urlsplit

import httpx

from app.breaker import Breaker, BreakerPlan
from app.runbook_settings import RunbookSettings
from app.telemetry import Telemetry
from features.errors import NotDelivered, NoticeRefused

__all__ = ["Runbook"]

_LATER = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
_SHOWN = 200  # characters of what a receiver says against a step; guessed
_PLAN = BreakerPlan(after_s=10.0, first_s=1.0, longest_s=15.0)  # guessed: a person who asks again waits no longer

logging.getLogger("httpx").setLevel(logging.WARNING)  # below it writes whole addresses into the log


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
    """

    def __init__(self, settings: RunbookSettings, telemetry: Telemetry, now_s: Callable[[], float]) -> None:
        self._url = settings.url.get_secret_value()
        self._key = settings.secret.get_secret_value().encode()
        self._timeout_s = settings.timeout_s
        self._now_s = now_s
        self._breaker = Breaker("runbook", telemetry, _PLAN)
        parts = urlsplit(self._url)
        self.receiver = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if self._url else ""
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
            When nobody answered, or the answer was 408, 429 or none of the 2xx and 4xx.
        NoticeRefused
            When it was another 4xx.
        CircuitOpen
            When it has not answered for a while; nothing was posted.
        """
        at_s = int(self._now_s())
        digest = hmac.digest(self._key, b"%s.%d.%s" % (message.encode(), at_s, body), "sha256")
        headers = {
            "content-type": "application/json",
            "user-agent": "foreshock",
            "webhook-id": message,
            "webhook-timestamp": str(at_s),
            "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
        }
        with self._breaker.call((_Away,)):
            self._send(headers, body)

    def _send(self, headers: dict[str, str], body: bytes) -> None:
        try:
            with (
                httpx.Client(timeout=self._timeout_s) as client,
                client.stream("POST", self._url, content=body, headers=headers) as answer,
            ):
                if not answer.is_success:
                    said = " ".join(next(answer.iter_text(), "").split())[:_SHOWN]
                    refused = answer.is_client_error and answer.status_code not in _LATER
                    text = f"the runbook at {self.receiver} answered {answer.status_code}{': ' if said else ''}{said}"
                    raise (NoticeRefused if refused else _Away)(text)
        except httpx.HTTPError as exc:
            raise _Away(f"the runbook at {self.receiver} gave no answer: {exc or type(exc).__name__}") from None


class _Away(NotDelivered):
    """The receiver did not answer, or not for itself."""
