"""What the comparison with an undisturbed worker forgives, and what not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from app.history.delta import DeltaHistory
from app.history.tables import rows_schema
from tests.cluster.evidence import rows_without_offsets

MARKERS = {0: [2, 4, 6], 1: [2, 6]}  # nobody held partition 1 when tick 4 ended


def written(folder: Path, *rows: tuple[str, int, int]) -> list[tuple[Any, ...]]:
    """Write facts (kind, partition, received) and return them as they are compared."""
    made = {"tenant": "default", "service": "svc", "window": 2, "name": "", "value": 1.0, "offset": 9}
    facts = [made | {"kind": kind, "partition": partition, "received": received} for kind, partition, received in rows]
    DeltaHistory(folder).append({"facts": pa.Table.from_pylist(facts, rows_schema("facts"))}, {0: 9, 1: 9})
    return rows_without_offsets(folder, "facts", 6, MARKERS)


def test_a_tick_that_a_partition_has_no_marker_of_belongs_to_its_next_one(tmp_path: Path) -> None:
    beside_others = written(tmp_path / "a", ("tick", 1, 4), ("level", 1, 4), ("tick", 1, 6))
    alone = written(tmp_path / "b", ("level", 1, 6), ("tick", 1, 6))
    assert beside_others == alone
    assert len(alone) == 2


def test_a_row_that_came_a_tick_late_is_seen(tmp_path: Path) -> None:
    assert written(tmp_path / "a", ("level", 0, 4)) != written(tmp_path / "b", ("level", 0, 6))
    assert written(tmp_path / "c", ("tick", 0, 4), ("tick", 0, 6)) != written(tmp_path / "d", ("tick", 0, 6))
