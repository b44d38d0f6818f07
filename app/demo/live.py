"""Play the shop in real time through the OpenTelemetry Python SDK, one provider for each process of the shop.

The same minutes that `app.demo.render` renders are spread over the seconds of the wall clock; the SDK's own processors
and exporters send them by OTLP/HTTP, as any instrumented service would.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np
from opentelemetry import context as otel_context
from opentelemetry import trace as otel
from opentelemetry._logs import Logger, SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from app.demo.attributes import resource_attributes, span_attributes, span_kind, span_name
from app.demo.gauges import metrics_of, readings
from app.demo.minute import Identity, LogLine, Minute
from app.demo.simulate import Shop
from app.demo.story import LEVEL_NAMES, path_of, tell_log, tell_span
from app.demo.topology import TOPOLOGY

__all__ = ["Stop", "live"]

SCOPE = "shop.instrumentation"
MINUTE = timedelta(minutes=1)
EXPORT_DELAY_MS = 1000
_KINDS = (
    otel.SpanKind.INTERNAL,
    otel.SpanKind.INTERNAL,
    otel.SpanKind.SERVER,
    otel.SpanKind.CLIENT,
    otel.SpanKind.PRODUCER,
    otel.SpanKind.CONSUMER,
)
"""By the protocol's number of the kind."""


class Stop(Protocol):
    """What ends the play: a `threading.Event`, or a fake that moves its own clock."""

    def is_set(self) -> bool:
        """Tell whether to stop."""
        ...

    def wait(self, timeout: float | None = None) -> bool:
        """Wait so many seconds, or until it is set."""
        ...


@dataclass(slots=True, eq=False)
class _Process:
    """The providers of one process of the shop."""

    tracer: otel.Tracer
    logger: Logger
    reader: PeriodicExportingMetricReader
    meters: MeterProvider
    values: list[float]


class _Stage:
    """The processes that play now, and the processors and exporters that they share."""

    def __init__(self, endpoint: str) -> None:
        url = endpoint.rstrip("/")
        self._spans = BatchSpanProcessor(OTLPSpanExporter(f"{url}/v1/traces"), schedule_delay_millis=EXPORT_DELAY_MS)
        self._logs = BatchLogRecordProcessor(OTLPLogExporter(f"{url}/v1/logs"), schedule_delay_millis=EXPORT_DELAY_MS)
        self._metrics = OTLPMetricExporter(f"{url}/v1/metrics")
        self._processes: dict[int, tuple[Identity, _Process]] = {}

    def process(self, minute: Minute, instance: int) -> _Process:
        """Return the process that an instance is in a minute; a restart or deployment makes a new one."""
        identity = minute.identities[instance]
        known = self._processes.get(instance)
        if known is None or known[0] != identity:
            known = (identity, self._start(instance, identity))
            self._processes[instance] = known
        return known[1]

    def _start(self, instance: int, identity: Identity) -> _Process:
        service = int(TOPOLOGY.instance_service[instance])
        resource = Resource(dict(resource_attributes(service, instance, identity)))
        tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
        tracers.add_span_processor(self._spans)
        loggers = LoggerProvider(resource=resource, shutdown_on_exit=False)
        loggers.add_log_record_processor(self._logs)
        # Read by hand at each minute's end, so that no thread of its own is needed.
        reader = PeriodicExportingMetricReader(self._metrics, export_interval_millis=math.inf)
        meters = MeterProvider([reader], resource, shutdown_on_exit=False)
        metrics = metrics_of(service)
        process = _Process(tracers.get_tracer(SCOPE), loggers.get_logger(SCOPE), reader, meters, [0.0] * len(metrics))
        meter = meters.get_meter(SCOPE)
        for i, metric in enumerate(metrics):
            make = meter.create_observable_up_down_counter if metric.is_sum else meter.create_observable_gauge
            make(metric.name, [_observe(process.values, i, dict(metric.attributes), metric.is_count)], metric.unit)
        return process

    def report(self, minute: Minute) -> None:
        """Send the levels of all living processes."""
        for instance, _, values in readings(minute):
            process = self.process(minute, instance)
            process.values[:] = values
            process.reader.collect()

    def close(self) -> None:
        """Send what waits, then end."""
        self._spans.shutdown()
        self._logs.shutdown()
        self._metrics.shutdown()


def _observe(
    values: list[float], i: int, attributes: dict[str, str], is_count: bool
) -> Callable[[CallbackOptions], Sequence[Observation]]:
    def read(_: CallbackOptions) -> Sequence[Observation]:
        return [Observation(int(values[i]) if is_count else values[i], attributes)]

    return read


