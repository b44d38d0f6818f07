"""Rows of history: what a tick made known, with the place in the log that it came from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from app import chronicle as chronicle_module
from app.chronicle import Chronicle, Forecasts
from app.history.tables import BOUNDS, conform
from features.batch import CHANNELS, N_BUCKETS, Batch, Level, channel
from features.incident import Incident
from features.memory import Closed, Memory, MemoryPlan
from tests.api_builders import NOON, an_error_event

FIRST = 29_333_334


def a_tick(memory: Memory, tick: int, *, late: int = 0) -> Closed:
    """Add ten requests of a service, some of them to an earlier window, and close the tick."""
    memory.begin(tick)
    counts = np.zeros((2, len(CHANNELS)))
    counts[:, channel("total")] = 10 - late, late
    counts[:, channel("duration_max_s")] = 0.5
    times = np.array([tick * 60, (tick - 1) * 60])
    kept = slice(0, 2 if late else 1)
    histogram = np.zeros((2, N_BUCKETS))
    histogram[:, 3] = counts[:, 0]
    batch = Batch(
        "traces", 1, (("web", "GET /"),), np.zeros(2, np.int64)[kept], times[kept], counts[kept], histogram[kept],
        levels=(Level("web", "heap", tick * 60 * 10**9, 0.5),),
    )  # fmt: skip
    memory.add("default", 5, batch)
    return memory.advance(tick + 1)


def tables(chronicle: Chronicle) -> dict[str, pa.Table]:
    """Return what waits for history, unpacked."""
    return {name: rows if isinstance(rows, pa.Table) else rows.table() for name, rows in chronicle.tables().items()}


def test_increments_carry_their_window_receipt_partition_and_offset() -> None:
    memory, chronicle = Memory(MemoryPlan()), Chronicle()
    chronicle.add_closed(memory, a_tick(memory, FIRST), {5: 11, 6: 12})
    chronicle.add_closed(memory, a_tick(memory, FIRST + 1, late=3), {5: 21, 6: 22})
    rows = [row for row in tables(chronicle)["windows"].to_pylist() if row["operation"] == "GET /"]
    told = [(r["window"] // 60 - FIRST, r["received"] // 60 - FIRST, r["total"], r["partition"], r["offset"]) for r in rows]
    assert told == [(0, 1, 10.0, 5, 11), (0, 2, 3.0, 5, 21), (1, 2, 7.0, 5, 21)]
    assert all(row["histogram"][3] == row["total"] and len(row["histogram"]) == N_BUCKETS for row in rows)
    assert conform("windows", tables(chronicle)["windows"]).num_rows == 6


def test_every_partition_says_that_a_tick_was_closed_even_in_silence() -> None:
    memory, chronicle = Memory(MemoryPlan()), Chronicle()
    memory.begin(FIRST)
    chronicle.add_closed(memory, memory.advance(FIRST + 1), {0: 3, 1: 4})
    rows = tables(chronicle)["facts"].to_pylist()
    assert [(r["kind"], r["tenant"], r["received"] // 60 - FIRST, r["partition"], r["offset"]) for r in rows] == [
        ("tick", "", 1, 0, 3),
        ("tick", "", 1, 1, 4),
    ]
    assert "windows" not in chronicle.tables()


def test_facts_of_a_service_are_rows_beside_the_ticks() -> None:
    memory, chronicle = Memory(MemoryPlan()), Chronicle()
    chronicle.add_closed(memory, a_tick(memory, FIRST), {5: 11})
    facts = [(r["kind"], r["service"], r["name"], r["value"]) for r in tables(chronicle)["facts"].to_pylist()]
    assert facts == [("level", "web", "heap", 0.5), ("tick", "", "", 1.0)]


def test_predictions_errors_and_incidents_are_rows_that_history_takes() -> None:
    memory, chronicle = Memory(MemoryPlan()), Chronicle()
    a_tick(memory, FIRST)
    p = np.array([[0.1, 0.2, 0.3], [0.2, 0.3, 0.4]])
    bounds = {"errors": np.array([[0.0, 3.0], [0.0, 2.0]]), "latency": np.full((2, 2), np.nan)}
    chronicle.add_forecasts(memory, Forecasts(p, ["ok", "prior"], ["v1", "v1"], ["5-9-0", "5-9-1"]), bounds, {5: 9})
    chronicle.add_error(5, an_error_event("web"))
    chronicle.add_errors({5: 9})
    key = memory.directory.keys[0]
    incident = Incident("i", key, NOON, NOON, None, "rule", "network")
    chronicle.add_incidents([(0, incident), (0, replace(incident, end=NOON))], memory, {5: 9})
    found = tables(chronicle)
    assert chronicle.n_rows == 2 + 1 + 2
    assert [(r["operation"], r["status"], r["id"]) for r in found["predictions"].to_pylist()] == [
        ("*", "ok", "5-9-0"),
        ("GET /", "prior", "5-9-1"),
    ]
    assert [[r[name] for names in BOUNDS.values() for name in names] for r in found["predictions"].to_pylist()] == [
        [0.0, 3.0, None, None],
        [None] * 4,
    ], "those of the whole service are kept, where there are some"
    assert [row["ended"] for row in found["incidents"].to_pylist()] == [None, int(NOON.timestamp())]
    assert all(conform(name, table).num_rows == table.num_rows for name, table in found.items())
    assert all(set(table["offset"].to_pylist()) == {9} for table in found.values())


def test_nothing_adds_nothing_and_what_is_cleared_is_gone() -> None:
    memory, chronicle = Memory(MemoryPlan()), Chronicle()
    chronicle.add_errors({})
    chronicle.add_incidents([], memory, {})
    assert (chronicle.tables(), chronicle.n_rows) == ({}, 0)
    chronicle.add_closed(memory, a_tick(memory, FIRST), {5: 11})
    assert chronicle.n_rows > 0
    chronicle.clear()
    assert (chronicle.tables(), chronicle.n_rows) == ({}, 0)


def test_errors_wait_for_the_end_of_their_tick_and_keep_their_place_and_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chronicle_module, "_MAX_EVENTS", 2)
    chronicle = Chronicle()
    for number in range(5):
        event = replace(
            an_error_event("web"), message=f"m{number}", stack="ab"[number % 2] * 9, weight=2.0, attributes={"k": "é"}
        )
        chronicle.add_error(number % 3, event)
    chronicle.clear()  # what was appended to history is of ticks before
    assert (chronicle.tables(), chronicle.n_rows) == ({}, 0)
    chronicle.add_errors({0: 10, 1: 11, 2: 12})
    assert chronicle.n_rows == 5
    rows = conform("errors", tables(chronicle)["errors"]).to_pylist()
    assert [(row["message"], row["partition"], row["offset"], row["stack"][0]) for row in rows] == [
        ("m0", 0, 10, "a"), ("m1", 1, 11, "b"), ("m2", 2, 12, "a"), ("m3", 0, 10, "b"), ("m4", 1, 11, "a"),
    ]  # fmt: skip
    assert {(row["weight"], row["attributes"]) for row in rows} == {(2.0, '{"k":"é"}')}
    chronicle.add_errors({0: 10, 1: 11, 2: 12})
    assert chronicle.n_rows == 5, "nothing is added twice"
