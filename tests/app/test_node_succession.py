"""On a whole node, what is forecast and comes true decides who serves, and nobody asks it to."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from app.main import Node
from app.replay import append_markers
from app.rivalry import Compared
from app.settings import Settings
from app.succession import bring_in
from features.extract import SCHEMA
from models.ensemble import Ensemble
from models.linear import HazardLinear
from models.prediction import HORIZONS
from models.registry import BUCKET
from models.version import ModelRecord
from tests.app.ingest.requests import a_span, as_json, span_id, traces
from tests.nodes import settings_in
from training.shadow import Patience

TICK_S = 300
SERVICES = ("cart", "payment", "web")
BEGIN = datetime(2026, 3, 2, tzinfo=UTC)
PATIENCE = Patience(24, 48)


def saying(hazard: float) -> Ensemble:
    """Return an ensemble that was fitted where incidents begin at a rate that no feature tells anything of."""
    rng = np.random.default_rng(int(hazard * 100))
    x = rng.normal(size=(600, len(SCHEMA.features))).astype(np.float32)
    y = (rng.random((600, 3)) < hazard).astype(np.float64)
    at_risk = np.ones((600, 3), dtype=np.bool_)
    return Ensemble((("linear", HazardLinear(seed=1).fit(x, y, at_risk)),)).fit(x, y, at_risk, 0)


def settings_of(folder: Path, family: dict[str, Any]) -> Settings:
    shadow = {"models__shadow_hours": PATIENCE.shadow_h, "models__watch_hours": PATIENCE.watch_h}
    return settings_in(
        folder, features__tick_s=TICK_S, store__checkpoint_s=3600.0, store__commit_window_ms=0.0, **shadow, **family
    )


class World:
    """Three services, the time of a node that they tell of themselves, and what the node does once a minute."""

    def __init__(self, folder: Path, family: dict[str, Any]) -> None:
        self.folder, self.family = folder, family
        self.tick = int(BEGIN.timestamp()) // TICK_S
        self.breaks = False
        self.node: Node

    @contextmanager
    def opened(self) -> Generator[None]:
        """Run a node over the folder; what it knows is there again in the next one."""
        self.node = Node(settings_of(self.folder, self.family), now_ns=lambda: self.tick * TICK_S * 10**9)
        try:
            self.node.worker.want(range(self.node.store.log.n_partitions))
            self.node.worker.acquire()
            yield
            self.node.worker.checkpoint()
        finally:
            self.node.close()

    def lives(self, done: Callable[[], bool], ticks: int) -> None:
        """Let ticks pass until something is so."""
        for _ in range(ticks):
            for number, service in enumerate(SERVICES):
                failing = self.breaks and (self.tick + 5 * number) % 16 < 3
                spans = [self._span(n, failing and n < 7) for n in range(10)]
                self.node.receiver.take("default", "traces", "json", as_json(traces(*spans, service=service)))[1].result()
            self.tick += 1
            append_markers(self.node.store.log, range(self.tick, self.tick + 1), TICK_S)
            self.node.worker.drain()
            self.node.supervision.look("default")
            if done():
                return
        raise AssertionError(f"it was not so after {ticks} ticks: {self.compared()}, {self.node.registry('default').steps()}")

    def _span(self, n: int, fails: bool) -> dict[str, Any]:
        start_ns = self.tick * TICK_S * 10**9 + n * 10**9
        status: dict[str, Any] = {"status": {"code": 2}} if fails else {}
        return a_span(
            name="GET /",
            spanId=span_id(n + 1),
            startTimeUnixNano=str(start_ns),
            endTimeUnixNano=str(start_ns + 10**7),
            **status,
        )

    def compared(self) -> Compared:
        found = self.node.worker.flow.learners.of("default").rivalry.compared()
        assert found is not None
        return found

    def actions(self) -> list[tuple[str, str]]:
        return [(step.action, step.version) for step in self.node.registry("default").steps()]

    def served_by(self) -> set[str]:
        """Return the versions and states of the predictions that readers get."""
        documents = self.node.store.documents.items("predictions", "default/")
        return {json.loads(document.value)["model_version"] for document in documents}


def test_a_challenger_takes_over_by_itself_and_gives_way_when_the_world_makes_it_the_worse_one(
    tmp_path: Path, family: dict[str, Any]
) -> None:
    world = World(tmp_path, family)
    with world.opened():
        registry, serves = world.node.registry("default"), dict.fromkeys(HORIZONS, "ensemble")
        gloomy, calm = (
            registry.add(saying(h), ModelRecord(SCHEMA.version, SCHEMA.sha256, BEGIN, BEGIN, "b" * 64, 0, serves, BEGIN))
            for h in (0.3, 0.02)
        )
        bring_in(registry, gloomy, None, PATIENCE, BEGIN)
        bring_in(registry, calm, gloomy.id, PATIENCE, BEGIN)
        world.lives(lambda: world.compared().hours == 4, 90)
        before = world.compared()
        assert (before.serves, before.rival, before.verdict) == (gloomy.id, calm.id, "open")
        assert world.served_by() == {gloomy.id}, "the challenger is not heard"
    with world.opened():
        world.lives(lambda: len(world.actions()) > 2, 120)
        assert world.actions() == [("promoted", gloomy.id), ("challenged", calm.id), ("promoted", calm.id)]
        why = world.node.registry("default").steps()[-1].why
        assert why.startswith("the champion is worse beyond doubt: log loss"), "a restart loses no hour of the comparison"
        assert why.endswith("over 12 h")
        world.breaks = True
        world.lives(lambda: len(world.actions()) > 3, 250)
        step = world.node.registry("default").steps()[-1]
        assert (step.action, step.version, step.before, step.who) == ("rolled_back", gloomy.id, calm.id, "foreshock")
        assert step.why.startswith("the new champion is worse than the former one beyond doubt: log loss")
        world.lives(lambda: True, 1)
        assert world.served_by() == {gloomy.id}
        assert world.node.telemetry.value("faults", place="champion") == 0
    _strip_signatures(world)
    with world.opened():
        world.lives(lambda: True, 1)
        assert world.served_by() == {"prior"}, "a folder of before models were signed is served without its champion"
        health = world.node.champions.health()
        assert (health.ok, gloomy.id in health.detail, "train again from history" in health.detail) == (True, True, True)
        assert world.node.telemetry.value("models_refused", reason="untrusted") == 1
        (run,) = world.node.store.documents.items("training-runs")
        assert "the model cannot be served here" in json.loads(run.value)["reason"], "it asks for a training run by itself"


def _strip_signatures(world: World) -> None:
    """Leave the manifest as releases wrote it that signed nothing, long after the last training run."""
    with world.opened():
        documents = world.node.store.documents
        for document in documents.items("training-runs"):
            documents.delete("training-runs", document.key)
        for document in documents.items(BUCKET, "default/version/"):
            told = json.loads(document.value)
            del told["signature"]
            documents.put(BUCKET, document.key, json.dumps(told).encode())
