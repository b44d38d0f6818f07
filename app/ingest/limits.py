"""The bounds that hold for one request, taken from the settings once and handed to every part of ingest."""

from __future__ import annotations

from dataclasses import dataclass

from app.settings import IngestSettings
from features.errors import InvalidSetting

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what one request may bring.

    Parameters
    ----------
    max_body_bytes : int
        Bytes of a body after decompression, and of one without any.
    max_packed_bytes : int
        Bytes of a compressed body as received.
    max_records : int
        Spans, log records or data points of one request.
    max_errors_per_request : int
        Errors decoded; the rest is only counted.
    max_attribute_chars : int
        Characters kept of an attribute, a message or a stack trace.
    max_attributes : int
        Attributes kept of one error.
    max_attribute_depth : int
        Structures within structures that the text of an attribute shows.
    max_in_flight_bytes : int
        Bytes of all requests that wait for the log together.
    max_tenant_in_flight_bytes : int
        Of one tenant.
    max_lag : int
        Log messages that may wait to be absorbed.
    span_end_sample : int
        One of how many traces without errors gives its span ends.
    tick_s : int
        Seconds of a window.
    max_name_chars : int
        Characters kept of the name of a service, an operation, a metric or a peer. Guessed: names are labels.
    max_operations : int
        Operations that one request may name for one service; further ones go to ``_other``. Guessed: 64
        times what a service keeps as series of their own by default.
    max_rows : int
        Traffic groups, and levels, and calls, that one request may make; records beyond are refused. Guessed:
        about 20 MB of arrays, which no real request comes near.

    Raises
    ------
    InvalidSetting
        When the largest body would never fit the bytes in flight, or a bound is not positive.
    """

    max_body_bytes: int = 64 * 2**20
    max_packed_bytes: int = 64 * 2**20
    max_records: int = 100_000
    max_errors_per_request: int = 1000
    max_attribute_chars: int = 4096
    max_attributes: int = 32
    max_attribute_depth: int = 6
    max_in_flight_bytes: int = 256 * 2**20
    max_tenant_in_flight_bytes: int = 192 * 2**20
    max_lag: int = 1_000_000
    span_end_sample: int = 16
    tick_s: int = 60
    max_name_chars: int = 256
    max_operations: int = 4096
    max_rows: int = 100_000

    def __post_init__(self) -> None:
        if self.max_in_flight_bytes < self.max_body_bytes:
            raise InvalidSetting(
                f"max_in_flight_bytes must be >= max_body_bytes ({self.max_body_bytes}), got {self.max_in_flight_bytes}"
            )
        for name in (
            "max_body_bytes",
            "max_packed_bytes",
            "max_records",
            "max_lag",
            "span_end_sample",
            "tick_s",
            "max_name_chars",
            "max_operations",
            "max_rows",
            "max_attribute_depth",
        ):
            if getattr(self, name) < 1:
                raise InvalidSetting(f"{name} must be >= 1, got {getattr(self, name)}")

    @classmethod
    def of(cls, settings: IngestSettings, tick_s: int) -> Limits:
        """Return the limits of the settings.

        Examples
        --------
        >>> Limits.of(IngestSettings(), 60) == Limits()
        True
        """
        return cls(
            max_body_bytes=settings.max_body_bytes,
            max_packed_bytes=settings.max_packed_bytes,
            max_records=settings.max_records_per_request,
            max_errors_per_request=settings.max_errors_per_request,
            max_attribute_chars=settings.max_attribute_chars,
            max_attributes=settings.max_attributes,
            max_attribute_depth=settings.max_attribute_depth,
            max_in_flight_bytes=settings.max_in_flight_bytes,
            max_tenant_in_flight_bytes=settings.max_tenant_in_flight_bytes,
            max_lag=settings.max_lag,
            span_end_sample=settings.span_end_sample,
            tick_s=tick_s,
            max_name_chars=settings.max_name_chars,
            max_operations=settings.max_operations_per_request,
            max_rows=settings.max_rows_per_request,
        )
