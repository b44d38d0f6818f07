"""What people on call do becomes requests that say who, what and for how long."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi import FastAPI, Request

from app.dashboard.duty import acknowledge, end_silence, silence
from app.dashboard.rest import Rest
from features.errors import InvalidValue
from tests.app.dashboard.loops import finished

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def test_requests_name_the_alert_the_labels_and_the_end() -> None:
    app, came = FastAPI(), list[tuple[str, Any]]()

    @app.post("/{path:path}")
    async def take(request: Request, path: str) -> dict[str, str]:
        came.append((path, await request.json()))
        return {}

    @app.delete("/{path:path}")
    async def end(path: str, who: str) -> dict[str, str]:
        came.append((path, who))
        return {}

    async def scenario() -> None:
        rest = Rest(app, "default")
        await acknowledge(rest, "a/1", "")
        await silence(rest, "cart", "30", NOON, ("ann", "a deploy"))
        await silence(rest, "cart", "9999999", NOON, ("ann", ""))
        await silence(rest, "a*[b]", "30", NOON, ("ann", ""))
        with pytest.raises(InvalidValue, match="got 'soon'"):
            await silence(rest, "cart", "soon", NOON, ("ann", ""))
        await end_silence(rest, "s1", "ann")

    finished(scenario())
    matchers = [{"label": "service", "pattern": "cart"}]
    assert came[0] == ("api/v1/alerts/a/1:acknowledge", {"who": "unknown"})
    assert came[1][1] == {
        "matchers": matchers,
        "start": "2026-03-02T12:00:00+00:00",
        "end": "2026-03-02T12:30:00+00:00",
        "author": "ann",
        "comment": "a deploy",
    }
    assert came[2][1]["end"] == "2026-04-01T12:00:00+00:00"
    assert came[3][1]["matchers"] == [{"label": "service", "pattern": "a[*][[]b]"}]
    assert came[4] == ("api/v1/silences/s1", "ann")
