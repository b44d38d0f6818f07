"""The propagation of an incident as a graph that moves along its timeline: who showed the trouble, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from app.dashboard import words
from app.dashboard.frame import ChartData
from app.dashboard.joined import Group, Hit
from app.dashboard.markup import h

__all__ = ["frames", "spread"]

_SMALL, _LARGE = 22.0, 54.0


def spread(group: Group) -> ChartData:
    """Return the chart of a group.

    Parameters
    ----------
    group : Group
        With its services in order, and its timeline.
    """
    hits = _ordered(group)
    options: dict[str, Any] = {
        "grid": {"left": 70, "right": 90, "top": 40, "bottom": 28},
        "tooltip": {"trigger": "item", "formatter": "{b}"},
        "xAxis": {
            "type": "time",
            "splitNumber": 4,
            "axisLabel": {"color": "--soft", "hideOverlap": True},
            "axisLine": {"show": False},
            "axisTick": {"show": False},
        },
        "yAxis": {"show": False, "min": -0.5, "max": len(hits) - 0.5, "inverse": True},
        "series": [
            {
                "type": "graph",
                "coordinateSystem": "cartesian2d",
                "label": {"show": True, "position": "top", "formatter": "{b}", "color": "--ink", "fontSize": 12},
                "edgeSymbol": ["none", "arrow"],
                "edgeSymbolSize": 9,
                "lineStyle": {"color": "--soft", "width": 1.4, "curveness": 0.08},
                "data": [],
                "links": [],
            }
        ],
    }
    names = ", then ".join(one.service for one in hits)
    note = h("span", "began ", words.age(group.start), "; from left to right in time, an arrow to the next")
    return ChartData("How it spread", note, options, f"The trouble spread from {names}", frames=frames(group), size="tall")


def frames(group: Group) -> list[dict[str, object]]:
    """Return what the graph shows at every moment of the timeline, and what is said of it then.

    Examples
    --------
    >>> from datetime import UTC, timedelta
    >>> from app.dashboard.joined import Moment
    >>> noon = datetime(2026, 3, 2, 12, tzinfo=UTC)
    >>> hits = (Hit("a", noon, 9.0, 1), Hit("b", noon + timedelta(minutes=5), 3.0, 2))
    >>> moments = (Moment(noon, "errors", "a", "errors rise"), Moment(hits[1].since, "errors", "b", "calls fail"))
    >>> [frame["text"] for frame in frames(Group("g", noon, services=hits, timeline=moments))]
    ['12:00:00 UTC, a: errors rise', '12:05:00 UTC, b: calls fail']
    """
    hits = _ordered(group)
    told = [
        (one.time, f"{one.time:%H:%M:%S} UTC, {one.service}: {one.text}", one.service)
        for one in sorted(group.timeline, key=lambda one: one.time)
    ]
    told = told or [(one.since, f"{one.since:%H:%M:%S} UTC, {one.service} shows the trouble", one.service) for one in hits]
    return [{"text": text, "options": {"series": [_series(hits, at, now)]}} for at, text, now in told]


def _series(hits: Sequence[Hit], at: datetime, spoken_of: str) -> dict[str, object]:
    reached = [hit for hit in hits if hit.since <= at]
    nodes = [
        _node(hit, place, hits, reached=hit in reached, spoken_of=spoken_of == hit.service) for place, hit in enumerate(hits)
    ]
    return {"data": nodes, "links": _links(hits, reached)}


def _node(hit: Hit, place: int, hits: Sequence[Hit], *, reached: bool, spoken_of: bool) -> dict[str, object]:
    most = max(*(one.errors for one in hits), 1.0)
    size = _SMALL + (_LARGE - _SMALL) * (hit.errors / most) ** 0.5
    color = ("--high-fill" if place == 0 else "--middle-fill") if reached else "--line"
    border = {"borderColor": "--ink" if spoken_of else "--line", "borderWidth": 3 if spoken_of else 1}
    return {
        "name": hit.service,
        "value": [hit.since.timestamp() * 1000, place],
        "symbolSize": size if reached else _SMALL,
        "tooltip": {"formatter": f"{words.amount(hit.errors, 'errors')} since {hit.since:%H:%M:%S} UTC"},
        "itemStyle": {"color": color, **border},
    }


def _links(hits: Sequence[Hit], reached: Sequence[Hit]) -> list[dict[str, object]]:
    """Return arrows in the order of time, which is all that a group says of how it came from one to the next."""
    pairs = pairwise(hits)
    return [
        {"source": one.service, "target": to.service, "lineStyle": {"opacity": 1.0 if to in reached else 0.15}}
        for one, to in pairs
    ]


def _ordered(group: Group) -> list[Hit]:
    return sorted(group.services, key=lambda one: (one.order, one.since, one.service))
