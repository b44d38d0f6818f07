"""The charts of a service's page: out of history what was, out of the newest trend where it goes, incidents and versions marked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from app.cache.records import IncidentRecord, PredictionRecord
from app.cache.trend_records import POINT, SINGLE, TrendRecord
from app.dashboard import charts, ongoing, words
from app.dashboard.charts import Series, Stroke
from app.dashboard.frame import ChartData
from app.dashboard.markup import Markup, h
from app.dashboard.past import Array, Past, ServicePast, Windows
from app.dashboard.sources import Sources, View
from features.series import WHOLE
from models.prediction import AnomalyScore

__all__ = ["ProfileCharts"]

Point: TypeAlias = "tuple[float, float | None]"
_Span: TypeAlias = "tuple[float, float, float, float]"

_FRESH_S = 20.0  # guessed: what four charts of one page are drawn from is read once


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a prediction said that history may not have yet: probabilities by horizon, NaN where they are no question, and the anomaly."""

    chances: dict[str, float]
    anomaly: AnomalyScore


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
        self._seen: dict[float, _Seen] = {}  # since the page was opened, by the end of their window

    def forecasts(self) -> ChartData:
        """Draw what was forecast beside what came."""
        found, seen = self._history().forecasts, self._unwritten()
        series: list[Series] = []
        strokes: tuple[tuple[str, str, Stroke], ...] = (
            ("60min", "--a", "solid"),
            ("15min", "--b", "dashed"),
            ("5min", "--c", "dotted"),
        )
        for name, color, stroke in strokes:
            points = _pairs(found.as_of_s, found.horizons[name]) + [(at, one.chances[name]) for at, one in sorted(seen.items())]
            whole = charts.broken(points, found.width_s)
            series.append(charts.line(f"within {name.removesuffix('min')} min", whole, color, stroke=stroke))
        series[0] = charts.mark_areas(series[0], self._incidents())
        last = max(seen) if seen else _last(found.as_of_s)
        return self._chart(
            "Forecasts and incidents", series, "probability, none within incidents, which are shaded", last, "percent"
        )

    def errors(self) -> ChartData:
        """Draw errors with the bounds of what was normal, and the next hour."""
        windows, trend = self._history().windows, self._trend()
        series = [charts.bars("errors", _pairs(windows.start_s, windows.errors) + self._newest("errors"), "--b")]
        series += self._expected("errors", "expected bounds")
        if trend is not None:
            series += _fan(trend, trend.errors_per_minute)
        return self._chart("Errors", series, f"errors/min{self._normal('errors')}", self._end("errors"))

    def _expected(self, signal: str, name: str) -> list[Series]:
        """Return the bounds of a signal as a band, nothing where none are known."""
        spans = self._spans(signal)
        known = [span for span in spans if np.isfinite(span).all()]
        return charts.band(name, *_steps(spans), "bounds", "hatched") if known else []

    def _normal(self, signal: str) -> str:
        """Return the newest bounds of a signal in words, since a band may be too thin to be read; empty where none are known."""
        for _, _, low, high in reversed(self._spans(signal)):
            if np.isfinite([low, high]).all():
                shown = words.duration if signal == "latency" else words.amount
                of = " for the mean" if signal == "latency" else ""
                return f", normal{of} is {shown(low)}" + ("" if low == high else f" to {shown(high)}")
        return ""

    def _spans(self, signal: str) -> list[_Span]:
        """Return the bounds of a signal: those that history has, then those that came since the page was opened and are not there yet."""
        found, unit, tick_s = self._history().bounds, self._unit(signal), self._sources.tick_s
        spans: list[_Span] = list(zip(*(a.tolist() for a in (found.start_s, found.end_s, *found.sides[signal])), strict=True))
        for at, seen in sorted(self._unwritten().items()):
            one = seen.anomaly
            # A prediction carries the bounds of its most surprising signal alone.
            low, high = (one.lower * unit, one.upper * unit) if one.signal == signal else (np.nan, np.nan)
            spans.append((at - tick_s, at, low, high))
        return spans

    def _unwritten(self) -> dict[float, _Seen]:
        """Return what predictions said since the page was opened that is within the range and not in history yet."""
        newest = self._cache.one("predictions", self._view.key(self._service, WHOLE), PredictionRecord)
        if newest is not None:
            told = ongoing.foretold(newest.status, None)
            chances = {name: chance.probability if told else np.nan for name, chance in newest.horizons.items()}
            self._seen[newest.as_of.timestamp()] = _Seen(chances, newest.anomaly)
        written = _last(self._history().forecasts.as_of_s) or 0.0
        since = max(self._sources.parts.now().timestamp() - self._view.range_s, written)
        self._seen = {at: one for at, one in self._seen.items() if at > since}
        return self._seen

    def _newest(self, signal: str) -> list[Point]:
        """Return a signal of the windows that history has not got yet, by their start, where it was the most surprising one of its window."""
        unit, tick_s = self._unit(signal), self._sources.tick_s
        seen = sorted(self._unwritten().items())
        return [(at - tick_s, one.anomaly.value * unit) for at, one in seen if one.anomaly.signal == signal]

    def _end(self, signal: str) -> float | None:
        """Return the start of the newest window that is drawn."""
        newest = self._newest(signal)
        return newest[-1][0] if newest else _last(self._history().windows.start_s)

    def _unit(self, signal: str) -> float:
        """Return by what a signal of a window is multiplied to be one of a chart: errors are drawn a minute."""
        return 60.0 / self._sources.tick_s if signal == "errors" else 1.0

    def latency(self) -> ChartData:
        """Draw what one request in twenty exceeds with the next hour of it, and the mean with the bounds of what was normal."""
        windows, trend = self._history().windows, self._trend()
        series = [
            charts.line("p95", _holed(windows, windows.p95_s), "--a"),
            charts.line("mean", _holed(windows, windows.mean_s, self._newest("latency")), "--c", stroke="dotted"),
            *self._expected("latency", "expected bounds of the mean"),
        ]
        if trend is not None and trend.p95_s is not None:
            series += _fan(trend, trend.p95_s)
        title, unit = "Latency: what one request in twenty exceeds, and the mean", f"seconds{self._normal('latency')}"
        return self._chart(title, series, unit, self._end("latency"), "seconds")

    def traffic(self) -> ChartData:
        """Draw requests, and how many of them failed."""
        windows = self._history().windows
        failed = windows.requests * np.nan_to_num(windows.failed)  # of no request none failed
        series = [
            charts.area("requests", _holed(windows, windows.requests), "--a"),
            charts.line("failed", _holed(windows, failed), "--b", stroke="dashed"),
        ]
        return self._chart("Traffic", series, "requests/min", _last(windows.start_s))

    def _chart(self, title: str, series: Sequence[Series], unit: str, last_s: float | None, form: str = "number") -> ChartData:
        between, now = self._between(), self._present()
        versions = () if form == "percent" else self._versions()
        series = [charts.mark_lines(series[0], versions, now if between and between[1] > now else None), *series[1:]]
        options = charts.time_chart(series, between=between)
        note: Markup | str = (
            "nothing in this range" if last_s is None else h("span", "newest point ", words.age(words.moment(last_s)))
        )
        label = f"{title} of {self._service} over the last {self._view.range}, in {unit}"
        return ChartData(title, h("span", f"{unit}, times in UTC, ", note), options, label, form)

    def _between(self) -> tuple[float, float] | None:
        """Return from when to when all charts go: from the first that is known within the range to the end of what is forecast."""
        now, past, trend = self._present(), self._history(), self._trend()
        known = [float(times[0]) for times in (past.windows.start_s, past.forecasts.as_of_s) if len(times)]
        known += [*self._unwritten(), *(start for start, _, _ in self._incidents())]
        if not known:
            return None
        return min(known), max(now, *self._unwritten(), now if trend is None else _ahead(trend))

    def _present(self) -> float:
        """Return the beginning of the window that is not over, so that charts in which nothing changed are not sent anew every second."""
        tick_s = self._sources.tick_s
        return self._sources.parts.now().timestamp() // tick_s * tick_s

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
        now = self._present()
        records = self._cache.all("incidents", self._view.prefix, IncidentRecord).values()
        own = [record for record in records if record.service == self._service]
        for record in [record for record in own if record.operation == WHOLE] or own:
            end = record.end.timestamp() if record.end else max(now, record.start.timestamp())
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


def _ahead(trend: TrendRecord) -> float:
    """Return the unix second until which a trend goes."""
    return trend.as_of.timestamp() + max((row["in_s"] or 0.0 for row in _rows(trend.errors_per_minute)), default=0.0)


def _rows(numbers: Sequence[float | None]) -> list[dict[str, float | None]]:
    """Return what a trend says of times ahead, each by name."""
    rest = list(numbers[len(SINGLE) :])
    return [dict(zip(POINT, rest[i:], strict=False)) for i in range(0, len(rest), len(POINT))]


def _fan(trend: TrendRecord, numbers: Sequence[float | None]) -> list[Series]:
    """Return the next hour: what is expected with its bounds, what is usual then, and the limit."""
    start = trend.as_of.timestamp()
    rows = _rows(numbers)
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


def _pairs(times: Array, values: Array) -> list[Point]:
    return list(zip(times.tolist(), values.tolist(), strict=True))


def _holed(windows: Windows, values: Array, newer: Sequence[Point] = ()) -> list[Point]:
    """Return values of windows, and newer ones behind them, with a hole where one is missing."""
    return charts.broken([*_pairs(windows.start_s, values), *newer], windows.width_s)


def _last(times: Array) -> float | None:
    return float(times[-1]) if len(times) else None
