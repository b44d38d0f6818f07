"""What feedback changed, as the newest training run that learned with it measured; the model page shows it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import cast

from app.dashboard import words
from app.dashboard.frame import panel
from app.dashboard.markup import Markup, h

__all__ = ["impact_panel"]

_KINDS = {"better": "good", "worse": "bad", "even": "", "unknown": ""}


def impact_panel(impact: Mapping[str, object], at: datetime) -> Markup:
    """Return the panel.

    Parameters
    ----------
    impact : mapping
        As ``GET /api/v1/feedback/impact`` answers.
    at : datetime
        When it did.
    """
    ended = impact.get("ended_at")
    measured = [", measured ", words.age(datetime.fromisoformat(str(ended)))] if ended else None
    note = ["counted ", words.age(at), measured]
    standing = h(
        "p", f"{impact.get('standing', 0)} verdicts stand, {impact.get('waiting', 0)} of them wait for the next training."
    )
    told = h("p.soft", str(impact.get("note", "")))
    return panel("What feedback changed", standing, _labels(impact), _scores(impact), told, note=note)


def _labels(impact: Mapping[str, object]) -> Markup | None:
    labels = cast("Mapping[str, object] | None", impact.get("labels"))
    if not labels:
        return None
    said = (
        f"{labels['incidents_added']} incidents added and {labels['incidents_removed']} removed, "
        f"{labels['rows_relabelled']} rows with another outcome, {labels['rows_left_out']} left out, {labels['rows_weighed']} weighed"
    )
    return h("p", said)


def _scores(impact: Mapping[str, object]) -> Markup | None:
    scores = cast("Mapping[str, Mapping[str, object] | None] | None", impact.get("scores"))
    effect = (scores or {}).get("as_labelled")
    if not effect:
        return None
    kind, difference = str(effect["kind"]), cast("float | None", effect["difference"])
    said = (
        f"log loss {difference:+.4f} nats a row with it, on {effect['rows']} held-out rows"
        if difference is not None
        else "not measured"
    )
    return h("p", h("span.chip", kind, data_status=_KINDS.get(kind, "")), f" {said}")
