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
    """It is not known whether a receiver has a notice."""

    retryable: ClassVar[bool] = True


class NoticeRefused(NotDelivered):
    """A receiver will not take a notice, now or later."""

    retryable: ClassVar[bool] = False


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
