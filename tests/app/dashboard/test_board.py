"""A board says what changed between two looks, and whoever takes its deltas has the rows that it has."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from app.cache.cache import Cache
from app.dashboard.board import COLUMNS, Board, Boards, Delta, Row
from app.dashboard.live import Live
from app.dashboard.past import Past
from app.history.delta import DeltaHistory
from app.history.tables import rows_schema
from app.store.contract import Documents
from app.telemetry import Telemetry
from models.prediction import AnomalyScore
from tests.app.dashboard.loops import finished
from tests.dashboard_night import an_incident, put_incident
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


def test_a_hole_in_the_last_hour_stays_one(documents: Documents, past: Past) -> None:
    board = Board(Cache(documents, Telemetry()), "default", past)
    for minute, status in ((0, "ok"), (1, "ok"), (5, "ok"), (6, "in_incident"), (7, "in_incident"), (8, "prior")):
        put_service_of(documents, prediction_of("a", 0.25, "", status, NOON + timedelta(minutes=minute)))
        board.look()
    quarter = chr(35 + 45)
    assert board.sparks()["a"] == f"{quarter * 2}   {quarter}  {quarter}"
    put_service_of(documents, prediction_of("a", 0.25, "", "ok", NOON + timedelta(minutes=900)))
    board.look()
    assert board.sparks()["a"] == " " * 59 + quarter


def test_while_an_incident_is_open_a_row_tells_of_it_and_stands_above_all_chances(documents: Documents, past: Past) -> None:
    def row(name: str) -> dict[str, object]:
        found = next(row for row in board.rows() if row[0] == name)
        return dict(zip(COLUMNS, found, strict=True))

    board = Board(Cache(documents, Telemetry()), "default", past)
    put(documents, "risky", 0.9, reason="its queue grows")
    put(documents, "reported", 0.1)
    put(documents, "partly", 0.2)
    board.look()
    assert [row[0] for row in board.rows()] == ["risky", "partly", "reported"]
    assert row("partly")["reason"] is None, "it was not taken apart"
    whole = replace(an_incident(NOON), tenant="default", service="reported", source="alertmanager")
    put_incident(documents, whole)
    put_incident(documents, replace(whole, id="n2", service="partly", operation="POST /charge"))
    assert {str(row[0]) for row in board.look().rows} == {"reported", "partly"}
    assert [row[0] for row in board.rows()] == ["reported", "risky", "partly"]
    told = row("reported")
    assert [told[name] for name in ("5min", "15min", "60min")] == [None] * 3
    assert (told["status"], told["incident"], told["since_s"]) == ("in_incident", "n1", NOON.timestamp())
    assert (row("partly")["60min"], row("partly")["reason"], row("partly")["incident"]) == (0.2, "incident of POST /charge", "")
    assert board.look().empty
    put_incident(documents, replace(whole, end=NOON + timedelta(minutes=9)))
    assert [row[0] for row in board.look().rows] == ["reported"]
    assert (row("reported")["60min"], row("reported")["status"], row("reported")["since_s"]) == (0.1, "ok", None)


def test_an_anomaly_is_a_reason_where_no_other_is(documents: Documents, past: Past) -> None:
    board = Board(Cache(documents, Telemetry()), "default", past)
    calm = prediction_of("a", 0.01, "", "ok", NOON)
    for service, strange, explained in (("a", True, True), ("b", False, True), ("c", False, False)):
        anomaly = AnomalyScore(0.9999 if strange else 0.3, 9.0, 0.1, 0.0, 1.0)
        found = replace(calm, series=replace(calm.series, service=service), anomaly=anomaly)
        put_service_of(documents, found, explained=explained)
    board.look()
    reasons = {row[0]: row[COLUMNS.index("reason")] for row in board.rows()}
    assert reasons == {"a": "unusual: errors of 9/min, normal is 0 to 1/min", "b": "", "c": None}


def test_the_last_hour_is_remembered_once_and_without_what_was_seen_since(
    documents: Documents, past: Past, tmp_path: Path
) -> None:
    history = DeltaHistory(tmp_path / "history")
    base = {"tenant": "default", "service": "a", "operation": "*", "status": "ok", "model_version": "v", "partition": 0}
    rows = [
        base | {"as_of": int((NOON + timedelta(minutes=minute)).timestamp()), "p5": 0.0, "p15": 0.0, "p60": 0.25, "id": str(minute), "offset": minute + 9}
        for minute in (-3, -2, -1, 0, 1)
    ]  # fmt: skip
    history.append({"predictions": pa.Table.from_pylist(rows, rows_schema("predictions"))}, {0: 99})
    board = Board(Cache(documents, Telemetry()), "default", past)
    for minute in (0, 1, 2):
        put(documents, "a", 1.0, minute)
        board.look()
    for _ in range(3):  # as browsers come one after the other
        board.remember()
    quarter, one = chr(35 + 45), chr(35 + 90)
    assert board.sparks()["a"] == 3 * quarter + 3 * one


def test_all_of_a_board_can_be_read_while_it_is_looked_at(documents: Documents, past: Past) -> None:
    board = Board(Cache(documents, Telemetry()), "default", past)
    put(documents, "a", 0.5)
    board.look()

    def change() -> None:
        for number in range(60):
            put(documents, f"more-{number}", 0.1, number)
            board.look()

    with ThreadPoolExecutor(1) as pool:
        changing = pool.submit(change)
        while not changing.done():
            number, said = board.whole()
            whole = json.loads(said)
            assert (whole["number"], set(whole["sparks"])) == (number, {row[0] for row in whole["rows"]})
            assert next(row[0] for row in board.rows()) == "a"
        changing.result()
    assert len(board.rows()) == 61


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
        board, leave = await boards.follow("default", lambda said: first.append(json.loads(said)["number"]))
        same, leave_too = await boards.follow("default", lambda said: second.append(json.loads(said)["number"]))
        assert board is same
        assert live.followers == 1
        put(documents, "a", 0.2)
        await asyncio.gather(*live.look())
        leave()
        put(documents, "a", 0.3)
        await asyncio.gather(*live.look())
        leave_too()
        leave_too()
        assert live.followers == 0
        return first, second

    assert finished(scenario()) == ([2], [2, 3])
