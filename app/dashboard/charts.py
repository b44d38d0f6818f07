"""The options of the charts, out of plain values; `app.dashboard.frame` hands them to ECharts in the browser."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Any, Literal, TypeAlias

__all__ = ["Points", "Stroke", "area", "band", "bars", "line", "mark_areas", "mark_lines", "time_chart"]

Points: TypeAlias = Iterable[tuple[float, float | None]]
"""Unix seconds and values."""

Series: TypeAlias = dict[str, Any]

Stroke: TypeAlias = Literal["solid", "dashed", "dotted"]


def time_chart(series: Sequence[Series], most: float | None = None) -> dict[str, Any]:
    """Return a chart over time.

    Parameters
    ----------
    series : sequence of Series
        As the other functions make them.
    most : float, optional
        Upper end of the axis.
    """
    shown = [one["name"] for one in series if one.get("name") and not one.get("quiet")]
    label = {"color": "--soft", "hideOverlap": True}
    return {
        "useUTC": True,
        "grid": {"left": 4, "right": 12, "top": 30, "bottom": 4, "containLabel": True},
        "legend": {
            "type": "scroll",
            "data": shown,
            "top": 0,
            "left": 0,
            "right": 0,
            "pageIconColor": "--soft",
            "pageTextStyle": {"color": "--soft"},
            "textStyle": {"color": "--soft"},
            "itemWidth": 14,
            "itemHeight": 8,
            "icon": "roundRect",
        },
        "tooltip": {"trigger": "axis", "axisPointer": {"lineStyle": {"color": "--line"}}},
        "xAxis": {"type": "time", "axisLabel": label, "axisLine": {"lineStyle": {"color": "--line"}}, "splitNumber": 5},
        "yAxis": {
            "type": "value",
            "axisLabel": {"color": "--soft"},
            "splitLine": {"lineStyle": {"color": "--line"}},
            "min": 0,
            **({"max": most} if most is not None else {}),
        },
        "series": [{name: value for name, value in one.items() if name != "quiet"} for one in series],
    }


def line(name: str, points: Points, color: str, *, stroke: Stroke = "solid") -> Series:
    """Return a line; those of one chart differ in their stroke too, for who does not tell colours apart.

    Examples
    --------
    >>> line("errors", [(60.0, 2.0), (120.0, float("nan"))], "--a")["data"]
    [[60000.0, 2.0], [120000.0, None]]
    """
    style: dict[str, object] = {"width": 1.6, "color": color, "type": stroke}
    return {
        "name": name,
        "type": "line",
        "showSymbol": False,
        "data": _data(points),
        "lineStyle": style,
        "itemStyle": {"color": color},
    }


def bars(name: str, points: Points, color: str) -> Series:
    """Return bars, one a bin."""
    return {"name": name, "type": "bar", "data": _data(points), "itemStyle": {"color": color}, "barMaxWidth": 6}


def area(name: str, points: Points, color: str) -> Series:
    """Return a line with what is below it."""
    return line(name, points, color) | {"areaStyle": {"color": "--band"}}


def band(name: str, lower: Points, upper: Points, stack: str) -> list[Series]:
    """Return the space between two lines: a lower one that is not seen, and the difference on top of it.

    Examples
    --------
    >>> [one["data"] for one in band("fan", [(0.0, 1.0)], [(0.0, 4.0)], "f")]
    [[[0.0, 1.0]], [[0.0, 3.0]]]
    """
    low, high = list(lower), list(upper)
    between = [(at, None if a is None or b is None else b - a) for (at, a), (_, b) in zip(low, high, strict=True)]
    unseen = {
        "type": "line",
        "showSymbol": False,
        "stack": stack,
        "stackStrategy": "all",
        "lineStyle": {"opacity": 0},
        "silent": True,
        "tooltip": {"show": False},
    }
    return [
        {**unseen, "name": f"{name} from", "data": _data(low), "quiet": True},
        {**unseen, "name": name, "data": _data(between), "areaStyle": {"color": "--band"}, "itemStyle": {"color": "--band"}},
    ]


def mark_areas(series: Series, spans: Iterable[tuple[float, float, str]], color: str = "--mark") -> Series:
    """Return a series with stretches of time marked behind it: unix seconds of both ends, and a name."""
    data = [[{"xAxis": start * 1000, "name": name}, {"xAxis": end * 1000}] for start, end, name in spans]
    return series | {
        "markArea": {"silent": True, "itemStyle": {"color": color}, "label": {"color": "--soft", "fontSize": 11}, "data": data}
    }


def mark_lines(series: Series, times: Iterable[tuple[float, str]]) -> Series:
    """Return a series with moments marked: unix seconds, and a name."""
    data = [{"xAxis": at * 1000, "name": name} for at, name in times]
    style = {"color": "--c", "type": "dotted"}
    label = {"formatter": "{b}", "color": "--soft", "fontSize": 11, "overflow": "truncate", "width": 120}
    return series | {"markLine": {"symbol": "none", "lineStyle": style, "label": label, "data": data}}


def _data(points: Points) -> list[list[float | None]]:
    return [[at * 1000, None if value is None or not isfinite(value) else round(value, 6)] for at, value in points]
