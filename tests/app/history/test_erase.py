"""Rows are removed from every file of a table, with the commits that quote them, and the table goes on."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from deltalake.fs import DeltaStorageHandler
from pyarrow.fs import FileSelector

from app.history.delta import DeltaHistory
from app.history.erase import change_texts, remove_tenant
from app.history.tables import BOUNDS, DAY_S, SCHEMAS, rows_schema
from features.errors import StoreFailed
from tests.object_store import object_store


def rows(offset: int, days: tuple[int, ...], tenants: tuple[str, ...]) -> pa.Table:
    named = dict.fromkeys(rows_schema("facts").names)
    found = [
        named
        | {
            "tenant": tenant,
            "service": f"{tenant}-cart",
            "name": f"{tenant}-1.0",
            "window": day * DAY_S,
            "partition": 0,
            "offset": offset,
        }
        for day in days
        for tenant in tenants
    ]
    return pa.Table.from_pylist(found, rows_schema("facts"))


def held(folder: Path, text: str) -> list[str]:
    found = [path.name for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]
    return found + [path.name for path in folder.rglob("*.parquet") if text in repr(pq.read_table(path).to_pylist())]


def test_a_tenant_goes_with_days_that_held_nothing_else_and_what_was_recorded_stays(tmp_path: Path) -> None:
    history = DeltaHistory(tmp_path)
    history.append({"facts": rows(1, (1, 2), ("acme", "other"))}, {0: 1})
    history.append({"facts": rows(2, (3,), ("acme",))}, {0: 2})
    others = [row for row in history.read("facts").to_pylist() if row["tenant"] == "other"]
    assert held(tmp_path, "acme")
    assert remove_tenant(tmp_path, "acme") == 3
    assert held(tmp_path, "acme") == []
    again = DeltaHistory(tmp_path)
    assert sorted(again.read("facts").to_pylist(), key=str) == sorted(others, key=str)
    assert again.read("facts", tenant="other").num_rows == 2
    assert again.recorded("facts", 0) == 2
    again.append({"facts": rows(2, (3,), ("other",))}, {0: 2})  # comes again
    again.append({"facts": rows(3, (3,), ("other",))}, {0: 3})
    again.optimise(4 * DAY_S, retention_hours=0)
    assert DeltaHistory(tmp_path).read("facts").num_rows == 3
    assert remove_tenant(tmp_path, "acme") == 0


@pytest.mark.parametrize(
    ("name", "later"),
    [("predictions", {name for names in BOUNDS.values() for name in names}), ("windows", {"served"}), ("errors", {"weight"})],
)
def test_a_table_of_an_earlier_release_gets_the_columns_that_it_lacks(name: str, later: set[str], tmp_path: Path) -> None:
    schema = pa.schema([field for field in SCHEMAS[name] if field.name not in later])
    assert len(schema) == len(SCHEMAS[name]) - len(later)
    day = {"day": "1970-01-02"}
    earlier = [
        dict.fromkeys(schema.names) | day | {"tenant": tenant, "operation": f"of {tenant}"} for tenant in ("acme", "other")
    ]
    write_deltalake(tmp_path / name, pa.Table.from_pylist(earlier, schema), partition_by=["day"])
    assert remove_tenant(tmp_path, "acme") == 1
    assert held(tmp_path, "acme") == []
    found = DeltaTable(tmp_path / name).to_pyarrow_dataset(schema=SCHEMAS[name]).to_table().to_pylist()
    assert found == [dict.fromkeys(SCHEMAS[name].names) | day | {"tenant": "other", "operation": "of other"}]
    assert set(DeltaTable(tmp_path / name).to_pyarrow_dataset().schema.names) == set(SCHEMAS[name].names)


def test_texts_of_errors_of_an_earlier_release_change_too(tmp_path: Path) -> None:
    schema = pa.schema([field for field in SCHEMAS["errors"] if field.name != "weight"])
    named = dict.fromkeys(schema.names) | {"day": "1970-01-02", "attributes": "{}", "message": "of cust-1"}
    earlier = pa.Table.from_pylist([named | {"tenant": "acme"}], schema)
    write_deltalake(tmp_path / "errors", earlier, partition_by=["day"])
    assert change_texts(tmp_path, lambda _attributes, text: text.replace("cust-1", "*")) == 1
    assert held(tmp_path, "cust-1") == []
    assert DeltaHistory(tmp_path).read("errors", columns=["message", "weight"]).to_pylist() == [
        {"message": "of *", "weight": 1.0}
    ]


def test_a_folder_without_tables_has_nothing_to_remove(tmp_path: Path) -> None:
    assert remove_tenant(tmp_path, "acme") == 0
    assert change_texts(tmp_path, lambda _attributes, text: text) == 0


def test_a_tenant_goes_from_every_object_under_a_url(tmp_path: Path) -> None:
    store = object_store()
    place, options = store.place(), store.options
    history = DeltaHistory(place, options)
    history.append({"facts": rows(1, (1, 2), ("acme", "other"))}, {0: 1})
    history.append({"facts": rows(2, (3,), ("acme",))}, {0: 2})
    assert objects_with("acme", f"{place}/facts", options)
    assert remove_tenant(place, "acme", options) == 3
    assert objects_with("acme", f"{place}/facts", options) == []
    again = DeltaHistory(place, options)
    assert {row["tenant"] for row in again.read("facts").to_pylist()} == {"other"}
    assert again.recorded("facts", 0) == 2
    again.append({"facts": rows(3, (3,), ("other",))}, {0: 3})
    assert DeltaHistory(place, options).read("facts").num_rows == 3
    assert remove_tenant(place, "acme", options) == 0


def objects_with(text: str, url: str, options: dict[str, str]) -> list[str]:
    """Return every object below a URL that holds a text, rows of parquet read."""
    found: list[str] = []
    objects = DeltaStorageHandler(url, options)
    for each in objects.get_file_info_selector(FileSelector("", recursive=True)):
        if not each.path.endswith((".json", ".parquet", "_last_checkpoint")):
            continue  # the object store of the tests tells of folders too
        data = objects.open_input_file(each.path).read()
        rows_too = repr(pq.read_table(io.BytesIO(data)).to_pylist()) if each.path.endswith(".parquet") else ""
        if text.encode() in data or text in rows_too:
            found.append(each.path)
    return found


def an_error(offset: int, message: str, attributes: str) -> pa.Table:
    schema = rows_schema("errors")
    row = dict.fromkeys(schema.names) | {
        "message": message,
        "attributes": attributes,
        "partition": 0,
        "offset": offset,
        "tenant": "t",
    }
    return pa.Table.from_pylist([row | {"time": offset * DAY_S * 10**6, "received_at": 0}], schema)


def test_texts_change_with_the_attributes_of_their_row_in_sight(tmp_path: Path) -> None:
    history = DeltaHistory(tmp_path)
    for offset, (message, attributes) in enumerate([("of cust-1", '{"a":"cust-1"}'), ("of cust-1", "{}"), ("fine", "{}")], 1):
        history.append({"errors": an_error(offset, message, attributes)}, {0: offset})
    seen: list[tuple[str, str]] = []

    def changed(attributes: str, text: str) -> str:
        seen.append((attributes, text))
        return text.replace("cust-1", "*")

    assert change_texts(tmp_path, changed) == 2
    assert ('{"a":"cust-1"}', "of cust-1") in seen
    assert held(tmp_path, "cust-1") == []
    assert DeltaHistory(tmp_path).read("errors")["message"].to_pylist().count("of *") == 2
    assert DeltaHistory(tmp_path).recorded("errors", 0) == 3


def test_a_table_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    history = DeltaHistory(tmp_path)
    history.append({"facts": rows(1, (1,), ("acme", "other"))}, {0: 1})
    for path in (tmp_path / "facts").glob("day=*/*.parquet"):
        path.write_bytes(b"no parquet")
    with pytest.raises(StoreFailed, match="history refused to remove rows of facts"):
        remove_tenant(tmp_path, "acme")


@pytest.mark.parametrize(
    "remove", [lambda folder: remove_tenant(folder, "acme"), lambda folder: change_texts(folder, lambda _said, text: text)]
)
def test_a_table_whose_commits_cannot_be_read_is_told(remove: Callable[[Path], int], tmp_path: Path) -> None:
    log = tmp_path / "errors" / "_delta_log"
    log.mkdir(parents=True)
    (log / f"{0:020}.json").write_text("no commit")
    with pytest.raises(StoreFailed, match=r"history refused to .* of errors"):
        remove(tmp_path)
