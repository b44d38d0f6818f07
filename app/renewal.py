"""Forecasts made anew between two ticks, of what is known as of the last one, where a model or feedback came since.

`app.flow.renew` calls it; the learners are not asked about such a forecast, and history keeps the one of the tick.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from app.cache.records import Known
from app.chronicle import Forecasts
from app.members import subjects_of
from app.publish import Publication
from features.arrays import FloatArray, IntArray
from models.hazard import cumulate

__all__ = ["renewed", "tick_id"]

_AGAIN = "~"  # between the id of a tick's prediction and how often it was made anew


def renewed(publication: Publication, known: Sequence[Known], status: Sequence[str]) -> Publication:
    """Return a publication of those rows of which something else is known by now.

    Parameters
    ----------
    publication : Publication
        Of the newest tick, or the renewal before.
    known : sequence of Known
        What is known of every series of the memory by now, in its order.
    status : sequence of str
        Status of every series by now.

    Returns
    -------
    Publication
        Its rows have new ids, and are forecast by who serves now.
    """
    before = publication.forecasts
    now = known[: len(before.ids)]
    rows = np.array([row for row, one in enumerate(now) if one != publication.known[row]], np.int64)
    ids, versions, states = list(before.ids), list(before.versions), list(before.status)
    for row in rows.tolist():
        ids[row], states[row] = _again(ids[row]), status[row]
        versions[row] = publication.members[publication.memory.directory.keys[row].tenant].version
    forecasts = Forecasts(_probabilities(publication, rows), states, versions, ids)
    return replace(publication, forecasts=forecasts, known=now, rows=rows)


def tick_id(prediction_id: str) -> str:
    """Return the id of the prediction that a tick made, in whose place another one came.

    Examples
    --------
    >>> tick_id("7-17125-10~2"), tick_id("7-17125-10")
    ('7-17125-10', '7-17125-10')
    """
    return prediction_id.partition(_AGAIN)[0]


def _again(prediction_id: str) -> str:
    first, _, times = prediction_id.partition(_AGAIN)
    return f"{first}{_AGAIN}{int(times or 0) + 1}"


def _probabilities(publication: Publication, rows: IntArray) -> FloatArray:
    """Return the probabilities of all rows, of which some are forecast anew."""
    p = publication.forecasts.p.copy()
    for tenant in publication.memory.tenants:
        own = np.intersect1d(publication.of(tenant), rows)
        if len(own):
            members = publication.members[tenant]
            p[own] = cumulate(members.forecast(publication.x[own], subjects_of(members, publication.memory, own)))
    return p
