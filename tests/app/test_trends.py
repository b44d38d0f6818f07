"""Trends meet the Memory: documents of services each tick, of operations in turns; incidents teach nothing; a restart changes nothing."""

from __future__ import annotations

import numpy as np

from app.cache.documents import decode_document
from app.cache.trend_records import SINGLE, TrendRecord
from app.trends import SeriesTrends
from features.batch import N_BUCKETS, N_CHANNELS, Batch, channel
from features.memory import Memory, MemoryPlan
from features.snapshot import restore, snapshot

FIRST = 28_404_000
NAMES = ("GET /cart", "POST /cart")


def feed(memory: Memory, trends: SeriesTrends, errors: int, requests: int = 200, bucket: int = 5) -> None:
    """Let a minute pass in which two operations of a service answer, in one of the histogram's buckets."""
    tick = memory.tick if memory.tick >= 0 else FIRST
    counts, histogram = np.zeros((2, N_CHANNELS)), np.zeros((2, N_BUCKETS))
    counts[:, channel("total")] = histogram[:, bucket] = requests
    counts[0, [channel("errors"), channel("failed")]] = errors
    names = tuple(("cart", name) for name in NAMES)
    memory.begin(tick)
    memory.add("default", 0, Batch("traces", 1, names, np.arange(2), np.full(2, tick * 60), counts, histogram))
    memory.advance(tick + 1)
    trends.advance(memory)


def told(memory: Memory, trends: SeriesTrends) -> dict[str, TrendRecord]:
    """Return the documents of a tick by operation."""
    outputs = trends.outputs(memory, ["prior"] * len(memory.directory))
    records = [decode_document(output.value or b"", TrendRecord) for _, output in outputs]
    return {record.operation: record for record in records}


def of(record: TrendRecord, name: str) -> float | None:
    return record.errors_per_minute[SINGLE.index(name)]


def calm(ticks: int) -> tuple[Memory, SeriesTrends]:
    memory, trends, rng = Memory(MemoryPlan()), SeriesTrends(60), np.random.default_rng(0)
    for _ in range(ticks):
        feed(memory, trends, int(rng.binomial(200, 0.01)))
    return memory, trends


def test_a_service_is_told_of_each_tick_and_an_operation_each_fifth() -> None:
    memory, trends = calm(20)
    assert sorted(told(memory, trends)) == ["*", *NAMES]  # the first time all
    found: list[str] = []
    for _ in range(10):
        feed(memory, trends, 2)
        found += told(memory, trends)
    assert [found.count(name) for name in ("*", *NAMES)] == [10, 2, 2]


def test_where_nothing_was_seen_nothing_is_told() -> None:
    memory, trends = Memory(MemoryPlan()), SeriesTrends(60)
    memory.begin(FIRST)
    memory.advance(FIRST + 1)
    trends.advance(memory)
    assert told(memory, trends) == {}


def test_errors_and_latency_that_rise_are_seen_to_change_and_to_pass_their_limits() -> None:
    memory, trends = calm(300)
    before = told(memory, trends)["*"]
    for minute in range(12):
        feed(memory, trends, 14 + minute, bucket=9)
    after = told(memory, trends)["*"]
    assert (before.status, of(before, "changed_s")) == ("ok", None)
    limit, level, changed_s = (of(after, name) for name in ("limit", "level", "changed_s"))
    assert limit is not None
    assert level is not None
    assert changed_s is not None
    assert 15.0 < level < 27.0
    assert 600 <= changed_s <= 900
    assert 19.9 < limit < 20.5  # a twentieth of the requests of both operations
    assert (of(after, "probability") or 0.0) > 0.3 > 10 * (of(before, "probability") or 0.0)
    assert before.p95_s is not None
    assert after.p95_s is not None
    assert (after.p95_s[0] or 0.0) > 10 * (before.p95_s[0] or 0.0)


def test_who_is_silent_has_no_latency() -> None:
    memory, trends = Memory(MemoryPlan()), SeriesTrends(60)
    for _ in range(5):
        feed(memory, trends, 0, requests=0)
    assert told(memory, trends)["*"].p95_s is None


def test_windows_of_an_incident_do_not_become_usual() -> None:
    memory, trends = calm(300)
    usual = of(told(memory, trends)["*"], "usual_at_any_hour")
    for _ in range(5):
        feed(memory, trends, 100)
    assert memory.onsets.in_incident().any()
    hours = trends.parts()["trend_hours"]["learned"].copy()
    for _ in range(20):
        feed(memory, trends, 100, bucket=12)
    assert trends.parts()["trend_hours"]["learned"][0] == hours[0]
    now = of(told(memory, trends)["*"], "usual_at_any_hour")
    assert usual is not None
    assert now is not None
    assert abs(now - usual) < 0.1 * usual


def test_a_restart_changes_nothing() -> None:
    memory, trends = calm(120)
    state = snapshot(memory, 0, trends.parts())
    other, later = Memory(MemoryPlan()), SeriesTrends(60)
    restore(other, 0, state, later.parts())
    for errors in (3, 50, 2, 60):
        feed(memory, trends, errors)
        feed(other, later, errors)
    rows = np.arange(3)
    for ours, theirs in zip(trends.told(memory, rows), later.told(other, rows), strict=True):
        assert np.array_equal(ours.outlook.upper, theirs.outlook.upper)
        assert np.array_equal(ours.probability, theirs.probability)
    assert snapshot(other, 0, later.parts()) == snapshot(memory, 0, trends.parts())


def test_a_checkpoint_of_a_release_without_trends_begins_anew() -> None:
    memory, _ = calm(30)
    other, later = Memory(MemoryPlan()), SeriesTrends(60)
    restore(other, 0, snapshot(memory, 0), later.parts())
    feed(other, later, 2)
    assert told(other, later)["*"].errors_per_minute[0] is not None
