"""Why did it not fire: a form that asks for a service and a time, and what every route says about it, as REST explains it.

What is asked stands in the URL, so the answer can be sent to somebody else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from urllib.parse import urlencode

from app.dashboard import words
from app.dashboard.frame import panel
from app.dashboard.markup import Child, Markup, h, join
from app.dashboard.rest import Refused, Rest
from app.dashboard.sources import View
from app.dashboard.tables import table

__all__ = ["Explanation", "asked_of", "explained_panel"]

_TONES = {"fired": "bad", "pending": "warn", "budget": "warn", "acknowledged": "info"}
_LOCAL = 16  # characters of a time as browsers send it, to the minute


@dataclass(frozen=True, slots=True)
class Explanation:
    """What was asked and answered: both empty where nothing was asked.

    Parameters
    ----------
    service, at : str
        As they stand in the URL; no time is now.
    answer : mapping
        As ``GET /api/v1/alerts:explain`` answers.
    refusal : str
        What it said where it did not.
    """

    service: str = ""
    at: str = ""
    answer: Mapping[str, Any] | None = None
    refusal: str = ""


async def asked_of(rest: Rest, query: Mapping[str, str]) -> Explanation:
    """Ask what a URL asks for with ``explain`` and ``at``."""
    service, at = query.get("explain", "").strip(), query.get("at", "").strip()
    if not service:
        return Explanation()
    named = {"service": service} | ({"at": _utc(at)} if at else {})
    try:
        return Explanation(service, at, await rest.get(f"/alerts:explain?{urlencode(named)}"))
    except Refused as exc:
        return Explanation(service, at, refusal=str(exc))


def explained_panel(view: View, found: Explanation) -> Markup:
    """Return the form, and below it the answer."""
    hidden = [("tenant", view.tenant, view.tenant != view.default), ("range", view.range, True)]
    form = h(
        "form.tools",
        [h("input", type="hidden", name=name, value=value) for name, value, said in hidden if said],
        h("label", "Service ", h("input", name="explain", value=found.service, required=True)),
        h("label", "Time, UTC ", h("input", type="datetime-local", name="at", value=found.at[:_LOCAL])),
        h("button", "Explain"),
        method="get",
    )
    return panel("Why did it not fire?", form, _answer(found), note="without a time: now")


def _answer(found: Explanation) -> Markup | None:
    if found.refusal:
        return h("p", found.refusal)
    if found.answer is None:
        return None
    rows = [_row(route) for route in cast("list[dict[str, Any]]", found.answer["routes"])]
    at = datetime.fromisoformat(str(found.answer["at"]))
    told = h("p.soft", f"Alerts of {found.answer['service']} at {words.clock(at)}, ", words.age(at), ":")
    return join([told, table(("Route", "What it did", "Value", "Threshold", "In words"), rows, (2, 3))])


def _row(route: Mapping[str, Any]) -> list[Child]:
    verdict, shown = str(route["verdict"]), words.percent if route["on"] == "prediction" else words.amount
    shadow = h("div.soft", "shadow: told to nobody") if route["shadow"] else None
    basis = h("div.soft", str(route["threshold_basis"])) if route["threshold_basis"] else None
    return [
        join([h("span", str(route["route"])), h("div.soft", f"on each {route['on']}")]),
        join([h("span.chip", verdict.replace("_", " "), data_status=_TONES.get(verdict, "")), shadow]),
        shown(route["value"]),
        join([shown(route["threshold"]), basis]),
        str(route["text"]),
    ]


def _utc(at: str) -> str:
    return at if at.endswith("Z") or "+" in at else f"{at}Z"
