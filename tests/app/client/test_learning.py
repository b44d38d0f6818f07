"""Calls about runs and versions, asked of a node; the wait for a run's end is played by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import httpx
import pytest

from app.cache.backtests import put_page
from app.client import Foreshock, InvalidValue, NotFound, RunFailed, StillWaiting
from app.client.exchange import Pause, Steps
from app.client.learning import Runs
from tests.nodes import RunningNode

T = TypeVar("T")


wait_for_training, wait_for_backtest = Runs.wait_for_training.call, Runs.wait_for_backtest.call


def a_run(state: str, **changed: Any) -> dict[str, Any]:
    empty = dict.fromkeys(("started_at", "ended_at", "model_version", "report", "error", "since", "until", "page"))
    known = {"id": "r1", "state": state, "requested_at": "2026-11-24T00:00:00Z", "progress": 0.25, "reason": "", "tenant": "t"}
    return empty | known | {"node": ""} | changed


def waited(steps: Steps[T], runs: Sequence[dict[str, Any]]) -> tuple[T, list[float]]:
    """Play a service that shows these states of a run; return what is returned, and the pauses."""
    pauses: list[float] = []
    coming = iter(runs)
    try:
        step = next(steps)
        while True:
            if isinstance(step, Pause):
                pauses.append(step.seconds)
                step = steps.send(None)
            else:
                assert step.names == {"run_id": "r1"}
                step = steps.send(httpx.Response(200, json=next(coming)))
    except StopIteration as stop:
        return stop.value, pauses


def test_a_run_is_waited_for_until_it_has_succeeded() -> None:
    runs = [a_run("queued"), a_run("running"), a_run("succeeded", model_version="v7")]
    run, pauses = waited(wait_for_training("r1", poll_s=2.0), runs)
    assert (run.model_version, pauses) == ("v7", [2.0, 2.0])
    done, pauses = waited(wait_for_backtest("r1"), [a_run("succeeded", page="/p")])
    assert (done.page, pauses) == ("/p", [])


def test_a_run_that_fails_says_why() -> None:
    with pytest.raises(RunFailed, match="run r1 has failed: too few incidents"):
        waited(wait_for_training("r1"), [a_run("running"), a_run("failed", error="too few incidents")])


def test_a_wait_has_an_end() -> None:
    with pytest.raises(StillWaiting, match=r"run r1 is running at 25% after 2\.5 s; timeout_s is 2\.5") as waiting:
        waited(wait_for_training("r1", timeout_s=2.5), [a_run("running")] * 4)
    assert waiting.value.retryable
    with pytest.raises(StillWaiting, match="after 0 s"):
        waited(wait_for_training("r1", timeout_s=0.0), [a_run("queued")])


@pytest.mark.parametrize(("timeout_s", "poll_s"), [(-1.0, 1.0), (1.0, 0.0)])
def test_bounds_of_a_wait_are_named(timeout_s: float, poll_s: float) -> None:
    with pytest.raises(InvalidValue, match="timeout_s must be at least 0 and poll_s above 0, got"):
        waited(wait_for_training("r1", timeout_s=timeout_s, poll_s=poll_s), [])


def test_runs_are_asked_for_and_listed(foreshock: Foreshock) -> None:
    run = foreshock.train(reason="a test", seed=7)
    assert (foreshock.training_run(run.id).reason, run.state) == ("a test", "queued")
    assert run.id in set(foreshock.training_runs()["id"])
    backtest = foreshock.start_backtest(reason="a test")
    assert foreshock.backtest(backtest.id).reason == "a test"
    assert list(foreshock.backtests(state="succeeded")["id"]) == ["b1"]
    with pytest.raises(NotFound, match="it is there once the backtest has succeeded"):
        foreshock.backtest_page(backtest.id)


def test_the_page_of_a_backtest_is_text(shop: RunningNode, foreshock: Foreshock) -> None:
    put_page(shop.node.store.documents, "default", "b1", "<p>Größe</p>", 60.0)
    assert foreshock.backtest_page("b1") == "<p>Größe</p>"


def test_versions_are_compared_and_made_to_serve(foreshock: Foreshock) -> None:
    versions = foreshock.models()
    assert set(versions["alias"]) >= {"champion"}
    one, other = versions["id"].to_list()[:2]
    compared = foreshock.compare(one, other)
    assert (compared.one, compared.scores["60min.ap"].one) == (one, versions["scores"].to_list()[0]["60min.ap"])
    assert foreshock.model(one).id == one
    assert foreshock.learning().members[0].horizons["60min"].rows > 0.0
    served = versions.set_index("alias")["id"]["champion"]
    promoted = foreshock.promote(one, who="ana", why="a look")
    assert (promoted.alias, promoted.history[-1].before) == ("champion", served)
    assert foreshock.rollback(who="ana").id == served
