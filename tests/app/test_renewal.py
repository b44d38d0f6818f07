"""What overtakes a prediction makes it stale at once, and the worker forecasts it anew between two ticks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.champion import Champion
from app.jobs import champion_of
from app.main import Node
from app.renewal import tick_id
from app.replay import signal_of
from app.said import resolved
from models.feedback import Feedback
from tests.api_builders import Api, Clock
from tests.app.ingest.requests import a_span, as_json, traces
from tests.ensembles import add_version
from tests.lines import Line, open_line
from tests.nodes import run_node, settings_in, until
from tests.recorded import recorded
from training.labels import Said

PREDICTIONS = "/api/v1/predictions"
CART = f"{PREDICTIONS}/cart"


@dataclass
class Shop:
    """A worker that is stepped by hand, and the REST API over the same store."""

    line: Line
    api: Api

    def step(self) -> bool:
        """Let the worker take a step, a second later."""
        self.line.seconds[0] += 1.0
        return self.line.worker.step()

    def promote(self, hour: int) -> str:
        version = add_version(self.api.registry(), hour)
        assert self.api.post(f"/api/v1/models/{version}:promote", {}).status_code == 200
        return version

    def say(self, verdict: str, target: dict[str, Any]) -> str:
        given = self.api.post("/api/v1/feedback", {"verdict": verdict, "who": "ann", **target})
        assert given.status_code == 201, given.text
        return given.json()["id"]

    def listed(self) -> dict[tuple[str, str], dict[str, Any]]:
        return {(item["service"], item["operation"]): item for item in self.api.get(PREDICTIONS).json()["items"]}

    def stale(self) -> set[tuple[str, str]]:
        return {name for name, item in self.listed().items() if item["status"] == "stale"}


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with open_line(tmp_path) as line:
        line.send(recorded(17))
        line.end_tick()
        api = Api(line.store.documents, Clock(datetime.fromtimestamp(line.tick * 60 + 1, UTC)), blobs=line.store.blobs)

        def champion(tenant: str, version: str) -> Champion | None:
            found = champion_of(api.registry(tenant))
            return None if found is None or found.version == version else found

        line.worker.parts = replace(line.worker.parts, champions=champion)
        yield Shop(line, api)


def test_a_new_model_forecasts_between_two_ticks_and_until_then_every_prediction_is_stale(shop: Shop) -> None:
    api, step = shop.api, shop.step
    prior = api.get(CART)
    assert (prior.json()["status"], shop.stale()) == ("prior", set())
    first = shop.promote(1)
    held = {"If-None-Match": prior.headers["etag"]}
    for path in (CART, f"{PREDICTIONS}/{prior.json()['id']}/explanation"):
        overtaken = api.get(path, held)
        assert (overtaken.status_code, overtaken.json()["status"]) == (200, "stale"), (
            "nobody is told that it holds what is good"
        )
        assert overtaken.headers["cache-control"] == "private, no-cache"
        assert api.get(path, {"If-None-Match": overtaken.headers["etag"]}).status_code == 304
    assert shop.stale() == shop.listed().keys()
    assert api.get(f"{PREDICTIONS}?status=prior").json()["items"] == []

    step()
    made = api.get(CART, {"If-None-Match": overtaken.headers["etag"]}).json()
    assert (made["status"], made["model_version"], made["as_of"]) == ("ok", first, prior.json()["as_of"])
    assert (made["id"], shop.stale()) == (f"{prior.json()['id']}~1", set())
    assert made["horizons"] != prior.json()["horizons"]
    assert {part["model_version"] for part in made["operations"]} == {first}

    shop.promote(2)
    assert not shop.line.worker.step(), "however fast they come, models and verdicts leave the worker time for the rest"
    assert shop.stale() == shop.listed().keys()
    step()
    second = api.get(CART).json()
    assert api.post("/api/v1/models:rollback", {}).status_code == 200
    assert shop.stale() == shop.listed().keys()
    step()
    again = api.get(CART).json()
    assert (again["id"], again["horizons"]) == (f"{tick_id(second['id'])}~3", made["horizons"])
    assert not step(), "nothing came since"


def test_a_model_that_cannot_be_loaded_leaves_nothing_stale_for_ever(shop: Shop) -> None:
    version = add_version(shop.api.registry(), schema="a" * 64)
    shop.api.registry().promote(version)
    assert shop.stale() == shop.listed().keys()
    shop.step()
    assert {item["model_version"] for item in shop.listed().values()} == {"prior"}
    assert shop.stale() == set()


def test_feedback_makes_the_series_it_is_about_stale_until_they_are_forecast_anew(shop: Shop) -> None:
    before, step = shop.listed(), shop.step
    interval = {"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T01:00:00Z"}
    given = shop.say("expected", {"service": "cart", "operation": "*", **interval})
    assert shop.stale() == {("cart", "*")}
    step()
    after = shop.listed()
    assert (after["cart", "*"]["feedback"], after["cart", "*"]["id"]) == (1, f"{before['cart', '*']['id']}~1")
    assert after["cart", "*"]["horizons"] == before["cart", "*"]["horizons"], "what was said moves labels, not this forecast"
    assert {name for name in after if after[name]["id"] != before[name]["id"]} == {("cart", "*")}

    assert shop.api.post(f"/api/v1/feedback/{given}:undo", {}).status_code == 201
    assert shop.stale() == {("cart", "*")}
    shop.say("false_alarm", {"selector": {"service": "web"}, **interval})
    shop.say("confirmed", {"prediction_id": after["mail", "*"]["id"]})
    assert {service for service, _ in shop.stale()} == {"cart", "web", "mail"}
    step()
    assert (shop.stale(), shop.listed()["cart", "*"]["feedback"]) == (set(), 2)
    shop.line.end_tick()
    assert shop.listed()["cart", "*"]["feedback"] == 2, "the next tick knows of it too"
    assert "~" not in shop.listed()["cart", "*"]["id"]


def test_series_that_came_up_since_the_tick_wait_for_the_next(shop: Shop) -> None:
    known = shop.listed().keys()
    line = as_json(traces(a_span(), service="new"))
    for tenant in ("default", "other"):
        shop.line.receiver.receive(tenant, signal_of(line), "json", line)  # pyright: ignore[reportArgumentType]
    shop.step()
    version = shop.promote(1)
    shop.step()
    assert {item["model_version"] for item in shop.listed().values()} == {version}
    assert shop.listed().keys() == known
    shop.line.end_tick()
    assert ("new", "*") in shop.listed()


def test_history_knows_of_what_a_verdict_on_a_renewed_prediction_speaks(shop: Shop) -> None:
    shop.promote(1)
    shop.step()
    shop.line.worker.checkpoint()
    made = shop.listed()["cart", "*"]
    said = Said((Feedback("f", "confirmed", "ann", shop.api.clock(), prediction=made["id"]),))
    (found,) = resolved(said, shop.line.history, "default").feedback
    assert found.stretch is not None
    assert found.stretch.start == datetime.fromisoformat(made["as_of"])


def test_a_running_node_renews_without_a_tick_and_a_restarted_one_is_warm_before_it_is_ready(tmp_path: Path) -> None:
    with run_node(tmp_path) as running:
        sent: dict[str, Any] = {"startTimeUnixNano": str(running.now_ns), "endTimeUnixNano": str(running.now_ns + 10**7)}
        assert running.post("traces", as_json(traces(a_span(**sent), service="shop"))).status_code == 200
        running.tick()
        version = add_version(running.node.registry("default"))
        promoted = running.client.post(f"{running.served.api}/api/v1/models/{version}:promote")
        assert promoted.status_code == 200
        until(lambda: running.get(f"{PREDICTIONS}/shop")["model_version"] == version, "the new model")
        before = running.get(f"{PREDICTIONS}/shop")
        assert before["id"].endswith("~1")
    with closing(Node(settings_in(tmp_path))) as node:
        api = node.start_servers().api
        ready = httpx.get(f"{api}/readyz?verbose")
        assert (ready.status_code, ready.json()["checks"]["worker"]["ok"]) == (503, False)
        assert ready.json()["checks"]["cache"] == {"ok": True, "detail": "2 predictions"}
        assert httpx.get(f"{api}{PREDICTIONS}/shop").json()["id"] == before["id"]
        node.start_worker()
        until(lambda: httpx.get(f"{api}/readyz").status_code == 200, "the worker")
