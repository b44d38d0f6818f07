"""Hotspots on a service's page: operations, versions, instances and groups of errors that make up more of its errors than before."""

from __future__ import annotations

from app.cache.symptom_records import HotspotRecord, HotspotsRecord
from app.dashboard import words
from app.dashboard.frame import panel
from app.dashboard.markup import Child, Markup, h, join
from app.dashboard.tables import table

__all__ = ["hotspots_panel"]

_STATES = {"new": "bad", "returned": "warn", "grown": ""}
_MOST = 8  # of some dozen at most; REST lists all


def hotspots_panel(found: HotspotsRecord | None) -> Markup:
    """Return the panel.

    Parameters
    ----------
    found : HotspotsRecord or None
        What workers publish of the service, None where no share has grown.
    """
    if found is None or not found.hotspots:
        return panel(
            "Hotspots", h("p.soft", "No operation, version, instance or group makes up more of its errors than before.")
        )
    heads = ("What", "Share of the errors", "Before", "Ratio", "Errors", "Since")
    note = ["log-likelihood ratio over the last 15 windows, as of ", words.age(words.moment(found.as_of_s))]
    return panel("Hotspots", table(heads, [_row(one) for one in found.hotspots[:_MOST]], (1, 2, 3, 4)), note=note)


def _row(one: HotspotRecord) -> list[Child]:
    chip = h("span.chip", one.state, data_status=_STATES.get(one.state, ""))
    return [
        join([h("span.soft", f"{one.dimension} "), one.name, " ", chip]),
        words.percent(one.share),
        words.percent(one.share_before),
        words.amount(one.ratio),
        words.amount(one.errors),
        words.age(words.moment(one.since_s)),
    ]
