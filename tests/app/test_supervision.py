"""Who looks after the models of a live node."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.api.parts import TrainingRequest
from app.flow import Flow, FlowPlan
from app.main import Node
from app.supervision import Supervision, SupervisionParts
from app.telemetry import Telemetry
from features.errors import Overloaded, StoreFailed
from models.registry import Registry
from tests.nodes import settings_in, until
from training.shadow import Patience
from training.triggers import Policy


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


def test_a_node_looks_at_tenants_whose_home_it_is_and_at_lost_runs_while_it_leads() -> None:
    learners, looked = Flow(FlowPlan(), Telemetry()).learners, list[str]()
    for tenant in ("red", "blue"):
        learners.of(tenant)
    leads, homes = [True], {"red"}

    def unlucky() -> None:
        looked.append("runs")
        raise StoreFailed("no server leads")

    def registry_of(tenant: str) -> Registry:
        looked.append(tenant)
        raise StoreFailed("no server leads")

    parts = SupervisionParts(
        lambda: learners,
        documents=None,  # pyright: ignore[reportArgumentType]  # a look does not come so far
        registry_of=registry_of,
        ask_training=lambda request: looked.append(request.reason),
        now=lambda: datetime.now(UTC),
        home=homes.__contains__,
        leads=lambda: leads[0],
        fail_lost=unlucky,
    )
    supervision = Supervision(parts, Policy(), Patience(1, 1), Telemetry())
    supervision.look_at_all()
    assert looked == ["runs", "red"]
    leads[0], homes = False, homes ^ {"red", "blue"}
    supervision.parts = replace(supervision.parts, home=homes.__contains__)
    supervision.look_at_all()
    assert looked == ["runs", "red", "blue"]
    assert supervision.telemetry.value("faults", place="triggers") == 3
