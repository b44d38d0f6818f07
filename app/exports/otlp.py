"""Sends the probabilities of services to a receiver of OTLP, such as the user's own Collector, once a minute.

Each point bears the time that its prediction is as of, so one that is sent again is the same point. Of several nodes each sends what its
own partitions hold (`app.parts`), so every service is sent by one of them. `app.main` runs it in a thread.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import (
    Gauge,
    Metric,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from requests import Response, Session, TooManyRedirects

from app.alerts.posting import trusted
from app.cache.cache import PredictionHead
from app.export_settings import ExportSettings
from app.exports.chances import FORESEEN, Chances
from app.telemetry import Telemetry
from features.errors import ForeshockError
from models.prediction import HORIZONS

__all__ = ["OtlpExport"]

logger = logging.getLogger(__name__)

_TIMEOUT_S = 10.0  # for one request with its retries: the SDK's own default
_POINTS = 2000  # a request; guessed: some 300 KB before compression


class OtlpExport:
    """Sends what holds now, again and again.

    Parameters
    ----------
    chances : Chances
        What holds.
    admits : callable
        Whether this node sends a tenant's service.
    settings : ExportSettings
        Where to, and how often.
    version : str
        Of Foreshock, told to the receiver.
    telemetry : Telemetry
        Where points are counted by what became of them.

    Raises
    ------
    InvalidSetting
        When the file of the authority cannot be read.
    """

    def __init__(
        self,
        chances: Chances,
        admits: Callable[[str, str], bool],
        settings: ExportSettings,
        version: str,
        telemetry: Telemetry,
    ) -> None:
        self._chances = chances
        self._admits = admits
        self._settings = settings
        self._points = telemetry.exported_points
        self._faults = telemetry.faults.labels(place="export")
        # Not by `create`, which adds an instance: a service goes on as the same series when its partition moves to another node.
        self._resource = Resource({"service.name": "foreshock", "service.version": version})
        self._scope = InstrumentationScope("foreshock", version)
        if settings.otlp_ca is not None:
            trusted("export.otlp_ca", settings.otlp_ca)
        self._exporter = OTLPMetricExporter(
            endpoint=settings.otlp_endpoint,
            certificate_file=str(settings.otlp_ca) if settings.otlp_ca else None,
            headers={name: value.get_secret_value() for name, value in settings.otlp_headers.items()},
            timeout=_TIMEOUT_S,
            compression=Compression.Gzip,
            session=_session(),
            max_export_batch_size=_POINTS,
        )

    def run(self, stop: threading.Event) -> None:
        """Send at every interval until told to stop; what fails is tried again by the SDK, and made good by the next export."""
        while not stop.wait(self._settings.interval_s):
            try:
                self.send()
            except Exception as exc:  # forecasts go on whatever fails here
                unforeseen = None if isinstance(exc, ForeshockError) else exc
                logger.error("predictions were not sent over OTLP: %s", exc, exc_info=unforeseen)
                self._faults.inc()

    def send(self) -> bool:
        """Send what holds now, and return whether the receiver took all of it. Blocks for seconds where the receiver is away."""
        shown = self._chances.shown(self._settings.max_series, self._admits)
        points = [point for head in shown.heads if head.status in FORESEEN for point in _points_of(head)]
        if not points:
            return True
        sent = self._exporter.export(self._data(points)) is MetricExportResult.SUCCESS
        self._points.labels("sent" if sent else "failed").inc(len(points))
        return sent

    def close(self) -> None:
        """End what is under way."""
        self._exporter.shutdown()

    def _data(self, points: list[NumberDataPoint]) -> MetricsData:
        # Named so that a Collector which writes to Prometheus calls it what `/metrics` calls it; a unit of 1 would add `_ratio`.
        metric = Metric(
            "foreshock.incident.probability", "Probability that an incident begins within the horizon.", "", Gauge(points)
        )
        return MetricsData([ResourceMetrics(self._resource, [ScopeMetrics(self._scope, [metric], "")], "")])


def _session() -> Session:
    """Return what follows no redirect, so that headers go where settings say, and takes one for what it is: the SDK counts it as taken."""
    session = Session()
    session.max_redirects = 0  # for releases of the SDK that follow them
    session.hooks["response"].append(_refuse_redirect)
    return session


def _refuse_redirect(answer: Response, *_: object, **__: object) -> None:
    if answer.is_redirect:
        answer.close()
        raise TooManyRedirects(f"answered {answer.status_code}, and redirects are not followed")


def _points_of(head: PredictionHead) -> list[NumberDataPoint]:
    at_ns = round(head.as_of.timestamp() * 1000) * 10**6
    names = {"tenant": head.tenant, "service": head.service}
    return [
        NumberDataPoint({**names, "horizon": horizon}, 0, at_ns, head.horizons[horizon].probability) for horizon in HORIZONS
    ]
