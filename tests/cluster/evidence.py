"""Reads what is left of a run: history, the log, and what an undisturbed worker makes of the same log."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from app.flow import Flow, FlowPlan
from app.history.delta import DeltaHistory
from app.ingest.codec import BatchMessage, TickMessage, unpack
from app.settings import StoreSettings
from app.store.contract import Entry, Log
from app.store.jetstream import ClusterPlan, open_jetstream
from app.store.sqlite import open_store
from app.telemetry import Telemetry
from app.worker import Worker, WorkerParts, WorkerPlan
from features.memory import MemoryPlan
from features.series import partition_of
from tests.cluster.invariants import Evidence, Failure, Gain
from tests.cluster.nodes import Shape

__all__ = ["entries_of", "evidence_of", "rows_without_offsets", "undisturbed"]

_PAGE = 4096


def entries_of(urls: Sequence[str], shape: Shape) -> Mapping[int, Sequence[Entry]]:
    """Return the whole log of a cluster, by partition."""
    plan = ClusterPlan(shape.partitions, shape.streams, min(shape.servers, 3))
    with closing(open_jetstream({"servers": list(urls)}, plan, lambda: datetime.now(UTC))) as store:
        return {partition: _all(store.log, partition) for partition in range(shape.partitions)}


def evidence_of(
    history: Path, read_log: Callable[[], Mapping[int, Sequence[Entry]]], shape: Shape, services: Sequence[str]
) -> Evidence:
    """Return what history and then the log hold of some services: while nodes run, none may hold what the log did not when it was read."""
    tables = DeltaHistory(history)
    gains = [Gain(**row) for row in _counted(tables)]
    failures = [
        Failure(row["service"], row["span_id"], int(row["received_at"].timestamp() * 1e6), row["offset"])
        for row in tables.read("errors", columns=["service", "span_id", "received_at", "offset"]).to_pylist()
    ]
    closed = [(row["partition"], row["received"]) for row in _facts(tables) if row["kind"] == "tick"]
    predictions = [
        (row["service"], row["operation"], row["as_of"])
        for row in tables.read("predictions", columns=["service", "operation", "as_of"]).to_pylist()
    ]
    log = read_log()
    markers: dict[int, list[int]] = {}
    numbers: dict[str, list[int]] = {}
    begun: dict[int, int] = {}
    for partition, entries in log.items():
        messages = [unpack(entry.data) for entry in entries]
        ticks = [message.tick_s for message in messages if isinstance(message, TickMessage)]
        markers[partition] = sorted(set(accumulate(ticks, max)))  # one that comes after a later one closes nothing
        for message in messages:
            if isinstance(message, BatchMessage):
                begun.setdefault(partition, message.received_at_ns // 10**9 // shape.tick_s * shape.tick_s)
                for record in message.batch.errors:
                    numbers.setdefault(record.service, []).append(int(record.span_id[4:], 16))
    return Evidence(
        gains,
        failures,
        closed,
        predictions,
        {service: partition_of("default", service, shape.partitions) for service in services},
        markers,
        numbers,
        begun,
    )


def undisturbed(folder: Path, log: Mapping[int, Sequence[Entry]], shape: Shape) -> Path:
    """Let one worker, which nobody disturbs, read a copy of the log, and return where its history lies."""
    telemetry = Telemetry()
    settings = StoreSettings(partitions=shape.partitions, commit_window_ms=0.0)
    memory = MemoryPlan(tick_s=shape.tick_s, lateness=shape.lateness_s // shape.tick_s)
    with open_store(folder, settings=settings, max_in_flight_bytes=2**28, now=lambda: datetime.now(UTC)) as store:
        for partition, entries in _up_to_a_common_tick(log).items():
            for start in range(0, len(entries), _PAGE):
                store.log.append_many([(partition, f"{e.offset}", e.data) for e in entries[start : start + _PAGE]])
        parts = WorkerParts(store.log, store.checkpoints, store.documents, DeltaHistory(folder / "history"), lambda *_: None)
        worker = Worker(parts, lambda: Flow(FlowPlan(memory), telemetry), telemetry, WorkerPlan(checkpoint_s=1e9))
        worker.acquire()
        worker.drain()
        worker.checkpoint()
    assert not any(telemetry.values("faults").values()), "the undisturbed worker was disturbed"
    return folder / "history"


def rows_without_offsets(history: Path, table: str, until: int, markers: Mapping[int, Sequence[int]]) -> list[tuple[Any, ...]]:
    """Return the rows of ``windows`` or ``facts`` up to a tick, sorted, without where in the log they came from.

    Of a tick that a partition's log has no marker of, since nobody held it for that long, a worker knows only by the other partitions that it
    holds: what it counts at it belongs to the partition's next marker.
    """
    rows = DeltaHistory(history).read(table)
    rows = rows.filter(pc.field("received") <= until)
    left = [name for name in ("offset", "id") if name in rows.column_names]
    found: list[tuple[Any, ...]] = []
    for row in rows.drop_columns(left).to_pylist():
        own = markers[row["partition"]]
        place = bisect_left(own, row["received"])
        if row.get("kind") == "tick" and own[place : place + 1] != [row["received"]]:
            continue
        received = own[place] if place < len(own) else row["received"]
        if received <= until:
            found.append(tuple(map(repr, (row | {"received": received}).values())))
    return sorted(found)


def _up_to_a_common_tick(log: Mapping[int, Sequence[Entry]]) -> Mapping[int, Sequence[Entry]]:
    """Return the log up to the newest marker that all partitions have: behind it nothing is closed yet."""
    places: dict[int, dict[int, int]] = {}
    for partition, entries in log.items():
        places[partition] = {}
        for place, entry in enumerate(entries):
            message = unpack(entry.data)
            if isinstance(message, TickMessage):
                places[partition].setdefault(message.tick_s, place)
    newest = max(set[int].intersection(*(set(found) for found in places.values())))
    return {partition: entries[: places[partition][newest] + 1] for partition, entries in log.items()}


def _all(log: Log, partition: int) -> list[Entry]:
    found: list[Entry] = []
    while entries := log.read(partition, found[-1].offset if found else 0, _PAGE):
        found += entries
    return found


def _counted(tables: DeltaHistory) -> list[dict[str, Any]]:
    names = ["service", "operation", "window", "received", "total", "errors"]
    rows = tables.read("windows", columns=names).to_pylist()
    return [row | {"total": int(row["total"]), "errors": int(row["errors"])} for row in rows]


def _facts(tables: DeltaHistory) -> list[dict[str, Any]]:
    return tables.read("facts", columns=["partition", "received", "kind"]).to_pylist()
