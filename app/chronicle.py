"""What history gets: rows of increments, facts, errors, predictions and incidents, gathered by tick.

`app.flow` adds to it at every tick; `app.worker` flushes it into `app.history` before each checkpoint.
Rows carry the partition and the offset of the tick's marker, by which history drops what it has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from app.history.packed import PackedRows, Rows
from app.history.tables import BOUNDS, errors_table, rows_schema
from features.arrays import FloatArray, IntArray
from features.batch import CHANNELS, N_CHANNELS
from features.event import ErrorEvent
from features.incident import Incident
from features.memory import Closed, Memory

__all__ = ["Chronicle", "Forecasts"]

_MAX_EVENTS = 1_024  # guessed: ErrorEvents that wait as objects, some megabytes


@dataclass(frozen=True, slots=True, eq=False)
class Forecasts:
    """Predictions of one tick in columns.

    Parameters
    ----------
    p : FloatArray, shape (n, 3)
        Probabilities of all rows.
    status, versions, ids : sequence of str, length n
        By row.
    """

    p: FloatArray
    status: Sequence[str]
    versions: Sequence[str]
    ids: Sequence[str]


class Chronicle:
    """Rows by table that wait for history."""

    def __init__(self) -> None:
        self._tables: dict[str, list[pa.Table]] = {}
        self._events: list[ErrorEvent] = []
        self._partitions: list[int] = []
        self._errors = PackedRows()
        self.n_rows = 0

    def add_closed(self, memory: Memory, closed: Closed, offsets: Mapping[int, int]) -> None:
        """Add what a tick made known of counts and facts.

        Parameters
        ----------
        memory : Memory
            Names the rows.
        closed : Closed
            From `Memory.advance`.
        offsets : Mapping of int to int
            Offset of the tick's marker by partition.
        """
        tick_s, increment = memory.plan.tick_s, closed.increment
        names = _names(memory, increment.rows, offsets)
        values = increment.values.astype(np.float32)
        columns: dict[str, Any] = {
            **names,
            "window": increment.windows * tick_s,
            "received": np.full(len(increment.rows), increment.tick * tick_s, np.int64),
            **{name: values[:, i] for i, name in enumerate(CHANNELS)},
            "histogram": _lists(values[:, N_CHANNELS:]),
        }
        self._add("windows", columns)
        facts = closed.facts
        rows = np.array([f.row for f in facts], np.int64)
        fact_names = _names(memory, rows, offsets)
        del fact_names["operation"]
        ticks = sorted(offsets)
        # One fact a partition says that the tick was closed, data or not: training must see silence too.
        self._add(
            "facts",
            {
                "tenant": [*fact_names["tenant"], *[""] * len(ticks)],
                "service": [*fact_names["service"], *[""] * len(ticks)],
                "window": [*(f.window * tick_s for f in facts), *[(increment.tick - 1) * tick_s] * len(ticks)],
                "received": [increment.tick * tick_s] * (len(facts) + len(ticks)),
                "kind": [*(f.kind for f in facts), *["tick"] * len(ticks)],
                "name": [*(f.name for f in facts), *[""] * len(ticks)],
                "value": [*(f.value for f in facts), *[1.0] * len(ticks)],
                "partition": [*fact_names["partition"], *ticks],
                "offset": [*fact_names["offset"], *(offsets[p] for p in ticks)],
            },
        )

    def add_error(self, partition: int, event: ErrorEvent) -> None:
        """Gather an ErrorEvent until the tick ends."""
        self._events.append(event)
        self._partitions.append(partition)
        if len(self._events) >= _MAX_EVENTS:
            self._pack_events()

    def add_errors(self, offsets: Mapping[int, int]) -> None:
        """Add the ErrorEvents that were gathered during a tick."""
        self._pack_events()
        before = self._errors.num_rows
        self._errors.place(offsets)
        self.n_rows += self._errors.num_rows - before

    def _pack_events(self) -> None:
        """Turn events into packed columns, which take a small part of their memory: a storm of errors brings millions."""
        if self._events:
            self._errors.add(errors_table(self._events), self._partitions)
            self._events, self._partitions = [], []

    def add_forecasts(
        self, memory: Memory, forecasts: Forecasts, bounds: Mapping[str, FloatArray], offsets: Mapping[int, int]
    ) -> None:
        """Add the predictions of a tick.

        Parameters
        ----------
        memory : Memory
            Names the rows.
        forecasts : Forecasts
            Of all rows.
        bounds : Mapping of str to FloatArray, shape (n, 2)
            Of all rows by signal, NaN for none; those of whole services are kept, others would double what a row takes.
        offsets : Mapping of int to int
            Offset of the tick's marker by partition.
        """
        rows = np.arange(len(forecasts.p))
        p = forecasts.p.astype(np.float32)
        as_of = np.full(len(rows), memory.tick * memory.plan.tick_s, np.int64)
        columns = {**_names(memory, rows, offsets), "as_of": as_of, "p5": p[:, 0], "p15": p[:, 1], "p60": p[:, 2]}
        whole = memory.directory.is_whole[rows]
        for signal, names in BOUNDS.items():
            kept = np.where(whole[:, None], bounds[signal], np.nan).astype(np.float32)
            columns |= {name: pa.array(kept[:, side], from_pandas=True) for side, name in enumerate(names)}
        self._add(
            "predictions", {**columns, "status": forecasts.status, "model_version": forecasts.versions, "id": forecasts.ids}
        )

    def add_incidents(self, incidents: Sequence[tuple[int, Incident]], memory: Memory, offsets: Mapping[int, int]) -> None:
        """Add incidents (row, incident) that began or ended at a tick."""
        if not incidents:
            return
        found = [incident for _, incident in incidents]
        columns = {
            **_names(memory, np.array([row for row, _ in incidents], np.int64), offsets),
            "start": [int(i.start.timestamp()) for i in found],
            "detected_at": [int(i.detected_at.timestamp()) for i in found],
            "ended": [None if i.end is None else int(i.end.timestamp()) for i in found],
            "id": [i.id for i in found],
            "source": [i.source for i in found],
            "category": [i.category for i in found],
        }
        self._add("incidents", columns)

    def tables(self) -> dict[str, Rows]:
        """Return all rows by table, valid until `clear`."""
        tables: dict[str, Rows] = {name: pa.concat_tables(parts) for name, parts in self._tables.items()}
        return tables | {"errors": self._errors} if self._errors.num_rows else tables

    def take(self, other: Chronicle) -> None:
        """Add the rows of another one's closed ticks."""
        for name, tables in other._tables.items():
            self._tables.setdefault(name, []).extend(tables)
        self._errors.take(other._errors)
        self.n_rows += other.n_rows

    def clear(self) -> None:
        """Forget the rows of closed ticks: history has them."""
        self._tables.clear()
        self._errors.clear()
        self.n_rows = 0

    def _add(self, name: str, columns: Mapping[str, Any]) -> None:
        schema = rows_schema(name)
        table = pa.table({field.name: pa.array(columns[field.name], field.type) for field in schema}, schema)
        if table.num_rows:
            self._tables.setdefault(name, []).append(table)
            self.n_rows += table.num_rows


def _names(memory: Memory, rows: IntArray, offsets: Mapping[int, int]) -> dict[str, Any]:
    keys = [memory.directory.keys[row] for row in rows.tolist()]
    partitions = memory.directory.partition[rows].tolist()
    return {
        "tenant": [key.tenant for key in keys],
        "service": [key.service for key in keys],
        "operation": [key.operation for key in keys],
        "partition": partitions,
        "offset": [offsets[p] for p in partitions],
    }


def _lists(values: np.ndarray[Any, np.dtype[np.float32]]) -> pa.Array:
    n, width = values.shape
    return pa.ListArray.from_arrays(np.arange(0, (n + 1) * width, width, dtype=np.int32), values.ravel())
