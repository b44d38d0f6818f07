"""The one tree of errors, shared by every layer.

ForeshockError
├── InvalidValue          a value from outside breaks a bound; the message names both
│   ├── MalformedBody     an OTLP body that cannot be decoded
│   ├── BodyTooLarge      a body larger than the limit, before or after decompression
│   └── InvalidSetting    a setting that stops the start
├── Overloaded            a bounded queue is full; the same input works later
│   ├── LogFull           the log holds as many bytes as it may
│   └── AlreadyWaiting    the tenant has as much waiting as it may; others are not concerned
├── Fenced                a newer owner holds the partition
├── Conflict              a compare-and-set lost
├── DataInUse             another process holds the data folder
├── NotDelivered          nobody knows whether a receiver has a notice
│   └── NoticeRefused     it will not take the notice, now or later
│       └── NotLetIn      it takes nothing of ours, until somebody mends how we come there
├── StoreFailed           the disk or the log refused; the same input works later
│   └── CircuitOpen       what has to be asked is away, and is left alone for a moment
├── PartStopped           a thread of the service died
├── SnapshotMismatch      a snapshot of another version or another configuration
│   └── NewerVersion      what a newer release wrote; to pass over it would lose it
└── UntrustedArtifact     a model file that no signed entry of the manifest names
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "AlreadyWaiting",
    "BodyTooLarge",
    "CircuitOpen",
    "Conflict",
    "DataInUse",
    "Fenced",
    "ForeshockError",
    "InvalidSetting",
    "InvalidValue",
    "LogFull",
    "MalformedBody",
    "NewerVersion",
    "NotDelivered",
    "NotLetIn",
    "NoticeRefused",
    "Overloaded",
    "PartStopped",
    "SnapshotMismatch",
    "StoreFailed",
    "UntrustedArtifact",
]


class ForeshockError(Exception):
    """Root of every error that Foreshock raises itself."""

    retryable: ClassVar[bool] = False
    """Whether the same input can succeed later."""


class InvalidValue(ForeshockError):
    """A value from outside breaks a bound."""


class MalformedBody(InvalidValue):
    """An OTLP body cannot be decoded."""


class BodyTooLarge(InvalidValue):
    """A body is larger than the limit, before or after decompression."""


class InvalidSetting(InvalidValue):
    """A setting breaks its bound, so the service does not start."""


class Overloaded(ForeshockError):
    """A bounded queue is full."""

    retryable: ClassVar[bool] = True


class AlreadyWaiting(Overloaded):
    """A tenant has as much waiting as it may, which concerns no other."""


class LogFull(Overloaded):
    """The log holds as many bytes as it may, and nothing of it may be forgotten yet."""


class Fenced(ForeshockError):
    """A newer owner holds the partition; this one may change nothing."""


class Conflict(ForeshockError):
    """A compare-and-set found another revision."""

    retryable: ClassVar[bool] = True


class DataInUse(ForeshockError):
    """Another process holds the data folder."""

    retryable: ClassVar[bool] = True


class NotDelivered(ForeshockError):
    """It is not known whether a receiver has a notice.

    Parameters
    ----------
    text : str
        What happened.
    away : bool
        Whether nobody was there who could take anything. One that answered is not away, whatever it said.
    wait_s : float
        Seconds for which the receiver wants to be left alone; 0 where it did not say.
    took : bool
        Whether others of several receivers have it.
    """

    retryable: ClassVar[bool] = True

    def __init__(self, text: str, *, away: bool = True, wait_s: float = 0.0, took: bool = False) -> None:
        super().__init__(text)
        self.away = away
        self.wait_s = wait_s
        self.took = took


class NoticeRefused(NotDelivered):
    """A receiver will not take a notice, now or later. Parameters are the first three of `NotDelivered`."""

    retryable: ClassVar[bool] = False

    def __init__(self, text: str, *, away: bool = False, wait_s: float = 0.0) -> None:
        super().__init__(text, away=away, wait_s=wait_s)


class NotLetIn(NoticeRefused):
    """A receiver takes nothing of ours, as with a token that is over or an address that is gone.

    That is not the fault of the notice, so what is to be told waits until somebody has mended it on one side or the other.
    """


class StoreFailed(ForeshockError):
    """The durable store refused a read or a write, or is closed; nothing was changed."""

    retryable: ClassVar[bool] = True


class CircuitOpen(StoreFailed):
    """What has to be asked was away for a while, and is left alone for a moment; nothing was asked."""


class PartStopped(ForeshockError):
    """A part of the service died; the process must be started again."""

    retryable: ClassVar[bool] = True


class SnapshotMismatch(ForeshockError):
    """A snapshot was written by another version or configuration."""


class NewerVersion(SnapshotMismatch):
    """A newer release wrote this, so nothing of it is read, changed or passed over."""


class UntrustedArtifact(ForeshockError):
    """A model file is not one that a signed entry of the registry's manifest names; nothing of it was unpickled."""
