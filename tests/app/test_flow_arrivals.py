"""Whatever comes late, twice or in another order: history adds up to the same, as long as it comes within the lateness."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from app.flow import Flow, FlowPlan
from app.history.packed import PackedRows, Rows
from app.ingest.codec import BatchMessage
from app.telemetry import Telemetry
from features.memory import MemoryPlan
from tests.telemetry import T0, a_batch, a_record

LATENESS = 5
WINDOWS = 4
TICK_NS = 60 * 10**9


@dataclass(frozen=True)
class Arrival:
    """When a request comes: by its place in what was sent, and the tick."""

    request: int
    tick: int


def request(number: int, service: str, window: int, total: int) -> BatchMessage:
    """Return what one request said: so many entry spans, every other one of which failed."""
    failed = total // 2
    batch = a_batch((service, "GET /", window, {"total": float(total), "failed": float(failed), "errors": float(failed)}))
    errors = [a_record(service, window, trace_id=f"{number + 1:032x}", span_id=f"{n + 1:016x}") for n in range(failed)]
    return BatchMessage("default", f"request-{number}", 0, replace(batch, errors=tuple(errors)))


requests = st.lists(
    st.builds(lambda *parts: parts, st.sampled_from(["web", "cart"]), st.integers(T0, T0 + WINDOWS - 1), st.integers(1, 9)),
    min_size=1,
    max_size=8,
).map(lambda found: [request(n, *parts) for n, parts in enumerate(found)])


@st.composite
def disturbed(draw: st.DrawFn) -> tuple[list[BatchMessage], list[Arrival]]:
    """Draw requests, and arrivals of each: one at least, all within the lateness of its window, in any order within a tick."""
    sent = draw(requests)
    arrivals: list[Arrival] = []
    for number, message in enumerate(sent):
        window = int(message.batch.group_time_s[0]) // 60
        ticks = draw(st.lists(st.integers(window, window + LATENESS), min_size=1, max_size=3))
        arrivals += [Arrival(number, tick) for tick in ticks]
    shuffled: Sequence[Arrival] = draw(st.permutations(arrivals))
    return sent, sorted(shuffled, key=lambda arrival: arrival.tick)


def history_of(
    sent: Sequence[BatchMessage], arrivals: Sequence[Arrival]
) -> tuple[Counter[object], Counter[object], list[object]]:
    """Return what history adds up to: counts by series and window, categories by service and window, and errors."""
    flow = Flow(FlowPlan(MemoryPlan(lateness=LATENESS)), Telemetry())
    flow.memory.begin(T0)
    for tick in range(T0, T0 + WINDOWS + LATENESS):
        for arrival in arrivals:
            if arrival.tick == tick:
                flow.absorb(0, replace(sent[arrival.request], received_at_ns=tick * TICK_NS + 1))
        end_tick(flow, tick)
    assert flow.memory.late == 0
    tables = flow.chronicle.tables()
    counts, categories = Counter[object](), Counter[object]()
    for row in _rows(tables.get("windows")):
        for name in ("total", "failed", "errors"):
            counts[row["service"], row["operation"], row["window"], name] += row[name]
    for row in _rows(tables.get("facts")):
        if row["kind"] == "category":
            categories[row["service"], row["window"], row["name"]] += row["value"]
    errors = [
        (row["service"], row["time"], row["trace_id"], row["span_id"], row["category"]) for row in _rows(tables.get("errors"))
    ]
    return counts, categories, sorted(errors, key=repr)


def end_tick(flow: Flow, tick: int) -> None:
    """Close a tick as `Flow.forecast` does, without forecasting, which changes nothing here and takes most of the time."""
    closed = flow.memory.advance(tick + 1)
    flow.chronicle.add_closed(flow.memory, closed, {0: tick})
    flow.chronicle.add_errors({0: tick})


def _rows(rows: Rows | None) -> list[dict[str, Any]]:
    parts: Iterable[pa.Table] = () if rows is None else rows if isinstance(rows, PackedRows) else [rows]
    return [row for part in parts for row in part.to_pylist()]


@settings(max_examples=50)
@given(disturbed())
def test_late_repeated_and_reordered_requests_add_up_to_the_same_history(
    story: tuple[list[BatchMessage], list[Arrival]],
) -> None:
    sent, arrivals = story
    in_order = [Arrival(n, int(message.batch.group_time_s[0]) // 60) for n, message in enumerate(sent)]
    assert history_of(sent, arrivals) == history_of(sent, in_order)


def test_what_comes_after_the_lateness_is_not_in_history() -> None:
    sent = [request(0, "web", T0, 4), request(1, "web", T0 + 1, 4)]
    flow = Flow(FlowPlan(MemoryPlan(lateness=LATENESS)), Telemetry())
    flow.memory.begin(T0)
    for tick in range(T0, T0 + LATENESS + 1):
        end_tick(flow, tick)
    flow.absorb(0, replace(sent[0], received_at_ns=(T0 + LATENESS + 1) * TICK_NS))
    assert flow.telemetry.value("late_groups") == 1
