"""What was forgotten is in no file any more, whatever its form, and what others have is as it was to the last byte."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from app.auth import Principal, Scope
from app.clock import utc_now
from app.edge.sessions import Sessions
from app.forget import asked_tenant, asked_value, forget_asked
from app.history import erase
from app.history.delta import DeltaHistory
from app.history.erase import remove_tenant
from app.ingest.codec import BatchMessage, unpack
from app.opening import open_alone
from app.store.sqlite_schema import log_table
from features.errors import DataInUse, InvalidValue, StoreFailed
from tests.forgetting import GONE, STAYS, VALUE, fed, forms_of, series_of, spans
from tests.nodes import counted, run_node, settings_in


def where(folder: Path, text: str) -> list[str]:
    """Return every place of a folder that holds a text: raw bytes of all files, rows of parquet, values of the database."""
    wanted, found = text.encode(), []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = str(path.relative_to(folder))
        if any(wanted in form for form in forms_of(path.read_bytes())) or text in name:
            found.append(name)
        if path.suffix == ".parquet" and text in repr(pq.read_table(path).to_pylist()):
            found.append(f"rows of {name}")
    with closing(sqlite3.connect(folder / "store.db")) as connection:
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in connection.execute(f"SELECT * FROM {table}"):
                held = [value if isinstance(value, bytes) else str(value).encode() for value in row]
                if any(wanted in form for value in held for form in forms_of(value)):
                    found.append(f"{table} {row[:2]}")
    return found


def table(folder: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(folder / "store.db")) as connection:
        return connection.execute(query).fetchall()


def documents(folder: Path, tenant: str) -> list[tuple[Any, ...]]:
    rows = table(folder, "SELECT bucket, key, value, revision FROM documents ORDER BY bucket, key")
    return [row for row in rows if row[1].startswith(f"{tenant}/")]


def entries(folder: Path, tenant: str) -> list[tuple[int, int, bytes]]:
    """Return partition, offset and bytes of every entry of the log that is a tenant's, or nobody's."""
    found: list[tuple[int, int, bytes]] = []
    for number in range(8):
        for offset, data in table(folder, f'SELECT "offset", data FROM {log_table(number)} ORDER BY "offset"'):
            message = unpack(data)
            if not isinstance(message, BatchMessage) or message.tenant == tenant:
                found.append((number, offset, data))
    return found


def series(folder: Path, tenant: str) -> dict[str, Any]:
    """Return what the state of all partitions holds of a tenant, array by array and series by series."""
    states: dict[int, dict[str, bytes]] = {}
    for number, key, value in table(folder, 'SELECT "partition", key, value FROM state ORDER BY "partition", key'):
        states.setdefault(number, {})[key] = value
    return series_of(states, tenant)


def test_a_tenant_is_in_no_file_any_more_and_another_one_is_as_it_was(tmp_path: Path) -> None:
    fed(tmp_path)
    before = {"documents": documents(tmp_path, STAYS), "entries": entries(tmp_path, STAYS), "series": series(tmp_path, STAYS)}
    rows = {
        name: DeltaHistory(tmp_path / "history").read(name, tenant=STAYS)
        for name in ("windows", "facts", "errors", "predictions")
    }
    assert len(where(tmp_path, GONE)) > 30
    assert len(before["series"]) > 100
    done = forget_asked(settings_in(tmp_path), asked_tenant(GONE))
    assert where(tmp_path, GONE) == []
    assert min(done[name] for name in ("entries", "state", "documents", "history")) > 0
    assert done["models"] == 1
    assert before == {
        "documents": documents(tmp_path, STAYS),
        "entries": entries(tmp_path, STAYS),
        "series": series(tmp_path, STAYS),
    }
    for name, found in rows.items():
        order = [("partition", "ascending"), ("offset", "ascending"), ("service", "ascending")]
        now = DeltaHistory(tmp_path / "history").read(name, tenant=STAYS)
        assert now.num_rows == found.num_rows > 0
        assert sorted(map(repr, now.sort_by(order).to_pylist())) == sorted(map(repr, found.sort_by(order).to_pylist()))
    assert forget_asked(settings_in(tmp_path), asked_tenant(GONE)).total() == 0, "the second time there is nothing"


def test_what_history_refused_is_done_by_the_next_call_and_no_model_stays(tmp_path: Path) -> None:
    fed(tmp_path)
    files = [path for path in (tmp_path / "history" / "errors").rglob("*.parquet") if "_delta_log" not in path.parts]
    kept = {path: path.read_bytes() for path in files}
    for path in files:
        path.write_bytes(b"no parquet")
    with pytest.raises(StoreFailed, match="history refused"):
        forget_asked(settings_in(tmp_path), asked_tenant(GONE))
    for path, data in kept.items():
        path.write_bytes(data)
    assert forget_asked(settings_in(tmp_path), asked_tenant(GONE))["history"] > 0
    assert where(tmp_path, GONE) == []


def test_no_node_starts_on_a_folder_before_history_is_changed_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fed(tmp_path)
    tried: list[str] = []

    def removed(folder: Path, tenant: str, options: Mapping[str, str]) -> int:
        with pytest.raises(DataInUse):
            open_alone(settings_in(tmp_path))
        tried.append(tenant)
        return remove_tenant(folder, tenant, options)

    monkeypatch.setattr(erase, "remove_tenant", removed)
    assert forget_asked(settings_in(tmp_path), asked_tenant(GONE))["history"] > 0
    assert tried == [GONE]
    open_alone(settings_in(tmp_path)).close()


def test_the_node_goes_on_with_the_other_tenant_and_the_forgotten_one_may_begin_anew(tmp_path: Path) -> None:
    fed(tmp_path)
    forget_asked(settings_in(tmp_path), asked_tenant(GONE))
    with run_node(tmp_path) as running:
        running.tick(6)
        assert counted(running.node, "total", f"{STAYS}-service-0", tenant=STAYS) == 8
        assert running.node.worker.flow.memory.directory.find(GONE, f"{GONE}-service-0", "*") is None
        assert running.post("traces", spans(running, 900, GONE, "new"), x_scope_orgid=GONE).status_code == 200
        running.tick()
        assert counted(running.node, "total", f"{GONE}-service-0", tenant=GONE) == 2
    rows = DeltaHistory(tmp_path / "history").read("windows", tenant=GONE)
    assert sum(rows.filter(rows_of(rows, f"{GONE}-service-0"))["total"].to_pylist()) == 2, "no offset was given twice"


def rows_of(rows: Any, service: str) -> Any:
    return [
        one == service and each == "*"
        for one, each in zip(rows["service"].to_pylist(), rows["operation"].to_pylist(), strict=True)
    ]


def test_a_value_is_in_no_file_any_more_and_counts_are_as_they_were(tmp_path: Path) -> None:
    fed(tmp_path)
    places = where(tmp_path, VALUE)
    assert {"errors", "feedback", "backtest-pages"} <= {
        place.split("'")[1] for place in places if place.startswith("documents")
    }
    assert any(place.startswith("rows of history/errors") for place in places)
    groups = [json.loads(value) for bucket, _, value, _ in documents(tmp_path, STAYS) if bucket == "errors"]
    done = forget_asked(settings_in(tmp_path), asked_value("user.id", VALUE))
    assert where(tmp_path, VALUE) == []
    assert min(done[name] for name in ("entries", "state", "documents", "history")) > 0
    after = [json.loads(value) for bucket, _, value, _ in documents(tmp_path, STAYS) if bucket == "errors"]
    fingerprints = [[(group["fingerprint"], group["count"]) for group in each["groups"]] for each in groups]
    assert [[(group["fingerprint"], group["count"]) for group in each["groups"]] for each in after] == fingerprints
    assert forget_asked(settings_in(tmp_path), asked_value("user.id", VALUE)).total() == 0
    with run_node(tmp_path) as running:
        running.tick(6)
        assert counted(running.node, "errors", f"{STAYS}-service-0", tenant=STAYS) > 0
        assert where(tmp_path, VALUE) == []


def test_a_value_without_digits_leaves_templates_too(tmp_path: Path) -> None:
    fed(tmp_path, said="Wilhelmina")
    assert any("errors/templates" in place for place in where(tmp_path, "Wilhelmina"))
    forget_asked(settings_in(tmp_path), asked_value("user.id", "Wilhelmina"))
    assert where(tmp_path, "Wilhelmina") == []
    with run_node(tmp_path) as running:
        running.tick(6)


def test_a_short_value_goes_where_errors_carry_it_and_where_it_is_named(tmp_path: Path) -> None:
    fed(tmp_path, said="q7")
    forget_asked(settings_in(tmp_path), asked_value("user.id", "q7"))
    rows = DeltaHistory(tmp_path / "history").read("errors").to_pylist()
    carried = [row for row in rows if '"user.id":"REDACTED"' in row["attributes"]]
    assert carried
    assert [row for row in rows if '"user.id":"q7"' in row["attributes"]] == []
    assert [row for row in carried if "q7" in repr(row)] == []


def test_what_names_a_service_or_operation_is_refused_and_nothing_changes(tmp_path: Path) -> None:
    fed(tmp_path, tenants=(STAYS,))
    before = table(tmp_path, "SELECT * FROM state"), entries(tmp_path, STAYS)
    with pytest.raises(InvalidValue, match="part of the name of a service or operation"):
        forget_asked(settings_in(tmp_path), asked_value("note", f"{STAYS}-service-0"))
    assert (table(tmp_path, "SELECT * FROM state"), entries(tmp_path, STAYS)) == before


def test_a_folder_that_a_node_holds_is_left_alone(tmp_path: Path) -> None:
    with run_node(tmp_path), pytest.raises(DataInUse):
        forget_asked(settings_in(tmp_path), asked_tenant(GONE))


@pytest.mark.parametrize("tenant", ["", "a b", "a'; DROP TABLE state; --", "x" * 129, "../x"])
def test_what_can_be_no_tenant_is_refused(tenant: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="a tenant must be"):
        forget_asked(settings_in(tmp_path), asked_tenant(tenant))


def test_logins_for_a_tenant_end_with_it(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    people = {name: Principal(f"reader of {name}", frozenset({Scope.READ}), frozenset({name})) for name in (GONE, STAYS)}
    with closing(open_alone(settings)) as store:
        sessions = Sessions(store.documents, bytes(32), utc_now, 12.0, lambda _: None)
        shown = {name: sessions.open(person) for name, person in people.items()}
    assert where(tmp_path, GONE) != []
    forget_asked(settings, asked_tenant(GONE))
    assert where(tmp_path, GONE) == []
    with closing(open_alone(settings)) as store:
        sessions = Sessions(store.documents, bytes(32), utc_now, 12.0, lambda _: None)
        assert {name: sessions.principal(each) for name, each in shown.items()} == {GONE: None, STAYS: people[STAYS]}
