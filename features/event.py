"""One failure: as it was reported (`ErrorRecord`), and once it is classified (`ErrorEvent`).

`app.ingest` decodes ErrorRecords from spans and log records; `features.taxonomy.classify` and the
templates of `features.fingerprint` turn them into ErrorEvents in `app.flow.absorb`; ErrorEvents go
to the windows, to the recent errors that the API serves, and to history.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Literal

from features.errors import InvalidValue
from features.values import hot_value

__all__ = ["ErrorEvent", "ErrorRecord", "SeverityNumber"]

SeverityNumber = int
"""OpenTelemetry severity number, 1 to 24; 17 and above is an error."""


@hot_value()
class ErrorRecord:
    """A failing span or an error log record as its sender reported it.

    Parameters
    ----------
    source : {"span", "log"}
        Which record reported the failure.
    service, operation : str
        The service, and the span's name (``*`` for a log record).
    time_ns : int
        Unix nanoseconds as sent; `features.clock.place` replaces impossible ones.
    severity : int
        17 for a span, else the log record's severity number.
    trace_id, span_id : str
        Lower-case hexadecimal, empty when absent.
    exception_type, message, stack : str
        What failed; bounded by the ingest limits.
    attributes : Mapping[str, str]
        The bounded subset of attributes that says what kind of failure it was.
    weight : float
        How many failures it stands for: the adjusted count of a sampled span, else 1.
    """

    source: Literal["span", "log"]
    service: str
    operation: str
    time_ns: int
    severity: SeverityNumber = 17
    trace_id: str = ""
    span_id: str = ""
    exception_type: str = ""
    message: str = ""
    stack: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])
    weight: float = 1.0


@hot_value()
class ErrorEvent:
    """One error occurrence, classified. A failure reported up to three times is one ErrorEvent.

    Parameters
    ----------
    time, received_at : datetime
        Aware UTC; when it happened, and when it was received.
    tenant, service, operation : str
        Where it happened.
    category, kind : str
        Of `features.taxonomy`; ``unknown`` is a kind of its own and never hidden in a category.
    severity : int
        OpenTelemetry severity number.
    retryable, transient : bool
        Whether the same request can succeed later, and whether the cause passes by itself.
    fingerprint : str
        Names the group of like errors; stable across restarts.
    trace_id, span_id, exception_type, message, stack, attributes, weight
        As reported, bounded.

    Raises
    ------
    InvalidValue
        When a time is not aware.
    """

    time: datetime
    received_at: datetime
    tenant: str
    service: str
    operation: str
    category: str
    kind: str
    severity: SeverityNumber
    retryable: bool
    transient: bool
    fingerprint: str
    trace_id: str = ""
    span_id: str = ""
    exception_type: str = ""
    message: str = ""
    stack: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])
    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.time.tzinfo is None or self.received_at.tzinfo is None:
            raise InvalidValue(f"time and received_at must be aware, got {self.time!r} and {self.received_at!r}")
