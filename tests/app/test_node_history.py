"""A node whose history lies in an object store: the same line, also while the store is away."""

from __future__ import annotations

import json
import logging
import pickle
from functools import partial
from pathlib import Path

import pytest

from app.folder import open_folder
from app.history.delta import DeltaHistory
from app.main import history_place
from app.replay import append_markers
from app.settings import load_settings
from features.errors import StoreFailed
from tests.app.ingest.requests import a_span, as_json, traces
from tests.nodes import TICK_NS, RunningNode, run_node, settings_in, until
from tests.object_store import ObjectStore, object_store

pytestmark = pytest.mark.cluster


def use(monkeypatch: pytest.MonkeyPatch, store: ObjectStore) -> tuple[str, dict[str, str]]:
    """Let settings say that history lies in a store, and return where."""
    place = store.place()
    monkeypatch.setenv("FORESHOCK_HISTORY_URL", place)
    monkeypatch.setenv("FORESHOCK_HISTORY_OPTIONS", json.dumps(store.options))
    return place, store.options


def request(node: RunningNode, failed: int) -> bytes:
    spans = [
        a_span(
            name="GET /a",
            startTimeUnixNano=str(node.now_ns - 10**9),
            endTimeUnixNano=str(node.now_ns),
            status={"code": 2 if n < failed else 0},
        )
        for n in range(5)
    ]
    return as_json(traces(*spans, service="web"))


def test_rows_of_a_node_come_into_the_object_store_and_its_commands_and_children_read_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, options = use(monkeypatch, object_store())
    with run_node(tmp_path) as node:
        assert node.post("traces", request(node, 2)).status_code == 200
        node.tick(2)
        assert node.metric("foreshock_history_calls_total", call="append", outcome="done") > 0
    assert not (tmp_path / "history").exists()
    totals = DeltaHistory(place, options).read("windows", columns=["operation", "total"]).to_pylist()
    assert sum(row["total"] for row in totals if row["operation"] == "*") == 5
    with open_folder(tmp_path) as folder:
        assert folder.history.read("windows").num_rows == len(totals)
    settings = load_settings(None, data=tmp_path)
    opens = partial(DeltaHistory, *history_place(settings), keep_days=settings.history.days())
    assert pickle.loads(pickle.dumps(opens))().read("windows").num_rows == len(totals)


def took_its_rows(node: RunningNode) -> bool:
    try:
        node.node.worker.checkpoint()
    except StoreFailed:
        return False
    return True


def test_a_store_that_is_away_stops_neither_start_nor_forecasts_and_takes_the_rows_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = ObjectStore()
    place, options = use(monkeypatch, store)
    store.kill()
    with caplog.at_level(logging.WARNING), run_node(tmp_path) as node:
        told = [record.getMessage() for record in caplog.records if "rows wait until it can be reached" in record.getMessage()]
        assert len(told) == 1
        assert "\n" not in told[0]
        assert options["aws_secret_access_key"] not in caplog.text
        worker = node.node.worker
        for _ in range(2):
            assert node.post("traces", request(node, 2)).status_code == 200
            tick = node.now_ns // TICK_NS
            append_markers(node.node.store.log, [tick + 1], 60)
            node.clock_ns[0] += TICK_NS
            until(lambda tick=tick: worker.flow.memory.tick == tick + 1 and worker.published, "a tick without history")
        with pytest.raises(StoreFailed, match="history took no rows"):
            worker.checkpoint()
        assert node.metric("foreshock_history_calls_total", call="append", outcome="refused") > 0
        assert node.get("/api/v1/predictions")["items"]
        store.start()
        until(lambda: took_its_rows(node), "history, which is left alone for some seconds")
    rows = DeltaHistory(place, options).read("windows", columns=["operation", "total"]).to_pylist()
    assert sum(row["total"] for row in rows if row["operation"] == "*") == 10
    store.close()


def test_a_folder_that_the_setting_names_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORESHOCK_HISTORY_URL", f"file://{tmp_path}/elsewhere")
    with run_node(tmp_path / "data") as node:
        node.post("traces", request(node, 0))
        node.tick(2)
    assert (tmp_path / "elsewhere" / "windows" / "_delta_log").is_dir()
    assert history_place(settings_in(tmp_path / "data")) == (f"file://{tmp_path}/elsewhere", {})
