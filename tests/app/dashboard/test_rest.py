"""What people do goes through REST in the same process: its answers, and its refusals in its own words."""

from __future__ import annotations

import pytest

from app.dashboard.rest import Refused, Rest
from tests.app.dashboard.loops import finished
from tests.app.dashboard.sources import sources_of
from tests.nodes import RunningNode


def test_answers_and_refusals_are_those_of_rest(shop: RunningNode) -> None:
    rest = Rest(sources_of(shop).rest, "asking")
    body = {"verdict": "missed", "service": "a", "start": "2026-03-02T12:00:00Z", "end": "2026-03-02T12:10:00Z"}
    given = finished(rest.post("/feedback", body))
    assert (given["tenant"], given["verdict"]) == ("asking", "missed")
    assert finished(rest.get(f"/feedback/{given['id']}"))["id"] == given["id"]
    with pytest.raises(Refused, match="no incident 'x' of tenant 'asking'"):
        finished(rest.get("/incidents/x"))
    with pytest.raises(Refused, match="Method Not Allowed"):
        finished(rest.delete("/incidents"))
