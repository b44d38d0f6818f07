"""The options of the charts, out of plain values; `app.dashboard.frame` hands them to ECharts in the browser."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Any, Literal, TypeAlias

__all__ = ["Look", "Points", "Stroke", "area", "band", "bars", "broken", "line", "mark_areas", "mark_lines", "time_chart"]

Points: TypeAlias = Iterable[tuple[float, float | None]]
"""Unix seconds and values."""

Series: TypeAlias = dict[str, Any]

Stroke: TypeAlias = Literal["solid", "dashed", "dotted"]

Look: TypeAlias = Literal["hatched", "plain"]
"""How the space of a band is filled."""

_LINES: dict[Look, tuple[str, str]] = {
    "hatched": ("--edge", "--normal"),
    "plain": ("--a", "--band"),
}  # colours of edge and space
_HATCH = {
    "symbol": "rect",
    "color": "--edge",
    "rotation": 0.785,
    "dashArrayX": [1, 0],
    "dashArrayY": [1, 5],
}  # a line each 6 px, at 45 degrees
_LONE = {"symbol": "circle", "symbolSize": 5}
_DIGITS = 6
_APART = 1.5  # guessed: between two points of a bin each, so that one that is missing is seen and one that came late is not


def time_chart(
    series: Sequence[Series], most: float | None = None, between: tuple[float, float] | None = None
) -> dict[str, Any]:
    """Return a chart over time; those that are between the same times stand so that one moment is below the other.

    Parameters
    ----------
    series : sequence of Series
        As the other functions make them.
    most : float, optional
        Upper end of the axis.
    between : tuple of float, optional
        Unix seconds at which the axis of time begins and ends; else it goes as far as there is something.
    """
    shown = [_named(one) for one in series if one.get("name") and not one.get("quiet")]
    label = {"color": "--soft", "hideOverlap": True}
    ends = {} if between is None else {"min": between[0] * 1000, "max": between[1] * 1000}
    return {
        "useUTC": True,
        "grid": {"left": 56, "right": 20, "top": 36, "bottom": 24, "containLabel": False},
        "legend": {
            "type": "scroll",
            "data": shown,
            "top": 0,
            "left": 0,
            "right": 0,
            "pageIconColor": "--soft",
            "pageTextStyle": {"color": "--soft"},
            "textStyle": {"color": "--soft"},
            "itemWidth": 22,
            "itemHeight": 10,
        },
        "tooltip": {"trigger": "axis", "axisPointer": {"lineStyle": {"color": "--line"}}},
        "xAxis": {"type": "time", "axisLabel": label, "axisLine": {"lineStyle": {"color": "--line"}}, "splitNumber": 5, **ends},
        "yAxis": {
            "type": "value",
            "axisLabel": {"color": "--soft"},
            "splitLine": {"lineStyle": {"color": "--line"}},
            "min": 0,
            **({"max": most} if most is not None else {}),
        },
        "series": [{name: value for name, value in one.items() if name != "quiet"} for one in series],
    }


def broken(points: Points, step_s: float) -> list[tuple[float, float | None]]:
    """Return points with a hole between two that are further apart than points of neighbouring bins, so that no line leads across it.

    Parameters
    ----------
    points : Points
        Rising in time, one a bin at most.
    step_s : float
        Seconds of a bin.

    Examples
    --------
    >>> broken([(0.0, 1.0), (60.0, 2.0), (300.0, 3.0)], 60.0)
    [(0.0, 1.0), (60.0, 2.0), (120.0, None), (300.0, 3.0)]
    """
    found = list[tuple[float, float | None]]()
    for at, value in points:
        if found and at - found[-1][0] > _APART * step_s:
            found.append((found[-1][0] + step_s, None))
        found.append((at, value))
    return found


def line(name: str, points: Points, color: str, *, stroke: Stroke = "solid") -> Series:
    """Return a line; those of one chart differ in their stroke too, for who does not tell colours apart.

    Where a value is missing the line has a hole; a point that has a neighbour on neither side is a dot, since no line would show it.

    Examples
    --------
    >>> line("errors", [(60.0, 2.0), (120.0, 4.0), (180.0, float("nan"))], "--a")["data"]
    [[60000.0, 2.0], [120000.0, 4.0], [180000.0, None]]
    >>> line("errors", [(60.0, 2.0), (120.0, None)], "--a")["data"]
    [{'value': [60000.0, 2.0], 'symbol': 'circle', 'symbolSize': 5}, [120000.0, None]]
    """
    style: dict[str, object] = {"width": 1.6, "color": color, "type": stroke}
    data = _data(points)
    known = [False, *(value is not None for _, value in data), False]
    lone = [known[place] and not (known[place - 1] or known[place + 1]) for place in range(1, len(known) - 1)]
    symbols: dict[str, object] = {"symbol": "none"} if any(lone) else {"showSymbol": False}
    return {
        "name": name,
        "type": "line",
        **symbols,
        "data": [{"value": point, **_LONE} if alone else point for point, alone in zip(data, lone, strict=True)],
        "lineStyle": style,
        "itemStyle": {"color": color},
    }


def bars(name: str, points: Points, color: str) -> Series:
    """Return bars, one a bin."""
    return {"name": name, "type": "bar", "data": _data(points), "itemStyle": {"color": color}, "barMaxWidth": 6}


def area(name: str, points: Points, color: str) -> Series:
    """Return a line with what is below it."""
    return line(name, points, color) | {"areaStyle": {"color": "--band"}}


def band(name: str, lower: Points, upper: Points, stack: str, look: Look = "plain") -> list[Series]:
    """Return the space between two lines with both as its edges, which are seen where it has no height: the lower one, and the difference on top of it.

    Two bands of one chart differ in their look, for who does not tell colours apart. Behind the difference stand both bounds, which
    are what is said of the band where somebody points at it.

    Examples
    --------
    >>> [one["data"] for one in band("fan", [(0.0, 1.0)], [(0.0, 4.0)], "f")]
    [[[0.0, 1.0]], [[0.0, 3.0, 1.0, 4.0]]]
    """
    low, high = _data(lower), _data(upper)
    edge, space = _LINES[look]
    between = [
        [at, None if a is None or b is None else round(b - a, _DIGITS), a, b] for (at, a), (_, b) in zip(low, high, strict=True)
    ]
    bound = {
        "type": "line",
        "showSymbol": False,
        "stack": stack,
        "stackStrategy": "all",
        "lineStyle": {"width": 1.4, "color": edge},
        "itemStyle": {"color": space, **({"decal": _HATCH} if look == "hatched" else {})},
        "silent": True,
        "z": 1,  # behind what is drawn of it
    }
    return [
        {**bound, "name": f"{name} from", "data": low, "tooltip": {"show": False}, "quiet": True},
        {**bound, "name": name, "data": between, "encode": {"x": 0, "y": 1, "tooltip": [2, 3]}, "areaStyle": {"color": space}},
    ]


def mark_areas(series: Series, spans: Iterable[tuple[float, float, str]], color: str = "--mark") -> Series:
    """Return a series with stretches of time marked behind it: unix seconds of both ends, and a name."""
    data = [[{"xAxis": start * 1000, "name": name}, {"xAxis": end * 1000}] for start, end, name in spans]
    return series | {
        "markArea": {"silent": True, "itemStyle": {"color": color}, "label": {"color": "--soft", "fontSize": 11}, "data": data}
    }


def mark_lines(series: Series, times: Iterable[tuple[float, str]], now: float | None = None) -> Series:
    """Return a series with moments marked: unix seconds, and a name; and with the present, behind which all is forecast."""
    data: list[Series] = [{"xAxis": at * 1000, "name": name} for at, name in times]
    if now is not None:
        data.append(
            {"xAxis": now * 1000, "name": "now", "lineStyle": {"color": "--edge", "type": "solid"}, "label": {"align": "left"}}
        )
    style = {"color": "--c", "type": "dotted"}
    label = {"formatter": "{b}", "color": "--soft", "fontSize": 11, "overflow": "truncate", "width": 120, "align": "right"}
    return series | {"markLine": {"symbol": "none", "silent": True, "lineStyle": style, "label": label, "data": data}}


def _named(series: Series) -> dict[str, Any]:
    """Return what stands for a series in the legend: lines with their stroke, bands with their pattern and edge, bars as blocks."""
    if "stack" in series:
        edge = series["lineStyle"]["color"]
        return {"name": series["name"], "icon": "rect", "itemStyle": {"borderColor": edge, "borderWidth": 1}}
    if series["type"] == "bar":
        return {"name": series["name"], "icon": "roundRect"}
    return {"name": series["name"], "itemStyle": {"opacity": 0}}  # without the dot of a point


def _data(points: Points) -> list[list[float | None]]:
    return [[at * 1000, None if value is None or not isfinite(value) else round(value, _DIGITS)] for at, value in points]
