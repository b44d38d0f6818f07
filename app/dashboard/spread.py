"""The propagation of an incident as a graph that moves along its timeline: who showed the trouble when, and which calls it came along."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, TypeAlias

from app.cache.group_records import Affected, GroupRecord
from app.dashboard import words
from app.dashboard.frame import ChartData
from app.dashboard.markup import h

__all__ = ["UNKNOWN", "Call", "frames", "spread"]

Call: TypeAlias = tuple[str, str]
"""Caller and callee."""

UNKNOWN = ChartData("How it spread", h("span", "not known yet"), {}, "How it spread is not known yet", size="tall")
"""What is drawn before there is a group."""

_SMALL, _LARGE = 22.0, 54.0


def spread(group: GroupRecord, calls: Collection[Call] = ()) -> ChartData:
    """Return the chart of a group.

    Parameters
    ----------
    group : GroupRecord
        With its services in order, and its timeline.
    calls : collection of Call
        Who calls whom, as far as it is known.
    """
    hits = _ordered(group)
    options: dict[str, Any] = {
        "useUTC": True,
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
                "label": {
                    "show": True,
                    "position": "top",
                    "formatter": "{b}",
                    "color": "--ink",
                    "fontSize": 12,
                    "overflow": "truncate",
                    "width": 160,
                },
                "edgeSymbol": ["none", "arrow"],
                "edgeSymbolSize": 9,
                "lineStyle": {"color": "--soft", "width": 1.4, "curveness": 0.08},
                "data": [],
                "links": [],
            }
        ],
    }
    names = ", then ".join(one.service for one in hits)
    arrows = "an arrow from who is called to who calls, a dashed one to the next in time where no call is known"
    note = h("span", "began ", words.age(group.start), "; from left to right in time (UTC), ", arrows)
    said = f"The trouble spread from {names}"
    return ChartData("How it spread", note, options, said, frames=frames(group, calls), size="tall")


def frames(group: GroupRecord, calls: Collection[Call] = ()) -> list[dict[str, object]]:
    """Return what the graph shows at every moment of the timeline, and what is said of it then.

    Examples
    --------
    >>> from datetime import UTC, timedelta
    >>> from app.cache.group_records import Happening
    >>> noon = datetime(2026, 3, 2, 12, tzinfo=UTC)
    >>> hits = (Affected("a", noon, 9.0, 1), Affected("b", noon + timedelta(minutes=5), 3.0, 2))
    >>> moments = (Happening(noon, "error", "a", "errors rise"), Happening(hits[1].since, "error", "b", "calls fail"))
    >>> group = GroupRecord("g", "default", noon, noon, None, (), services=hits, timeline=moments)
    >>> [frame["text"] for frame in frames(group)]
    ['12:00:00 UTC, a: errors rise', '12:05:00 UTC, b: calls fail']
    """
    hits = _ordered(group)
    told = [
        (one.time, f"{one.time:%H:%M:%S} UTC, {f'{one.service}: ' if one.service else ''}{one.text}", one.service)
        for one in sorted(group.timeline, key=lambda one: one.time)
    ]
    told = told or [(one.since, f"{one.since:%H:%M:%S} UTC, {one.service} shows the trouble", one.service) for one in hits]
    pairs = _arrows(hits, calls)
    return [{"text": text, "options": {"series": [_series(hits, pairs, at, now)]}} for at, text, now in told]


def _arrows(hits: Sequence[Affected], calls: Collection[Call]) -> list[tuple[str, str, bool]]:
    """Return arrows as from, to and whether a call is known: to those without any known call from the one before them in time."""
    names = {hit.service for hit in hits}
    known = sorted({(callee, caller) for caller, callee in calls if caller != callee and {caller, callee} <= names})
    joined = {name for pair in known for name in pair}
    later = [(one.service, to.service) for one, to in pairwise(hits) if to.service not in joined]
    return [(*pair, True) for pair in known] + [(*pair, False) for pair in later]


def _series(
    hits: Sequence[Affected], arrows: Sequence[tuple[str, str, bool]], at: datetime, spoken_of: str
) -> dict[str, object]:
    reached = {hit.service for hit in hits if hit.since <= at}
    nodes = [
        _node(hit, place, hits, reached=hit.service in reached, spoken_of=spoken_of == hit.service)
        for place, hit in enumerate(hits)
    ]
    links = [
        {
            "source": one,
            "target": to,
            "lineStyle": {
                "opacity": 1.0 if {one, to} <= reached else 0.15,
                "type": "solid" if known else "dashed",
            },
        }
        for one, to, known in arrows
    ]
    return {"data": nodes, "links": links}


def _node(hit: Affected, place: int, hits: Sequence[Affected], *, reached: bool, spoken_of: bool) -> dict[str, object]:
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


def _ordered(group: GroupRecord) -> list[Affected]:
    return sorted(group.services, key=lambda one: (one.order, one.since, one.service))
