"""What the worker publishes of where a series is going, one document a series.

`app.trends` fills them, `app.api.trends` answers with them. A measure is one row of numbers in a fixed order: a tick writes thousands of
documents, and objects for each of their parts would cost more than the forecasts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

__all__ = ["POINT", "SINGLE", "TrendRecord"]

SINGLE = (
    "level",
    "usual",
    "usual_at_any_hour",
    "limit",
    "slope",  # an hour, with its interval
    "slope_lower",
    "slope_upper",
    "changed_s",  # seconds ago; null where no change is known, and so its levels
    "before",
    "after",
    "probability",  # that the limit is met within the hour
    "earliest_s",  # seconds from now; null where the limit is not met
    "expected_s",
    "latest_s",
)
"""What a measure's row holds first, in order."""

POINT = ("in_s", "expected", "lower", "upper", "usual", "limit")
"""What follows for every horizon, in order."""


@dataclass(frozen=True, slots=True)
class TrendRecord:
    """Where the errors and the latency of a series are going.

    Parameters
    ----------
    status : str
        ``warming_up``, ``ok``, ``in_incident`` or ``stale``.
    errors_per_minute : sequence of float or None
        Of its ErrorEvents: `SINGLE`, then `POINT` for every horizon.
    p95_s : sequence of float or None, or None
        Of the duration that one request in twenty exceeds, over five minutes; None where no request was timed yet.
    """

    tenant: str
    service: str
    operation: str
    as_of: datetime
    expires_at: datetime
    status: str
    errors_per_minute: Sequence[float | None]
    p95_s: Sequence[float | None] | None = None
