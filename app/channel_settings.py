"""Settings of channels, by which notices leave: a table ``[channels.NAME]`` for each, whose ``kind`` says what else it holds.

`app.settings` holds them, `app.alerts.channels` makes channels of them. Who is sent what is none of their business.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import SplitResult, urlsplit

import httpx
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    field_validator,
    model_validator,
)

__all__ = [
    "AlertmanagerSettings",
    "AppriseSettings",
    "ChannelName",
    "ChannelSettings",
    "SignedWebhookSettings",
    "checked_address",
    "checked_header",
    "checked_headers",
]

ChannelName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_\-]{1,64}$")]
"""What a channel is called: routes name it, and so do errors and metrics."""

_NO_ADDRESS = "must begin with http:// or https:// and name a host, without a fragment"
_SPACE = re.compile(r"[\x00-\x20\x7f]")
_HEADER_NAME = re.compile(r"[A-Za-z0-9_\-]+")
_HEADER = re.compile(r"[!-~]+( +[!-~]+)*")
_SHORTEST_SECRET = 16  # characters; guessed: shorter ones can be tried out


def checked_header(value: SecretStr) -> SecretStr:
    r"""Return what a header can hold: visible ASCII with single spaces between (RFC 9110, 5.5).

    Raises
    ------
    ValueError
        When it holds something else, such as the line's end of the file that it was read from. It is not in the message.

    Examples
    --------
    >>> checked_header(SecretStr("Bearer t0ken"))
    SecretStr('**********')
    >>> checked_header(SecretStr("t0ken\n"))
    Traceback (most recent call last):
    ValueError: must be visible ASCII without a space or a line's end around it
    """
    if not _HEADER.fullmatch(value.get_secret_value()):
        raise ValueError("must be visible ASCII without a space or a line's end around it")
    return value


def checked_headers(headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
    """Return headers that can be sent.

    Raises
    ------
    ValueError
        When one cannot; no value is in the message.
    """
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError("names of headers must be letters, digits, - and _")
        checked_header(value)
    return headers


class _Channel(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, frozen=True)

    timeout_s: float = Field(default=10.0, gt=0.0, le=300.0)
    """Seconds within which a receiver must take the connection, and then each part of its answer come. Notices of the channel wait for it, so a long time lets a receiver that hangs delay the others; a short one repeats what a slow receiver took after all."""


class _HttpChannel(_Channel):
    ca: Path | None = None
    """PEM file of the authority that signed the receiver's certificate. None trusts those of the system."""


class AlertmanagerSettings(_HttpChannel):
    """The Alertmanagers of one cluster: all of them are told, and it is enough that one has it."""

    kind: Literal["alertmanager"]
    """Says what the table is."""
    urls: tuple[str, ...] = Field(min_length=1)
    """Addresses such as `http://alertmanager:9093`, with the prefix if there is one; `/api/v2/alerts` is added. Name every member of the cluster, as Prometheus does: what one has does not come to one that is cut off."""
    username: str = ""
    """Name for basic authentication. Empty sends none."""
    password: SecretStr | None = None
    """Password for basic authentication, with `username`."""
    token: SecretStr | None = None
    """Token that is sent as `Authorization: Bearer`, in the place of name and password."""

    @field_validator("urls")
    @classmethod
    def _are_addresses(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        for url in urls:
            if checked_address(url).username is not None:
                raise ValueError("must hold no user name: username and password have settings of their own")
        return tuple(url.rstrip("/") for url in urls)

    @field_validator("token")
    @classmethod
    def _fits_a_header(cls, token: SecretStr | None) -> SecretStr | None:
        return token and checked_header(token)

    @model_validator(mode="after")
    def _log_in_one_way(self) -> Self:
        if bool(self.username) != (self.password is not None):
            raise ValueError("username and password belong together")
        if self.username and self.token is not None:
            raise ValueError("token must not be set beside username")
        return self


class SignedWebhookSettings(_HttpChannel):
    """One address that takes what Alertmanager's webhooks send, signed."""

    kind: Literal["webhook"]
    """Says what the table is."""
    url: SecretStr
    """Where to post, such as `https://bridge.example.com/alerts`. It is never printed, since its path may be what lets a sender in."""
    secrets: tuple[SecretStr, ...] = Field(min_length=1)
    """What bodies are signed with: text of at least 16 characters, or `whsec_` and the bytes in Base64. Each makes a signature of its own, so that a new one can be brought in before the old one goes: first here beside the old one, then at the receiver, then the old one goes."""
    headers: dict[str, SecretStr] = {}
    """Headers to send beside, such as `Authorization`. None by default; their values are never printed."""
    group_by: tuple[str, ...] = ("tenant", "alertname", "service")
    """Labels that name a group to the receiver, where all notices of a delivery share their value: `groupLabels` and `groupKey` hold them. More tell finer groups apart; with none all that the channel ever sends is one group."""

    _headers = field_validator("headers")(checked_headers)

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: SecretStr) -> SecretStr:
        checked_address(url.get_secret_value())
        return url

    @field_validator("secrets")
    @classmethod
    def _are_long(cls, secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(secret.get_secret_value()) < _SHORTEST_SECRET for secret in secrets):
            raise ValueError(f"each must be at least {_SHORTEST_SECRET} characters")
        return secrets


class AppriseSettings(_Channel):
    """Mail, Slack, Teams, PagerDuty and whatever else apprise knows."""

    kind: Literal["apprise"]
    """Says what the table is."""
    urls: tuple[SecretStr, ...] = Field(min_length=1)
    """Addresses as apprise writes them, such as `mailtos://user:password@example.com?to=oncall@example.com` or `slack://TOKEN_A/TOKEN_B/TOKEN_C/#oncall`. They hold passwords, so they are never printed. All of them are told; one that fails is tried again without those that have it, as long as the process lives."""


ChannelSettings = Annotated[AlertmanagerSettings | SignedWebhookSettings | AppriseSettings, Field(discriminator="kind")]
"""A table ``[channels.NAME]``."""


def checked_address(url: str) -> SplitResult:
    """Return the parts of an address that something can be posted to.

    Raises
    ------
    ValueError
        When it is none. The address is not in the message.

    Examples
    --------
    >>> checked_address("https://am.example:9093/prefix").hostname
    'am.example'
    >>> checked_address("am.example:9093")
    Traceback (most recent call last):
    ValueError: must begin with http:// or https:// and name a host, without a fragment
    """
    try:
        parts = urlsplit(url)
        port = parts.port
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL):  # its text has the port, or what stands in its place
        raise ValueError(_NO_ADDRESS) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.fragment or port == 0 or _SPACE.search(url):
        raise ValueError(_NO_ADDRESS)
    return parts
