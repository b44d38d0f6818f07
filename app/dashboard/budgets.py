"""Alert routes: what each may spend, the threshold that its budget comes to, and what it did lately or would have done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from app.dashboard import words
from app.dashboard.frame import panel
from app.dashboard.markup import Child, Markup, h, join
from app.dashboard.tables import table

__all__ = ["budgets_panel"]

_BASES = {
    "history": "follows from the budget",
    "default": "until there is history enough for the budget",
    "fixed": "as the settings say",
}


def budgets_panel(routes: Iterable[Mapping[str, Any]], at: datetime) -> Markup:
    """Return the panel.

    Parameters
    ----------
    routes : iterable of mapping
        As ``GET /api/v1/alert-routes`` lists them.
    at : datetime
        When it did.
    """
    heads = ("Route", "Takes", "Budget", "Threshold", "Lately", "Tells")
    return panel(
        "Routes",
        table(heads, [_row(route) for route in routes]),
        note=["Budgets and channels are in the settings; read ", words.age(at)],
    )


def _row(route: Mapping[str, Any]) -> list[Child]:
    chosen = [f"{one['label']} {'is' if one['equal'] else 'is not'} {one['pattern']}" for one in route["matchers"]]
    within = f" within {route['horizon'].removesuffix('min')} min" if route["on"] == "prediction" else ""
    return [
        route["name"],
        join([f"{route['on']}{within}", h("div.soft", ", ".join(chosen) or "all services")]),
        f"{words.amount(route['budget_per_day'])} pages a day",
        _threshold(route),
        _lately(route["lately"], route["shadow"]),
        "nobody: it is in shadow" if route["shadow"] else ", ".join(route["channels"]) or "no channel",
    ]


def _threshold(route: Mapping[str, Any]) -> Child:
    threshold, basis, fitted = route["threshold"], route["threshold_basis"], route["fitted"]
    if threshold is None:
        return words.DASH
    told = h("div.soft", _BASES.get(str(basis), ""))
    if fitted is None or basis != "history":
        return join([words.percent(threshold), told])
    over = f"{fitted['pages']} pages over {words.counted(round(fitted['days']), 'day')}, fitted "
    return join([words.percent(threshold), told, h("div.soft", over, words.age(datetime.fromisoformat(fitted["fitted_at"])))])


def _lately(lately: Mapping[str, Any], shadow: bool) -> Markup:
    alerts, right = int(lately["alerts"]), int(lately["in_incident_within_hour"])
    would = "would have opened " if shadow else ""
    pages = f"{would}{words.counted(int(lately['pages']), 'page')}, {words.amount(lately['pages_per_day'])} a day"
    hit = f"{right} of {words.counted(alerts, 'alert')} in an incident within the hour" if alerts else "no alert"
    return join([pages, h("div.soft", f"{hit}; since ", words.age(datetime.fromisoformat(lately["since"])))])
