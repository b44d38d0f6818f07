"""Posts JSON to one address, signed where that is asked for, and says of every way in which that can end whether trying again may help.

The channels over HTTP (`app.alerts.alertmanager`, `app.alerts.webhook`) and `app.runbook` send with it. Whatever it raises names the sender
and the host, and nothing of an address that may let a sender in.

The signature is that of Standard Webhooks: HMAC-SHA256 over the id, the time and the body, in the headers ``webhook-id``,
``webhook-timestamp`` and ``webhook-signature``. `docs/notifications.md` says how a receiver checks it.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import logging
import ssl
from collections.abc import Iterable, Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar
from urllib.parse import urlsplit

import httpx

from app.alerts.blotting import blotted
from features.errors import InvalidSetting, NotDelivered, NoticeRefused, NotLetIn

__all__ = ["Post", "chunks", "key_of", "signature", "signed", "trusted"]

T = TypeVar("T")

_MOST = 64  # notices a request, as many as Prometheus sent for years
_SHOWN = 200  # characters of what a receiver says against a request; guessed
_LATER = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)
_NO_WAY = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED,
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED,
)  # of the sender or the address, whatever was posted
_AWAY = (HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)  # says who stands in front
_LONGEST_WAIT_S = 3600.0  # for which a receiver is left alone because it says so; guessed
_PREFIX = "whsec_"

logging.getLogger("httpx").setLevel(logging.WARNING)  # below it writes whole addresses into the log


class Post:
    """Posts to one address. A connection a request: notices are rare, and one that was kept may be dead when the next comes.

    Parameters
    ----------
    sender : str
        What errors call it.
    url : str
        Where to; checked.
    context : ssl.SSLContext
        Whom to trust.
    timeout_s : float
        Seconds for the connection, and for each part of the answer.
    headers : Mapping of str to str
        Sent with every request; their values are in no message.
    secrets : Iterable of str
        What else is in no message, whatever the receiver answers.
    """

    def __init__(
        self,
        sender: str,
        url: str,
        context: ssl.SSLContext,
        timeout_s: float,
        headers: Mapping[str, str] = MappingProxyType({}),
        secrets: Iterable[str] = (),
    ) -> None:
        parts = urlsplit(url)
        self.receiver = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        self._sender = sender
        self._url = url
        self._context = context
        self._timeout_s = timeout_s
        self._headers = dict(headers)
        credentials = [value.rpartition(" ")[2] for value in headers.values()]  # of `Bearer ...` too
        self._secrets = {*headers.values(), *credentials, *secrets}

    def send(self, body: bytes, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        """Post a body of JSON and return once the receiver took it.

        Raises
        ------
        NotDelivered
            When nobody answered, or the answer was 408, 425, 429 or none of the 2xx and 4xx.
        NotLetIn
            When it was 401, 403, 404, 405 or 407, which it would be of any other body.
        NoticeRefused
            When it was another 4xx.
        """
        sent = {"content-type": "application/json", "user-agent": "foreshock", **self._headers, **headers}
        try:
            with (
                httpx.Client(verify=self._context, timeout=self._timeout_s) as client,
                client.stream("POST", self._url, content=body, headers=sent) as answer,
            ):
                if not answer.is_success:
                    self._refuse(answer)
        except httpx.HTTPError as exc:
            said = blotted(str(exc) or type(exc).__name__, self._secrets)
            raise NotDelivered(f"{self._sender}: {self.receiver} gave no answer: {said}") from None

    def _refuse(self, answer: httpx.Response) -> None:
        said = blotted(" ".join(next(answer.iter_text(), "").split()), self._secrets)[:_SHOWN]
        text = f"{self._sender}: {self.receiver} answered {answer.status_code}{': ' if said else ''}{said}"
        if answer.status_code in _NO_WAY:
            raise NotLetIn(text)
        if answer.is_client_error and answer.status_code not in _LATER:
            raise NoticeRefused(text)
        raise NotDelivered(text, away=answer.status_code in _AWAY, wait_s=_asked_wait_s(answer.headers))


def trusted(setting: str, ca: Path | None) -> ssl.SSLContext:
    """Return whom a channel trusts.

    Parameters
    ----------
    setting : str
        Which one names the file.
    ca : Path or None
        A PEM file, None for what the system trusts.

    Raises
    ------
    InvalidSetting
        When the file cannot be read.
    """
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as exc:
        raise InvalidSetting(f"setting {setting}: {ca}: {exc}") from exc


def _asked_wait_s(headers: Mapping[str, str]) -> float:
    """Return the seconds for which a receiver wants to be left alone (RFC 9110, 10.2.3), a date by its own clock; 0 for none."""
    asked = headers.get("retry-after", "").strip()
    try:
        if asked.isascii() and asked.isdigit():
            wait_s = float(asked)
        else:
            wait_s = (parsedate_to_datetime(asked) - parsedate_to_datetime(headers.get("date", ""))).total_seconds()
    except (TypeError, ValueError):  # no date, or one without a zone beside one with it
        return 0.0
    return min(max(wait_s, 0.0), _LONGEST_WAIT_S)


def chunks(items: Sequence[T], most: int = _MOST) -> Iterator[Sequence[T]]:
    """Iterate over parts of what is to be sent, each of at most so many.

    Examples
    --------
    >>> list(chunks("abcde", 2))
    ['ab', 'cd', 'e']
    """
    return (items[start : start + most] for start in range(0, len(items), most))


def key_of(setting: str, secret: str) -> bytes:
    r"""Return what a secret signs with: the bytes behind ``whsec_``, or its text.

    Parameters
    ----------
    setting : str
        Which one holds it.
    secret : str
        As settings have it.

    Raises
    ------
    InvalidSetting
        When it is not what it begins like; it is not shown.

    Examples
    --------
    >>> key_of("runbook.secret", "whsec_AAEC"), key_of("runbook.secret", "a secret of ours")
    (b'\x00\x01\x02', b'a secret of ours')
    """
    if not secret.startswith(_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raise InvalidSetting(f"setting {setting}: what follows {_PREFIX} must be Base64; the value is not shown") from None


def signature(key: bytes, message: str, at_s: int, body: bytes) -> str:
    """Return what proves that the holder of a key wrote a message at a time.

    Parameters
    ----------
    key : bytes
        The secret.
    message : str
        Id of the message.
    at_s : int
        Unix seconds.
    body : bytes
        What is posted.

    References
    ----------
    Standard Webhooks, "Signature scheme", 2023; RFC 2104.

    Examples
    --------
    >>> signature(b"a secret of ours", "msg_1", 1700000000, b"{}")
    'v1,1jhV36eKhbf1M1GjBn+Jng6K/xzQ2PTerdHhH1FSZzs='
    """
    digest = hmac.digest(key, b"%s.%d.%s" % (message.encode(), at_s, body), "sha256")
    return f"v1,{base64.b64encode(digest).decode()}"


def signed(keys: Iterable[bytes], message: str, at_s: int, body: bytes) -> dict[str, str]:
    """Return the headers that name a message and prove who sends it, with one signature for each key."""
    proofs = " ".join(signature(key, message, at_s, body) for key in keys)
    return {"webhook-id": message, "webhook-timestamp": str(at_s), "webhook-signature": proofs}
