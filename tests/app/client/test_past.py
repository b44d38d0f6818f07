"""History as frames: what rows mean, and that only what is asked for is opened."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.client import Foreshock, History, InvalidValue, history
from app.client.past import RowsWanted
from app.history.delta import DeltaHistory
from app.history.tables import SCHEMAS, errors_table, rows_schema
from features.batch import CHANNELS, N_BUCKETS
from tests.api_builders import NOON, an_error_event
from tests.nodes import RunningNode

NOON_S = int(NOON.timestamp())
TABLES = ("windows", "increments", "facts", "errors", "predictions", "incidents")


def put(folder: Path, table: str, rows: Sequence[dict[str, Any]]) -> None:
    """Append rows, each at an offset of its own."""
    schema = rows_schema(table)
    known = {"tenant": "default", "service": "payment", "operation": "*", "partition": 0}
    full = [dict.fromkeys(schema.names) | known | {"offset": n} | row for n, row in enumerate(rows, 1)]
    DeltaHistory(folder).append({table: pa.Table.from_pylist(full, schema)}, {0: len(rows)})


def gained(window_s: int, received_s: int, errors: float, slowest_s: float = 0.0, **more: Any) -> dict[str, Any]:
    """Return what a window gained in a tick."""
    counts = dict.fromkeys(CHANNELS, 0.0) | {"errors": errors, "total": 10.0 * errors, "duration_max_s": slowest_s}
    histogram = [errors, *[0.0] * (N_BUCKETS - 1)]
    return counts | {"window": NOON_S + window_s, "received": NOON_S + received_s, "histogram": histogram} | more


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "history"


def test_a_window_is_the_sum_of_what_it_gained(folder: Path) -> None:
    rows = [gained(0, 60, 2.0, 0.5), gained(0, 120, 3.0, 0.25), gained(60, 120, 1.0), gained(0, 60, 7.0, service="web")]
    put(folder, "windows", rows)
    windows = history(folder).windows(service="payment")
    assert list(windows["window"]) == [pd.Timestamp(NOON), pd.Timestamp(NOON + timedelta(minutes=1))]
    assert list(windows["errors"]) == [5.0, 1.0]
    assert list(windows["duration_max_s"]) == [0.5, 0.0]
    assert [list(one)[:2] for one in windows["histogram"]] == [[5.0, 0.0], [1.0, 0.0]]
    assert len(history(folder).increments(service="payment")) == 3


def test_what_came_later_is_not_known_before(folder: Path) -> None:
    put(folder, "windows", [gained(0, 60, 2.0), gained(0, 120, 3.0)])
    past = history(folder)
    known = [past.windows(as_of=NOON + timedelta(seconds=seconds))["errors"].to_list() for seconds in (59, 60, 120)]
    assert known == [[], [2.0], [5.0]]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 9)), max_size=20))
@settings(max_examples=15, deadline=None)
def test_no_increment_is_lost_or_counted_twice(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("history")
    told = [gained(60 * window, 60 * (window + late + 1), float(errors)) for window, late, errors in rows]
    put(folder, "windows", [gained(0, 60, 0.0, tenant="other"), *told])
    windows = history(folder).windows(tenant="default")
    expected = {window: sum(errors for w, _, errors in rows if w == window) for window, _, _ in rows}
    found = dict(zip(windows["window"], windows["errors"], strict=True))
    assert found == {pd.Timestamp(NOON + timedelta(minutes=window)): errors for window, errors in expected.items()}


def test_an_incident_is_one_row_with_its_end(folder: Path) -> None:
    began = {"start": NOON_S, "detected_at": NOON_S + 120, "source": "rule", "category": "network"}
    rows = [
        began | {"id": "i1"},
        began | {"id": "i2", "start": NOON_S + 60},
        began | {"id": "i1", "ended": NOON_S + 600, "category": "resource"},
    ]
    put(folder, "incidents", rows)
    incidents = history(folder).incidents()
    assert list(incidents["id"]) == ["i1", "i2"]
    assert list(incidents["category"]) == ["resource", "network"]
    assert list(incidents["end"].isna()) == [False, True]
    assert incidents["end"].to_list()[0] - incidents["start"].to_list()[0] == pd.Timedelta(minutes=10)


def test_errors_have_their_attributes_and_times_to_the_microsecond(folder: Path) -> None:
    events = [an_error_event(at_s=at_s) for at_s in (0.25, 0.75, 1.5)]
    rows = errors_table(events)
    placed = rows.append_column("partition", pa.array([0] * 3, pa.int32())).append_column("offset", pa.array([1, 2, 3]))
    DeltaHistory(folder).append({"errors": placed}, {0: 3})
    past = history(folder)
    assert list(past.errors()["attributes"]) == [{}] * 3
    half, end = NOON + timedelta(seconds=0.5), NOON + timedelta(seconds=1.5)
    assert [time.microsecond for time in past.errors(since=half, until=end)["time"]] == [750_000]


def test_predictions_are_named_as_the_api_names_them(folder: Path) -> None:
    put(
        folder,
        "predictions",
        [{"as_of": NOON_S, "p5": 0.1, "p15": 0.2, "p60": 0.5, "status": "ok", "id": "p1", "errors_upper": 3.0}],
    )
    (row,) = history(folder).predictions().to_dict("records")
    assert (row["as_of"], row["probability_60min"], row["id"]) == (pd.Timestamp(NOON), 0.5, "p1")
    assert (row["errors_upper"], bool(pd.isna(row["latency_upper"]))) == (3.0, True)


@pytest.mark.parametrize("table", TABLES)
def test_a_table_without_rows_has_its_columns(folder: Path, table: str) -> None:
    put(folder, "facts", [{"window": NOON_S, "received": NOON_S, "kind": "level", "name": "heap", "value": 1.0}])
    past = history(folder)
    found: pd.DataFrame = getattr(past, table)(tenant="nobody")
    assert found.empty
    own = next(name for name in ("window", "time", "as_of", "start") if name in found.columns)
    assert str(found[own].dtype) == "datetime64[us, UTC]"
    assert not {"partition", "offset", "day"} & set(found.columns)


@pytest.mark.parametrize("hours", [-26, 0, 26])
def test_days_outside_of_the_interval_are_not_opened(folder: Path, hours: int) -> None:
    rows = [gained(3600 * hour, 3600 * hour + 60, 1.0) for hour in (-26, 0, 26)]
    put(folder, "windows", rows)
    at = NOON + timedelta(hours=hours)
    for day in folder.glob("windows/day=*"):
        if day.name != f"day={at:%Y-%m-%d}":
            for file in day.iterdir():
                file.write_bytes(b"nobody may read this")
    east = at.astimezone(timezone(timedelta(hours=5)))
    found = history(folder).windows(since=east, until=east + timedelta(hours=1))
    assert list(found["window"]) == [pd.Timestamp(at)]


def test_history_of_a_node_is_read_while_it_runs(shop: RunningNode) -> None:
    past = Foreshock.history(Path(shop.node.settings.data) / "history")
    now = datetime.fromtimestamp(shop.now_ns / 1e9, UTC)
    windows = past.windows(service="payment", since=now - timedelta(hours=1))
    assert len(windows) == 60
    assert set(windows["operation"]) == {"*"}
    assert max(past.predictions(service="payment")["probability_60min"].to_list()) > 0.3


@pytest.mark.parametrize(
    "named", [{"since": datetime(2026, 3, 1)}, {"until": datetime(2026, 3, 1)}, {"as_of": datetime(2026, 3, 1)}]
)
def test_a_time_without_a_zone_is_refused(folder: Path, named: dict[str, Any]) -> None:
    put(folder, "windows", [gained(0, 60, 1.0)])
    with pytest.raises(InvalidValue, match=f"{next(iter(named))} must have a zone"):
        history(folder).windows(**named)


def test_a_choice_that_there_is_none_of_is_refused(folder: Path) -> None:
    put(folder, "windows", [gained(0, 60, 1.0)])
    unknown: Any = {"servce": "payment"}
    with pytest.raises(InvalidValue, match=r"rows are chosen by \['service', 'since', 'tenant', 'until'\], got \['servce'\]"):
        history(folder).windows(**unknown)
    assert set(RowsWanted.__annotations__) == {"tenant", "service", "since", "until"}


def test_a_folder_without_tables_is_named_and_where_they_are(folder: Path) -> None:
    with pytest.raises(InvalidValue, match=r"has none$"):
        history(folder.parent / "nowhere")
    put(folder, "windows", [gained(0, 60, 1.0)])
    with pytest.raises(InvalidValue, match=r"has none \(its folder history does\)"):
        history(folder.parent)
    assert isinstance(history(f"file://{folder}"), History)


def test_every_table_has_a_method() -> None:
    assert [name for name in SCHEMAS if not callable(getattr(History, name, None))] == []
