"""A board says what changed between two looks, and whoever takes its deltas has the rows that it has."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.cache.cache import Cache
from app.dashboard.board import COLUMNS, Board, Boards, Delta, Row
from app.dashboard.live import Live
from app.dashboard.past import Past
from app.history.delta import DeltaHistory
from app.store.contract import Documents
from app.telemetry import Telemetry
from tests.app.dashboard.loops import finished
from tests.dashboard_seed import prediction_of, put_service_of

NOON = datetime.now(UTC)
AS_OF, EXPIRES = COLUMNS.index("as_of_s"), COLUMNS.index("expires_s")


@pytest.fixture
def past(tmp_path: Path) -> Past:
    return Past(DeltaHistory(tmp_path / "history"), lambda: NOON, 60)


def put(documents: Documents, service: str, risk: float, minute: int = 0, reason: str = "") -> None:
    put_service_of(documents, prediction_of(service, risk, reason, "ok", NOON + timedelta(minutes=minute)))


def taken(rows: dict[str, Row], delta: Delta) -> dict[str, Row]:
    """Do what the browser does with a delta."""
    known = {name: row for name, row in rows.items() if name not in delta.gone}
    if delta.as_of_s:
        moved = [name for name in known if name not in delta.late and name not in {str(row[0]) for row in delta.rows}]
        for name in moved:
            row = list(known[name])
            row[AS_OF], row[EXPIRES] = delta.as_of_s, delta.expires_s
            known[name] = tuple(row)
    return known | {str(row[0]): row for row in delta.rows}


def test_deltas_hold_what_changed_and_lead_to_the_same_rows(documents: Documents, past: Past) -> None:
    board = Board(Cache(documents, Telemetry()), "default", past)
    for name, risk in (("a", 0.1), ("b", 0.7), ("c", 0.3)):
        put(documents, name, risk)
    rows = taken({}, board.look())
    assert [row[0] for row in board.rows()] == ["b", "c", "a"]
    assert board.look().empty
    put(documents, "a", 0.1, 1)
    put(documents, "b", 0.8, 1)
    documents.delete("predictions", "default/c/%2A")
    delta = board.look()
    assert [row[0] for row in delta.rows] == ["b"]
    assert (delta.gone, delta.late, delta.as_of_s) == (("c",), (), (NOON + timedelta(minutes=1)).timestamp())
    rows = taken(rows, delta)
    put(documents, "a", 0.1, 2)
    delta = board.look()
    assert delta.late == ("b",)
    assert sorted(taken(rows, delta).values()) == sorted(board.rows())


def test_sparklines_join_history_with_what_was_seen(documents: Documents, past: Past) -> None:
    board = Board(Cache(documents, Telemetry()), "default", past)
    for minute in range(70):
        put(documents, "a", 0.25, minute)
        board.look()
    board.remember()
    assert len(board.sparks()["a"]) == 60
    assert set(board.sparks()["a"]) == {chr(35 + 45)}


def test_a_prediction_that_does_not_know_of_news_is_stale_and_one_of_another_release_is_left_out(
    documents: Documents, past: Past
) -> None:
    board = Board(Cache(documents, Telemetry()), "default", past)
    put(documents, "a", 0.2)
    documents.put("predictions", "default/strange/%2A", b'{"service": 1}')
    documents.put("predictions", "default/a/GET", b"{}")
    board.look()
    assert [row[COLUMNS.index("status")] for row in board.rows()] == ["ok"]
    documents.put("models", "default/serving", b'{"history": ["v9"], "steps": []}')
    assert [row[COLUMNS.index("status")] for row in board.look().rows] == ["stale"]


def test_one_look_serves_all_who_follow_and_ends_with_the_last(documents: Documents, past: Past) -> None:
    async def scenario() -> tuple[list[int], list[int]]:
        cache = Cache(documents, Telemetry())
        live = Live(cache, poll_s=3600.0)
        boards, first, second = Boards(cache, past, live), list[int](), list[int]()
        board, leave = await boards.follow("default", lambda delta: first.append(delta.number))
        same, leave_too = await boards.follow("default", lambda delta: second.append(delta.number))
        assert board is same
        assert live.followers == 1
        put(documents, "a", 0.2)
        await live.look()
        leave()
        put(documents, "a", 0.3)
        await live.look()
        leave_too()
        leave_too()
        assert live.followers == 0
        return first, second

    assert finished(scenario()) == ([2], [2, 3])
