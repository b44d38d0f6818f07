"""What is said to a JetStream server and what it answers, as values: drafts, stored messages, and its refusals as errors.

`app.store.jetstream_link` sends and receives; nothing here touches a connection.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from features.errors import StoreFailed

__all__ = [
    "EXPECTED",
    "MAX_BATCH",
    "Draft",
    "NoRoom",
    "NotNow",
    "Refused",
    "Stored",
    "headers_of",
    "sequence_of",
    "without_secrets",
]

EXPECTED = "Nats-Expected-Last-Subject-Sequence"
"""Header of a compare-and-set: the sequence of the newest message of the subject, 0 for none."""

MAX_BATCH = 1000
"""Messages of an atomic batch at most; the server's own limit."""

_WRONG_SEQUENCE = (10071, 10164)  # of one message, and of one in a batch
_UNDER_WAY = (
    10158,
    10176,
)  # an earlier try is not stored yet; a batch whose beginning got lost, so that nothing of it is stored
_FULL = ("maximum bytes exceeded", "insufficient resources", "resource limits exceeded")
"""How servers say, under several codes, that a stream or their disks hold as much as they may. It does not help to come back at once."""

_UNAVAILABLE = 503


@dataclass(frozen=True, slots=True)
class Draft:
    """A message to be stored.

    Parameters
    ----------
    subject : str
        Where.
    data : bytes
        What.
    headers : Mapping of str to str
        `EXPECTED` among them for a compare-and-set.
    """

    subject: str
    data: bytes
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Stored:
    """A message of a stream, with its sequence."""

    subject: str
    sequence: int
    data: bytes
    headers: Mapping[str, str]


class Refused(Exception):
    """The server stored nothing, because a compare-and-set lost."""


class NoRoom(StoreFailed):
    """The server stored nothing, because the stream or its disk holds as much as it may."""


class NotNow(Exception):
    """The server stored nothing for now."""


def without_secrets(servers: object) -> str:
    """Return addresses without the token or the password before the @."""
    return re.sub(r"//[^/\s']*@", "//", str(servers))


def sequence_of(subject: str, answer: Mapping[str, Any]) -> int:
    """Return the sequence of an acknowledgement.

    Raises
    ------
    Refused, NoRoom, StoreFailed
        When it is none.
    """
    error = answer.get("error")
    if error is None:
        return int(answer["seq"])
    description = str(error.get("description"))
    said = f"{subject}: {description} ({error.get('err_code')})"
    if error.get("err_code") in _WRONG_SEQUENCE:
        raise Refused(said)
    if any(full in description for full in _FULL):
        raise NoRoom(f"the servers take no more until something is forgotten: {said}")
    if error.get("code") == _UNAVAILABLE or error.get("err_code") in _UNDER_WAY:
        raise NotNow(said)
    raise StoreFailed(said)


def headers_of(raw: bytes) -> dict[str, str]:
    """Return the headers of a message as the API returns them."""
    lines = raw.decode().split("\r\n")[1:]
    return {name: value.strip() for name, colon, value in (line.partition(":") for line in lines) if colon}
