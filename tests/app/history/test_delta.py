"""History in Delta Lake: each row exactly once, whatever dies when, and reads that open what they need."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st

from app.history.delta import DeltaHistory
from app.history.packed import PackedRows
from app.history.tables import BOUNDS, SCHEMAS, TIMES, errors_table, rows_schema
from features.errors import InvalidValue, StoreFailed
from tests.api_builders import an_error_event
from tests.history_rows import facts, once, places, predictions, span

DAY = 86_400


@pytest.fixture
def history(tmp_path: Path) -> DeltaHistory:
    return DeltaHistory(tmp_path / "history")


def test_tables_that_do_not_exist_yet_are_empty(history: DeltaHistory) -> None:
    for name, schema in SCHEMAS.items():
        assert history.read(name, since=0, until=10, tenant="default") == schema.empty_table()
        assert history.recorded(name, 0) == 0
    assert history.read("facts", columns=["value"]).schema.names == ["value"]
    history.optimise()


def test_appended_rows_come_back_with_their_types(history: DeltaHistory) -> None:
    row = dict.fromkeys(rows_schema("windows").names) | {"tenant": "default", "service": "payment", "operation": "*"}
    row |= {"window": 120, "received": 180, "errors": 3.0, "served": 1.0, "histogram": [0.5] * 16, "partition": 2, "offset": 9}
    history.append({"windows": pa.Table.from_pylist([row], rows_schema("windows"))}, {2: 9})
    found = history.read("windows")
    assert found.schema == SCHEMAS["windows"]
    assert found.to_pylist() == [row | {"day": "1970-01-01"}]


@given(
    cuts=st.lists(st.tuples(st.integers(0, 30), st.integers(1, 30), st.booleans()), min_size=1, max_size=6),
    n_partitions=st.integers(1, 3),
)
@settings(max_examples=15, deadline=None)
def test_any_crash_and_replay_leaves_every_row_once(cuts: list[tuple[int, int, bool]], n_partitions: int) -> None:
    with TemporaryDirectory() as folder:
        history, reached = DeltaHistory(folder), 0
        for back, forth, restart in cuts:
            if restart:
                history = DeltaHistory(folder)
            first = max(1, reached + 1 - back)  # the last checkpoint lies before what was appended
            last = first + forth - 1
            rows = facts([place for partition in range(n_partitions) for place in span(partition, first, last)])
            history.append({"facts": rows}, dict.fromkeys(range(n_partitions), last))
            reached = max(reached, last)
        expected = once([place for partition in range(n_partitions) for place in span(partition, 1, reached)])
        assert places(history.read("facts")) == expected


@pytest.mark.parametrize(("since", "until"), [(None, None), (DAY, None), (None, DAY), (DAY - 60, 2 * DAY + 60), (5, 5)])
def test_reading_takes_the_interval_half_open(history: DeltaHistory, since: int | None, until: int | None) -> None:
    times = [0, 60, DAY - 60, DAY - 1, DAY, DAY + 60, 2 * DAY, 2 * DAY + 60]
    rows = facts(span(0, 1, len(times)), lambda offset: times[offset - 1])
    history.append({"facts": rows}, {0: len(times)})
    expected = [time for time in times if (since is None or time >= since) and (until is None or time < until)]
    assert sorted(history.read("facts", since=since, until=until)["window"].to_pylist()) == expected


def test_reading_takes_one_tenant_and_the_columns_asked_for(history: DeltaHistory) -> None:
    rows = facts(span(0, 1, 4))
    tenants = pa.array(["a", "b", "a", "b"])
    history.append({"facts": rows.set_column(0, "tenant", tenants)}, {0: 4})
    found = history.read("facts", tenant="a", columns=["offset", "tenant"])
    assert found.schema.names == ["offset", "tenant"]
    assert sorted(found["offset"].to_pylist()) == [1, 3]


def test_days_outside_of_the_interval_are_not_opened(history: DeltaHistory, tmp_path: Path) -> None:
    history.append({"facts": facts(span(0, 1, 3), lambda offset: offset * DAY)}, {0: 3})
    for file in (tmp_path / "history" / "facts" / "day=1970-01-02").iterdir():
        file.write_bytes(b"broken")
    assert history.read("facts", since=2 * DAY, until=4 * DAY)["offset"].to_pylist() in ([2, 3], [3, 2])
    with pytest.raises(StoreFailed, match="facts"):
        history.read("facts")


def test_joining_small_files_keeps_rows_and_recorded_offsets(history: DeltaHistory, tmp_path: Path) -> None:
    for last in range(1, 13):
        history.append({"facts": facts([(0, last)])}, {0: last})
    assert len(DeltaTable(tmp_path / "history" / "facts").file_uris()) == 12
    history.optimise(retention_hours=0)
    assert len(list((tmp_path / "history" / "facts" / "day=1970-01-01").iterdir())) == 1
    again = DeltaHistory(tmp_path / "history")
    assert again.recorded("facts", 0) == 12
    again.append({"facts": facts(span(0, 1, 13))}, {0: 13})
    assert places(history.read("facts")) == once(span(0, 1, 13))


def test_rows_from_beyond_the_offsets_are_refused_before_anything_is_written(history: DeltaHistory) -> None:
    for offsets, bound in (({0: 4}, 4), ({0: 1, 1: 9}, 1)):
        with pytest.raises(InvalidValue, match=f"offset of facts must be at most {bound} in partition 0, got 5"):
            history.append({"predictions": predictions(0, 1), "facts": facts(span(0, 1, 5))}, offsets)
    with pytest.raises(InvalidValue, match="at most 0 in partition 0, got 1"):
        history.append({"predictions": predictions(0, 1)}, {1: 9})
    assert history.read("predictions").num_rows == 0


def test_unknown_tables_and_columns_are_refused(history: DeltaHistory) -> None:
    with pytest.raises(InvalidValue, match="'nonsense'"):
        history.read("nonsense")
    with pytest.raises(InvalidValue, match="nonsense"):
        history.read("facts", columns=["value", "nonsense"])
    with pytest.raises(InvalidValue, match="nonsense"):
        history.append({"nonsense": facts([])}, {})


def test_a_place_that_refuses_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreFailed, match="append to facts"):
        DeltaHistory(tmp_path / "file").append({"facts": facts([(0, 1)])}, {0: 1})


def test_every_table_has_a_time_a_tenant_and_a_place() -> None:
    assert sorted(TIMES) == sorted(SCHEMAS)
    for name, schema in SCHEMAS.items():
        assert {TIMES[name], "tenant", "partition", "offset", "day"} <= set(schema.names)


def test_a_folder_of_an_earlier_release_is_read_and_appended_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    windows = pa.Table.from_pylist(
        [dict.fromkeys(rows_schema("windows").names) | {"total": 3.0, "served": 2.0, "window": 0, "partition": 0, "offset": 1}],
        rows_schema("windows"),
    )
    with monkeypatch.context() as before:
        earlier = pa.schema([field for field in SCHEMAS["windows"] if field.name != "served"])
        before.setitem(SCHEMAS, "windows", earlier)
        DeltaHistory(tmp_path).append({"windows": windows}, {0: 1})
    history = DeltaHistory(tmp_path)
    assert history.read("windows", columns=["total", "served"]).to_pylist() == [{"total": 3.0, "served": 0.0}]
    later = windows.set_column(windows.column_names.index("offset"), "offset", pa.array([2], pa.int64()))
    history.append({"windows": later}, {0: 2})
    assert sorted(history.read("windows", columns=["served"])["served"].to_pylist()) == [0.0, 2.0]


def test_predictions_of_a_release_without_bounds_have_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bounds = [name for names in BOUNDS.values() for name in names]
    earlier = pa.schema([field for field in SCHEMAS["predictions"] if field.name not in bounds])

    def append_as_before(offset: int) -> None:
        with monkeypatch.context() as before:
            before.setitem(SCHEMAS, "predictions", earlier)
            DeltaHistory(tmp_path).append({"predictions": predictions(0, offset)}, {0: offset})

    append_as_before(1)
    history = DeltaHistory(tmp_path)
    assert history.read("predictions", columns=bounds).to_pylist() == [dict.fromkeys(bounds)]
    later = predictions(0, 2).to_pylist()[0] | dict.fromkeys(bounds, 1.5)
    history.append({"predictions": pa.Table.from_pylist([later], rows_schema("predictions"))}, {0: 2})
    append_as_before(3)  # a node that is not upgraded yet
    history.optimise()
    found = DeltaHistory(tmp_path).read("predictions", columns=["offset", *bounds]).sort_by("offset").to_pylist()
    assert found == [{"offset": offset, **dict.fromkeys(bounds, value)} for offset, value in ((1, None), (2, 1.5), (3, None))]


def packed(parts: Sequence[Sequence[tuple[int, int]]]) -> PackedRows:
    """Return one packed error for each (partition, offset), in parts."""
    rows = PackedRows()
    for part in parts:
        for partition, offset in part:
            rows.add(errors_table([an_error_event("web")]), [partition])
            rows.place({partition: offset})
    return rows


def test_packed_rows_are_appended_once_as_all_others(history: DeltaHistory) -> None:
    first, again = packed([span(0, 1, 3), span(1, 1, 2)]), packed([span(0, 1, 4), span(1, 2, 3)])
    for rows, offsets in ((first, {0: 3, 1: 2}), (first, {0: 3, 1: 2}), (again, {0: 4, 1: 3})):
        history.append({"errors": rows}, offsets)
    assert places(history.read("errors")) == once([*span(0, 1, 4), *span(1, 1, 3)])
    assert history.read("errors").schema == SCHEMAS["errors"]


def test_packed_rows_that_do_not_fit_are_refused_as_such_and_none_of_them_is_kept(history: DeltaHistory) -> None:
    history.append({"errors": packed([span(0, 1, 2)])}, {0: 2})
    with pytest.raises(InvalidValue, match="offset of errors must be at most 4 in partition 0, got 5"):
        history.append({"errors": packed([span(0, 3, 5)])}, {0: 4})
    unknown = PackedRows()
    unknown.add(pa.table({"text": ["a"]}), [0])
    unknown.place({0: 4})
    with pytest.raises(InvalidValue, match="rows of errors must have the columns"):
        history.append({"errors": unknown}, {0: 4})
    assert (places(history.read("errors")), history.recorded("errors", 0)) == (once(span(0, 1, 2)), 2)
    history.append({"errors": packed([span(0, 3, 4)])}, {0: 4})
    assert places(history.read("errors")) == once(span(0, 1, 4))


def test_files_are_packed_after_an_append_and_after_they_were_joined(history: DeltaHistory, tmp_path: Path) -> None:
    def codecs() -> set[str]:
        files = [pq.ParquetFile(file).metadata for file in (tmp_path / "history" / "errors").rglob("*.parquet")]
        return {file.row_group(0).column(0).compression for file in files if file.num_columns == len(SCHEMAS["errors"]) - 1}

    for offset in (1, 2):
        history.append({"errors": packed([[(0, offset)]])}, {0: offset})
    assert codecs() == {"ZSTD"}
    history.optimise(retention_hours=0)
    assert (places(history.read("errors")), codecs()) == (once(span(0, 1, 2)), {"ZSTD"})
