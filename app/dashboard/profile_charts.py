"""The charts of a service's page: out of history what was, out of the newest trend where it goes, incidents and versions marked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

import numpy as np

from app.cache.records import IncidentRecord, PredictionRecord
from app.cache.trend_records import POINT, SINGLE, TrendRecord
from app.dashboard import charts, words
from app.dashboard.charts import Series, Stroke
from app.dashboard.frame import ChartData
from app.dashboard.markup import Markup, h
from app.dashboard.past import Array, Past, ServicePast
from app.dashboard.sources import Sources, View
from features.series import WHOLE
from models.prediction import AnomalyScore

__all__ = ["ProfileCharts"]

Point: TypeAlias = "tuple[float, float | None]"
_Span: TypeAlias = "tuple[float, float, float, float]"

_FRESH_S = 20.0  # guessed: what four charts of one page are drawn from is read once


class ProfileCharts:
    """Draws a service.

    Parameters
    ----------
    sources : Sources
        Where trends, predictions and incidents are.
    view : View
        How far back.
    service : str
        Which.
    past : Past
        Reads history.
    """

    def __init__(self, sources: Sources, view: View, service: str, past: Past) -> None:
        self._sources = sources
        self._cache = sources.cache
        self._view = view
        self._service = service
        self._past = past
        self._read: tuple[float, ServicePast] | None = None
        self._seen: dict[float, AnomalyScore] = {}  # since the page was opened, by the end of their window

    def forecasts(self) -> ChartData:
        """Draw what was forecast beside what came."""
        found = self._history().forecasts
        newest = self._cache.one("predictions", self._view.key(self._service, WHOLE), PredictionRecord)
        series: list[Series] = []
        strokes: tuple[tuple[str, str, Stroke], ...] = (
            ("60min", "--a", "solid"),
            ("15min", "--b", "dashed"),
            ("5min", "--c", "dotted"),
        )
        for name, color, stroke in strokes:
            points = list(zip(found.as_of_s.tolist(), found.horizons[name].tolist(), strict=True))
            if newest is not None:
                points.append((newest.as_of.timestamp(), newest.horizons[name].probability))
            series.append(charts.line(f"within {name.removesuffix('min')} min", points, color, stroke=stroke))
        series[0] = charts.mark_areas(series[0], self._incidents())
        last = newest.as_of.timestamp() if newest else _last(found.as_of_s)
        return self._chart("Forecasts and incidents", series, "probability, incidents shaded", last, "percent")

    def errors(self) -> ChartData:
        """Draw errors with the bounds of what was normal, and the next hour."""
        windows, trend = self._history().windows, self._trend()
        series = [charts.bars("errors", _pairs(windows.start_s, windows.errors), "--b")]
        series += self._expected("errors", "expected bounds")
        if trend is not None:
            series += _fan(trend, trend.errors_per_minute)
        series[0] = charts.mark_lines(series[0], self._versions())
        return self._chart("Errors", series, "errors/min", _last(windows.start_s))

    def _expected(self, signal: str, name: str) -> list[Series]:
        """Return the bounds of a signal: those that history has, then those that came since the page was opened and are not there yet."""
        found, tick_s = self._history().bounds, self._sources.tick_s
        newest = self._cache.one("predictions", self._view.key(self._service, WHOLE), PredictionRecord)
        if newest is not None:
            self._seen[newest.as_of.timestamp()] = newest.anomaly
        since = max(self._sources.parts.now().timestamp() - self._view.range_s, _last(found.end_s) or 0.0)
        self._seen = {at: one for at, one in self._seen.items() if at > since}
        spans: list[_Span] = list(zip(*(a.tolist() for a in (found.start_s, found.end_s, *found.sides[signal])), strict=True))
        unit = 60.0 / tick_s if signal == "errors" else 1.0
        for at, one in sorted(self._seen.items()):
            # A prediction carries the bounds of its most surprising signal alone.
            low, high = (one.lower * unit, one.upper * unit) if one.signal == signal else (np.nan, np.nan)
            spans.append((at - tick_s, at, low, high))
        return charts.band(name, *_steps(spans), "bounds") if any(np.isfinite(span).all() for span in spans) else []

    def latency(self) -> ChartData:
        """Draw what one request in twenty exceeds with the next hour of it, and the mean with the bounds of what was normal."""
        windows, trend = self._history().windows, self._trend()
        series = [
            charts.line("p95", _pairs(windows.start_s, windows.p95_s), "--a"),
            charts.line("mean", _pairs(windows.start_s, windows.mean_s), "--c", stroke="dotted"),
            *self._expected("latency", "expected bounds of the mean"),
        ]
        if trend is not None and trend.p95_s is not None:
            series += _fan(trend, trend.p95_s)
        series[0] = charts.mark_lines(series[0], self._versions())
        return self._chart(
            "Latency: what one request in twenty exceeds, and the mean", series, "seconds", _last(windows.start_s), "seconds"
        )

    def traffic(self) -> ChartData:
        """Draw requests, and how many of them failed."""
        windows = self._history().windows
        failed = windows.requests * windows.failed
        series = [
            charts.area("requests", _pairs(windows.start_s, windows.requests), "--a"),
            charts.line("failed", _pairs(windows.start_s, failed), "--b", stroke="dashed"),
        ]
        return self._chart("Traffic", series, "requests/min", _last(windows.start_s))

    def _chart(self, title: str, series: Sequence[Series], unit: str, last_s: float | None, form: str = "number") -> ChartData:
        options = charts.time_chart(series)
        note: Markup | str = (
            "nothing in this range" if last_s is None else h("span", "newest point ", words.age(words.moment(last_s)))
        )
        label = f"{title} of {self._service} over the last {self._view.range}, in {unit}"
        return ChartData(title, h("span", f"{unit}, times in UTC, ", note), options, label, form)

    def _history(self) -> ServicePast:
        now = self._sources.parts.now().timestamp()
        if self._read is None or now - self._read[0] > _FRESH_S:
            self._read = now, self._past.service(self._view.tenant, self._service, self._view.range_s)
        return self._read[1]

    def _trend(self) -> TrendRecord | None:
        return self._cache.one("trends", self._view.key(self._service, WHOLE), TrendRecord)

    def _versions(self) -> Iterator[tuple[float, str]]:
        """Yield the versions that spoke first within the range; the first of all was there before."""
        for version, at in sorted(self._history().versions.items(), key=lambda one: one[1])[1:]:
            yield at, version

    def _incidents(self) -> Iterator[tuple[float, float, str]]:
        """Yield the stretches of the whole service's incidents, or of its operations' where it has none of its own."""
        now = self._sources.parts.now().timestamp()
        records = self._cache.all("incidents", self._view.prefix, IncidentRecord).values()
        own = [record for record in records if record.service == self._service]
        for record in [record for record in own if record.operation == WHOLE] or own:
            end = record.end.timestamp() if record.end else now
            if end > now - self._view.range_s:
                yield max(record.start.timestamp(), now - self._view.range_s), end, ""


def _steps(spans: Iterable[_Span]) -> tuple[list[Point], list[Point]]:
    """Return lower and upper bounds that are level over each span (start, end, lower, upper), and broken where one is missing.

    Examples
    --------
    >>> _steps([(0.0, 60.0, 1.0, 4.0), (120.0, 180.0, 2.0, 5.0)])[1]
    [(0.0, 4.0), (60.0, 4.0), (60.0, None), (120.0, 5.0), (180.0, 5.0)]
    """
    lower, upper, last = list[Point](), list[Point](), np.inf
    for start, end, low, high in spans:
        if start > last:
            lower.append((last, None))
            upper.append((last, None))
        lower += [(start, low), (end, low)]
        upper += [(start, high), (end, high)]
        last = end
    return lower, upper


def _fan(trend: TrendRecord, numbers: Sequence[float | None]) -> list[Series]:
    """Return the next hour: what is expected with its bounds, what is usual then, and the limit."""
    start = trend.as_of.timestamp()
    rest = list(numbers[len(SINGLE) :])
    rows: list[dict[str, float | None]] = [dict(zip(POINT, rest[i:], strict=False)) for i in range(0, len(rest), len(POINT))]
    level = numbers[SINGLE.index("level")]

    def points(name: str) -> list[tuple[float, float | None]]:
        return [(start, level), *((start + float(row["in_s"] or 0.0), row[name]) for row in rows)]

    later = [(at, value) for at, value in points("limit")[1:]]
    return [
        *charts.band("forecast bounds", points("lower"), points("upper"), "fan"),
        charts.line("forecast", points("expected"), "--a", stroke="dashed"),
        charts.line("usual", points("usual")[1:], "--low", stroke="dotted"),
        charts.line("limit", later, "--high", stroke="dashed"),
    ]


def _pairs(times: Array, values: Array) -> list[tuple[float, float | None]]:
    return list(zip(times.tolist(), values.tolist(), strict=True))


def _last(times: Array) -> float | None:
    return float(times[-1]) if len(times) else None
