"""The description of one minute of telemetry, and of the processes that sent it.

`app.demo.simulate.Shop.minute` makes it, `app.demo.render` and `app.demo.live` write it.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.demo.traces import SpanTable
from features.arrays import FloatArray

__all__ = ["Identity", "LogLine", "Minute"]


@dataclass(frozen=True, slots=True)
class Identity:
    """Which process an instance is at a time.

    Parameters
    ----------
    version, instance_id : str
        ``service.version`` and ``service.instance.id``; a restart or deployment changes the latter.
    """

    version: str
    instance_id: str


@dataclass(frozen=True, slots=True)
class LogLine:
    """One log record to be rendered.

    Parameters
    ----------
    instance : int
        Who writes it.
    time_ns : int
        Since the minute's start.
    severity : int
        OpenTelemetry severity number.
    symptom : int
        What it is about.
    span : int
        Row of the span it belongs to, or -1.
    salt : int
        Where its numbers and ids come from.
    """

    instance: int
    time_ns: int
    severity: int
    symptom: int
    span: int
    salt: int


@dataclass(frozen=True, slots=True, eq=False)
class Minute:
    """Description of one minute of telemetry; `app.demo.render.requests` writes it.

    Parameters
    ----------
    number : int
        Minutes since the shop's start.
    start_ns : int
        Unix nanoseconds of its start.
    spans : SpanTable
        The spans.
    span_ids, trace_ids : bytes
        8 bytes a span, 16 bytes a trace.
    logs : tuple of LogLine
        The log records.
    levels : FloatArray, shape (n_instances, n_levels)
        See `app.demo.levels.LEVELS`.
    identities : tuple of Identity
        Who each instance is.
    variants : tuple of int
        Which of several messages each service's trouble has.
    """

    number: int
    start_ns: int
    spans: SpanTable
    span_ids: bytes
    trace_ids: bytes
    logs: tuple[LogLine, ...]
    levels: FloatArray
    identities: tuple[Identity, ...]
    variants: tuple[int, ...]
