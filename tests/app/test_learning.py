"""The document of learning, from a line that forecast and saw what came."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.cache.documents import decode_document
from app.cache.learning_records import LearningRecord
from app.flow import Flow, FlowPlan
from app.home import everywhere
from app.learning import learning_documents
from app.telemetry import Telemetry
from models.prediction import HORIZONS
from tests.lines import open_line
from tests.recorded import recorded


def test_it_says_how_everyone_did_on_the_same_rows(tmp_path: Path) -> None:
    with open_line(tmp_path) as line:
        line.send(recorded(110, failing=range(40, 46)))
        line.end_tick()
        stored = line.store.documents.get("learning", "default/%2A")
        assert stored is not None
        record = decode_document(stored.value, LearningRecord)
        waiting = sum(len(pending.rows) for pending in line.worker.flow.learners.maturing["default"].pending)
    said = {member.member: member for member in record.members}
    assert said.keys() >= {"prior", "blend", "served"}
    assert sum(member.weights.get("60min", 0.0) for member in record.members) <= 1.0 + 1e-9
    assert not said["served"].weights
    assert said["prior"].horizons.keys() == HORIZONS.keys()
    assert len({member.horizons["60min"].rows for member in record.members}) == 1
    assert said["prior"].horizons["60min"].base_rate > said["prior"].horizons["5min"].base_rate
    assert record.incidents_began > 0
    assert record.incidents_forecast > 0
    assert (record.model_version, record.rows_waiting, record.rival, record.drifts) == ("prior", waiting, None, ())
    assert record.online_rows == pytest.approx(said["prior"].horizons["5min"].rows, rel=0.2)


def test_a_node_that_is_not_home_tells_nothing_and_goes_on_learning(tmp_path: Path) -> None:
    with open_line(tmp_path) as line:
        line.worker.flow.home = lambda tenant: tenant != "default"
        line.send(recorded(40))
        line.end_tick()
        assert line.worker.flow.learners.maturing["default"].pending
        assert line.store.documents.items("learning") == []
        assert len(learning_documents(line.worker.flow.learners, everywhere)) == 1


def test_a_line_that_judged_nothing_has_no_document() -> None:
    assert learning_documents(Flow(FlowPlan(), Telemetry()).learners, everywhere) == []
