"""The route of trends: where the errors and the latency of a series are going, read from the cache.

`app.trends` makes a document of every service once a tick, and of its operations in turns.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from fastapi import APIRouter, Response

from app.api.parts import PREFIX, Asked, answer, members
from app.api.problems import Unknown
from app.api.trend_schemas import TrendOut
from app.cache.trend_records import POINT, SINGLE, TrendRecord
from features.series import WHOLE

__all__ = ["router"]

router = APIRouter(prefix=PREFIX, tags=["trends"])


@router.get("/trends/{service:path}", response_model=TrendOut, summary="Where errors and latency of a service are going")
async def show_trend(asked: Asked, service: str, operation: str = WHOLE) -> Response:
    """Answer with level, slope, last change and the next hour of a whole service, or of one of its operations."""
    record = asked.cache.one("trends", asked.key(service, operation), TrendRecord)
    if record is None:
        raise Unknown(f"no trend for operation {operation!r} of service {service!r} of tenant {asked.tenant!r}")
    age_s = max(0.0, (asked.now - record.as_of).total_seconds())
    measures = {
        "errors_per_minute": _shown(record.errors_per_minute, record.as_of),
        "p95_s": None if record.p95_s is None else _shown(record.p95_s, record.as_of),
    }
    status = "stale" if asked.now > record.expires_at else record.status
    # As of predictions: caches subtract `Age` from the whole life (RFC 9111, 4.2.3).
    headers = {
        "Age": str(int(age_s)),
        "Cache-Control": f"private, max-age={max(0, int((record.expires_at - record.as_of).total_seconds()))}",
        "Vary": "X-Scope-OrgID",
    }
    return answer(members(record) | measures | {"status": status, "age_s": age_s}, headers=headers)


def _shown(numbers: Sequence[float | None], as_of: datetime) -> dict[str, object]:
    """Return a measure with names, and times for seconds."""

    def at(seconds: float | None) -> datetime | None:
        return None if seconds is None else as_of + timedelta(seconds=seconds)

    single: dict[str, float | None] = dict(zip(SINGLE, numbers, strict=False))
    ago_s, rest = single["changed_s"], numbers[len(SINGLE) :]
    rows = [dict(zip(POINT, rest[i:], strict=False)) for i in range(0, len(rest), len(POINT))]
    return {
        **{name: single[name] for name in ("level", "usual", "usual_at_any_hour", "limit")},
        "slope_per_hour": {"slope": single["slope"], "lower": single["slope_lower"], "upper": single["slope_upper"]},
        "change": None if ago_s is None else {"at": at(-ago_s), "before": single["before"], "after": single["after"]},
        "forecast": [{"at": at(row.pop("in_s")), **row} for row in rows],
        "meets_limit": {
            "probability": single["probability"],
            **{name: at(single[f"{name}_s"]) for name in ("earliest", "expected", "latest")},
        },
    }
