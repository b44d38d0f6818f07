"""Who looks after the models of a live node."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from app.api.parts import TrainingRequest
from app.main import Node
from features.errors import Overloaded
from tests.nodes import settings_in, until


@pytest.mark.parametrize("failure", [Overloaded("16 runs wait"), RuntimeError("nobody foresaw it")])
def test_whatever_fails_ends_neither_the_search_for_reasons_nor_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    monkeypatch.setattr("app.supervision._EVERY_S", 0.01)
    asked: list[str] = []

    def refuse(request: TrainingRequest) -> str:
        asked.append(request.tenant)
        raise failure

    node = Node(settings_in(tmp_path))
    node.supervision.parts = replace(node.supervision.parts, ask_training=refuse)
    monkeypatch.setattr("app.supervision.reason_to_train", lambda *_: "a test")
    with closing(node):
        for tenant in ("red", "blue"):
            node.worker.flow.learners.of(tenant)
        node.start_jobs()
        until(lambda: node.telemetry.value("faults", place="triggers") >= 4, "two rounds")
        node.check_alive()
    assert {"red", "blue"} == set(asked)
