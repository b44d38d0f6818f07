"""Calls about feedback, asked of a node."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.client import Foreshock, Refused
from tests.nodes import RunningNode


def now_of(shop: RunningNode) -> datetime:
    return datetime.fromtimestamp(shop.now_ns / 1e9, UTC)


def test_feedback_is_given_listed_and_taken_back(foreshock: Foreshock) -> None:
    given = foreshock.feedback("confirmed", incident_id="i0", who="ana")
    assert (given.service, given.undone_by) == ("payment", None)
    assert foreshock.undo(given.id, why="a slip").undoes == given.id
    assert foreshock.verdict(given.id).undone_by == f"undo-{given.id}"
    assert given.id in set(foreshock.verdicts(incident_id="i0")["id"])
    assert given.id not in set(foreshock.verdicts(state="standing")["id"])


def test_many_verdicts_are_kept_together_or_not_at_all(foreshock: Foreshock, shop: RunningNode) -> None:
    end = now_of(shop)
    kept = foreshock.feedback_batch(
        [
            {"verdict": "missed", "service": "cart", "start": end - timedelta(hours=1), "end": end, "who": "ben"},
            {"verdict": "expected", "selector": {"service": "*"}, "start": end - timedelta(hours=2), "end": end, "who": "ben"},
        ]
    )
    assert list(kept["verdict"]) == ["missed", "expected"]
    assert str(kept["start"].dtype) == "datetime64[us, UTC]"
    with pytest.raises(Refused) as refused:
        foreshock.feedback_batch([{"verdict": "confirmed", "incident_id": "i0"}, {"verdict": "confirmed", "incident_id": "no"}])
    assert [one["index"] for one in refused.value.errors] == [1]
    assert len(foreshock.verdicts(who="ben")) == 2


def test_impact_says_what_feedback_changed(foreshock: Foreshock) -> None:
    impact = foreshock.impact()
    assert (impact.run, impact.note) == (None, "no training run has learned with feedback yet; it is said here once one has")
