"""Charts of a service join history with the newest trend, and end where what they are made of ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, cast

import pyarrow as pa
import pytest

from app.dashboard import words
from app.dashboard.past import Past
from app.dashboard.profile_charts import ProfileCharts
from app.dashboard.sources import Sources, View
from app.history.tables import rows_schema
from tests.app.dashboard.sources import sources_of
from tests.dashboard_night import HOLE_MIN, SILENT_MIN, TENANT, put_night
from tests.dashboard_seed import prediction_of, put_service_of
from tests.nodes import RunningNode


@pytest.fixture
def drawn(shop: RunningNode) -> ProfileCharts:
    sources = sources_of(shop)
    return ProfileCharts(sources, View("default"), "payment", _past(sources))


def _past(sources: Sources) -> Past:
    return Past(sources.history, sources.parts.now, sources.tick_s)


def series_of(options: Any, name: str) -> dict[str, Any]:
    return next(one for one in options["series"] if one["name"] == name)


def values_of(series: dict[str, Any]) -> list[tuple[float, float | None]]:
    """Return times and values; a point that stands alone is a mapping."""
    return [tuple((point["value"] if isinstance(point, dict) else point)[:2]) for point in series["data"]]


def test_forecasts_stand_beside_incidents_and_end_where_one_was_found(drawn: ProfileCharts) -> None:
    options: Any = drawn.forecasts().options
    points = series_of(options, "within 60 min")
    known = [at for at, value in values_of(points) if value is not None]
    assert len(known) > 300
    [[start, end]] = points["markArea"]["data"]
    assert end["xAxis"] - start["xAxis"] >= 23 * 60_000
    found = start["xAxis"] + 2 * 60_000
    assert found - 120_000 <= known[-1] <= found, "the chance that one begins is no question from when it was found"
    assert values_of(points)[-1][1] is None


def test_forecasts_end_with_the_newest(shop: RunningNode) -> None:
    sources = sources_of(shop)
    options: Any = ProfileCharts(sources, View("default"), "cart", _past(sources)).forecasts().options
    assert values_of(series_of(options, "within 60 min"))[-1][1] == pytest.approx(0.12)


def test_errors_have_bounds_a_fan_and_the_version_that_came(drawn: ProfileCharts) -> None:
    options: Any = drawn.errors().options
    names = [one["name"] for one in options["series"]]
    assert names == [
        "errors",
        "expected bounds from",
        "expected bounds",
        "forecast bounds from",
        "forecast bounds",
        "forecast",
        "usual",
        "limit",
    ]
    assert [line["name"] for line in series_of(options, "errors")["markLine"]["data"]] == ["2.4.1", "now"]
    fan, forecast = series_of(options, "forecast bounds"), series_of(options, "forecast")
    assert len(fan["data"]) == len(forecast["data"]) == 5
    assert forecast["data"][-1][0] - forecast["data"][0][0] == 3_600_000
    widths = [width for _, width, _, _ in fan["data"]]
    assert widths[0] == 0.0
    assert widths == sorted(widths)


def test_bounds_cover_the_whole_range_of_history(drawn: ProfileCharts) -> None:
    bars: Any = drawn.errors().options
    starts = [at for at, _ in series_of(bars, "errors")["data"][:-1]]  # the last is of the newest prediction
    assert len(starts) > 340
    for chart, name, lower, upper in (
        (drawn.errors(), "expected bounds", 0.0, 2.0),
        (drawn.latency(), "expected bounds of the mean", 0.004, 0.0062),
    ):
        options: Any = chart.options
        for series, told in ((f"{name} from", lower), (name, round(upper - lower, 6))):
            points = values_of(series_of(options, series))
            level = set(zip(points[::2], points[1::2], strict=False))  # behind them is what the newest prediction carries
            assert level >= {((start, told), (start + 60_000, told)) for start in starts}


def test_windows_that_history_has_by_now_are_drawn_once(shop: RunningNode) -> None:
    sources, minute = sources_of(shop), int(datetime.now(UTC).timestamp()) // 60 * 60
    rows = [
        {**dict.fromkeys(rows_schema("predictions").names), "tenant": "once", "service": "a", "operation": "*"}
        | {"as_of": minute - 60 * ago, "errors_lower": 1.0, "errors_upper": 4.0, "partition": 6, "offset": 100 - ago}
        for ago in (3, 2)
    ]
    shop.node.history.append({"predictions": pa.Table.from_pylist(rows, rows_schema("predictions"))}, {6: 100})
    drawn = ProfileCharts(sources, View("once"), "a", _past(sources))
    points: list[tuple[float, float | None]] = []
    for ago in (2, 1):
        found = prediction_of("a", 0.1, "", "ok", datetime.fromtimestamp(minute - 60 * ago, UTC), tenant="once")
        put_service_of(shop.node.store.documents, replace(found, anomaly=replace(found.anomaly, lower=0.0, upper=5.0)))
        points = values_of(series_of(drawn.errors().options, "expected bounds"))
    assert [((minute - at / 1000) / 60, value) for at, value in points] == [(4, 3), (3, 3), (3, 3), (2, 3), (2, 5), (1, 5)]


def test_bounds_are_those_of_every_window_that_was_seen_and_of_no_other(shop: RunningNode) -> None:
    sources, noon = sources_of(shop), datetime.now(UTC).replace(microsecond=0)
    drawn = ProfileCharts(sources, View("bounds"), "a", _past(sources))
    series: list[dict[str, Any]] = []
    for minute, upper, signal in ((-9, 1.5, "errors"), (-8, 1.75, "errors"), (-7, 0.5, "latency"), (-2, 2.0, "errors")):
        found = prediction_of("a", 0.1, "", "ok", noon + timedelta(minutes=minute), tenant="bounds")
        anomaly = replace(found.anomaly, lower=1.0, upper=upper, signal=signal)
        put_service_of(shop.node.store.documents, replace(found, anomaly=anomaly))
        options: Any = drawn.errors().options
        series = options["series"]
    widths = values_of(next(one for one in series if one["name"] == "expected bounds"))
    minutes = [((at / 1000 - noon.timestamp()) / 60, value) for at, value in widths]
    first = [(-10.0, 0.5), (-9.0, 0.5), (-9.0, 0.75), (-8.0, 0.75)]
    assert minutes == [*first, (-8.0, None), (-7.0, None), (-7.0, None), (-3.0, 1.0), (-2.0, 1.0)]


def test_latency_is_what_one_in_twenty_exceeds(drawn: ProfileCharts) -> None:
    data = drawn.latency()
    values = [value or 0.0 for _, value in values_of(series_of(data.options, "p95"))]
    assert data.format == "seconds"
    assert values[-1] > values[0] > 0.0
    assert {value for _, value in series_of(data.options, "mean")["data"]} == {round(0.6 / 118.0, 6)}


@pytest.fixture(scope="module")
def minute(shop: RunningNode) -> int:
    """Whole minute as of which a tenant has the night."""
    now = int(datetime.now(UTC).timestamp()) // 60 * 60
    put_night(shop.node, now)
    return now


@pytest.fixture
def night(shop: RunningNode, minute: int) -> ProfileCharts:
    sources = sources_of(shop)
    return ProfileCharts(sources, View(TENANT, range="1h"), "payment", _past(sources))


def ago_of(series: dict[str, Any], minute: int) -> dict[int, float | None]:
    """Return values by how many minutes before they were."""
    return {round((minute - at / 1000) / 60): value for at, value in values_of(series)}


def test_no_line_crosses_a_stretch_of_which_nothing_is_known(night: ProfileCharts, minute: int) -> None:
    lines = [series_of(night.forecasts().options, f"within {horizon} min") for horizon in (5, 15, 60)]
    lines += [series_of(night.traffic().options, name) for name in ("requests", "failed")]
    lines += [series_of(night.latency().options, name) for name in ("p95", "mean")]
    for line in lines:
        times = [at for at, value in values_of(line) if value is not None]
        for before, after in pairwise(times):
            between = [value for at, value in values_of(line) if before < at < after]
            assert after - before <= 60_000 or between == [None] * len(between) != [], line["name"]
    known = {ago for ago, value in ago_of(lines[0], minute).items() if value is not None}
    assert known.isdisjoint(range(HOLE_MIN[1], HOLE_MIN[0])), "and there is a stretch of that kind"
    assert {HOLE_MIN[0], HOLE_MIN[1] - 1} < known


def test_a_service_that_fell_silent_has_no_requests_rather_than_a_gap(night: ProfileCharts, minute: int) -> None:
    traffic = ago_of(series_of(night.traffic().options, "requests"), minute)
    silent = range(SILENT_MIN[1] + 1, SILENT_MIN[0] + 1)  # a window starts a minute before it was judged
    assert [traffic[ago] for ago in silent] == [0.0] * len(silent)
    mean = ago_of(series_of(night.latency().options, "mean"), minute)
    assert [mean[ago] for ago in silent] == [None] * len(silent), "of no request there is no duration"


def test_bounds_of_nothing_at_all_are_drawn_and_said_in_words(night: ProfileCharts) -> None:
    errors = night.errors()
    assert {tuple(point[1:]) for point in series_of(errors.options, "expected bounds")["data"]} == {
        (0.0, 0.0, 0.0),
        (None, None, None),
    }
    assert "errors/min, normal is 0, times" in errors.note
    assert "normal for the mean is 20 ms to 60 ms" in night.latency().note


def test_the_newest_window_is_drawn_of_what_its_prediction_says(night: ProfileCharts, minute: int) -> None:
    errors = night.errors()
    assert ago_of(series_of(errors.options, "errors"), minute)[1] == 23.0
    assert words.clock(datetime.fromtimestamp(minute - 60, UTC)) in errors.note


def test_all_charts_go_from_and_to_the_same_time(night: ProfileCharts, minute: int) -> None:
    charts = [draw().options for draw in (night.forecasts, night.errors, night.latency, night.traffic)]
    axes: list[Any] = [chart["xAxis"] for chart in charts]
    [(start, end)] = {(axis["min"], axis["max"]) for axis in axes}
    drawn: list[Any] = [series for chart in charts for series in cast("Any", chart["series"])]
    assert start == min(at for series in drawn for at, _ in values_of(series) if series["type"] == "bar")
    assert end == (minute + 3600) * 1000


def test_a_service_without_history_has_empty_charts(shop: RunningNode) -> None:
    sources = sources_of(shop)
    drawn = ProfileCharts(sources, View("default"), "nowhere", _past(sources))
    for chart in (drawn.forecasts(), drawn.errors(), drawn.latency(), drawn.traffic()):
        assert "nothing in this range" in chart.note
        series: Any = chart.options["series"]
        assert [one["data"] for one in series if one["data"]] == []
