"""Training runs over REST: asked for, queued, followed."""

from __future__ import annotations

from app.api.schemas import Items, TrainingRunOut
from app.cache.records import TrainingRun
from tests.api_builders import NOON, Api, put_training_run

RUNS = "/api/v1/training-runs"


def test_run_is_queued_with_what_was_asked(api: Api) -> None:
    response = api.post(RUNS, {"reason": "new season", "since": "2026-02-01T00:00:00Z", "seed": 7})
    assert response.status_code == 202
    assert response.headers["location"] == f"{RUNS}/run-1"
    run = TrainingRunOut.model_validate_json(response.content)
    assert (run.state, run.reason, run.requested_at) == ("queued", "new season", NOON)
    request = api.started[0]
    assert (request.tenant, request.seed, request.until) == ("default", 7, None)
    assert request.since is not None
    assert api.get(response.headers["location"]).json() == response.json()


def test_run_without_a_body_takes_the_defaults(api: Api) -> None:
    response = api.ask("POST", RUNS)
    assert response.status_code == 202
    assert api.started[0].seed is None


def test_same_key_queues_one_run(api: Api) -> None:
    answers = [api.post(RUNS, {}, {"Idempotency-Key": "k"}).json() for _ in range(2)]
    assert answers[0] == answers[1]
    assert len(api.started) == 1


def test_run_is_followed_to_its_report(api: Api) -> None:
    location = api.post(RUNS, {}).headers["location"]
    done = TrainingRun("run-1", "succeeded", NOON, NOON, NOON, 1.0, "x", "v1", {"60min": {"ap": 0.5}})
    put_training_run(api.documents, done)
    run = TrainingRunOut.model_validate_json(api.get(location).content)
    assert (run.state, run.model_version, run.report) == ("succeeded", "v1", {"60min": {"ap": 0.5}})


def test_runs_are_listed_newest_first_and_by_state(api: Api) -> None:
    for number in range(3):
        api.post(RUNS, {"reason": str(number)})
        api.clock.move(1.0)
    put_training_run(api.documents, TrainingRun("run-2", "failed", NOON, error="too few incidents"))

    def ids(query: str) -> list[str]:
        return [run.id for run in Items[TrainingRunOut].model_validate_json(api.get(f"{RUNS}?{query}").content).items]

    assert ids("") == ["run-3", "run-1", "run-2"]
    assert ids("state=failed") == ["run-2"]
    assert api.get(f"{RUNS}?state=lost").status_code == 422


def test_unknown_run_and_that_of_another_tenant_are_not_found(api: Api) -> None:
    location = api.post(RUNS, {}, {"X-Scope-OrgID": "a"}).headers["location"]
    assert api.get(location, {"X-Scope-OrgID": "a"}).status_code == 200
    assert api.get(location, {"X-Scope-OrgID": "b"}).status_code == 404
    assert api.get(RUNS, {"X-Scope-OrgID": "b"}).json()["items"] == []
    assert api.get(f"{RUNS}/nobody").status_code == 404


def test_run_that_the_watch_has_not_seen_yet_is_read_from_the_store(api: Api) -> None:
    api.app.state.cache.close()  # as on a node whose watch lags behind
    put_training_run(api.documents, TrainingRun("run-9", "queued", NOON))
    assert api.get(f"{RUNS}/run-9").json()["id"] == "run-9"