def live(endpoint: str, shop: Shop, now: Callable[[], datetime], stop: Stop) -> int:
    """Play the shop from now on until stopped, and send what is still waiting.

    Parameters
    ----------
    endpoint : str
        Base address of an OTLP/HTTP receiver, like ``http://127.0.0.1:4318``.
    shop : Shop
        The shop, whose minute 0 lies in the past; its schedule is extended as time goes on.
    now : callable
        The clock, aware.
    stop : Stop
        Set it to end; a `threading.Event`.

    Returns
    -------
    int
        How many spans were played.
    """
    stage = _Stage(endpoint)
    n_spans = 0
    try:
        while not stop.is_set():
            number = (now() - shop.start) // MINUTE
            shop = shop.extended(number)
            n_spans += _play(stage, shop.minute(number), now, stop)
    finally:
        stage.close()
    return n_spans


def _play(stage: _Stage, minute: Minute, now: Callable[[], datetime], stop: Stop) -> int:
    """Play what is left of a minute."""
    n_spans = 0
    since_ns = _since_ns(minute, now())
    for due_ns, rows, lines in _acts(minute):
        if due_ns < since_ns:  # began in the middle of a minute
            continue
        if stop.wait(max(due_ns - _since_ns(minute, now()), 0) / 1e9):
            return n_spans
        _send(stage, minute, rows, lines)
        n_spans += len(rows)
    stage.report(minute)
    stop.wait(max(60 * 10**9 + 10**6 - _since_ns(minute, now()), 0) / 1e9)
    return n_spans


def _since_ns(minute: Minute, at: datetime) -> int:
    return int(at.timestamp() * 1e9) - minute.start_ns


def _acts(minute: Minute) -> Iterator[tuple[int, list[int], list[LogLine]]]:
    """Yield when to send what: a whole trace with its log records once it has ended, a loose record at its time."""
    spans = minute.spans
    acts: list[tuple[int, list[int], list[LogLine]]] = [(line.time_ns, [], [line]) for line in minute.logs if line.span < 0]
    of_trace: dict[int, list[LogLine]] = {}
    for line in minute.logs:
        if line.span >= 0:
            of_trace.setdefault(int(spans.trace[line.span]), []).append(line)
    for trace in np.unique(spans.trace).tolist():
        rows = np.flatnonzero(spans.trace == trace)
        acts.append((int(spans.end_ns[rows].max()), rows.tolist(), of_trace.get(trace, [])))
    yield from sorted(acts, key=lambda act: act[0])


def _send(stage: _Stage, minute: Minute, rows: list[int], lines: list[LogLine]) -> None:
    contexts: dict[int, otel.SpanContext] = {-1: otel.INVALID_SPAN_CONTEXT}
    for row in rows:  # parents come first
        contexts[row] = _send_span(stage, minute, row, contexts[int(minute.spans.parent[row])])
    for line in lines:
        story = tell_log(minute, line)
        stage.process(minute, line.instance).logger.emit(
            timestamp=minute.start_ns + story.time_ns,
            observed_timestamp=minute.start_ns + story.time_ns,
            context=_within(contexts[line.span]),
            severity_number=SeverityNumber(line.severity),
            severity_text=LEVEL_NAMES[line.severity],
            body=story.message,
            attributes=dict(story.attributes),
        )


def _within(parent: otel.SpanContext) -> otel_context.Context:
    # An empty context, so that a surrounding span of the demo itself never becomes a parent.
    return otel.set_span_in_context(otel.NonRecordingSpan(parent), otel_context.Context())


def _send_span(stage: _Stage, minute: Minute, row: int, parent: otel.SpanContext) -> otel.SpanContext:
    spans = minute.spans
    role, ref, symptom = int(spans.role[row]), int(spans.ref[row]), int(spans.symptom[row])
    attributes = dict(span_attributes(role, ref, int(spans.status[row]), symptom))
    if (path := path_of(role, ref, minute.span_ids[8 * row])) is not None:
        attributes["url.path"] = path
    span = stage.process(minute, int(spans.instance[row])).tracer.start_span(
        span_name(role, ref),
        _within(parent),
        _KINDS[span_kind(role, ref)],
        attributes,
        start_time=minute.start_ns + int(spans.start_ns[row]),
    )
    if symptom or spans.handled[row]:
        story = tell_span(minute, row)
        if story.attributes:
            span.add_event("exception", dict(story.attributes), minute.start_ns + story.time_ns)
        if story.failed:
            span.set_status(otel.Status(otel.StatusCode.ERROR, story.message))
    span.end(minute.start_ns + int(spans.end_ns[row]))
    return span.get_span_context()
