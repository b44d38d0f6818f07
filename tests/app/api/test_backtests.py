"""Backtests over REST: asked for, queued, followed, read as numbers and as a page."""

from __future__ import annotations

from dataclasses import replace

from app.api.backtest_schemas import BacktestOut
from app.api.schemas import Items
from app.cache.backtests import BacktestRun, put_page
from tests.api_builders import NOON, Api, put_backtest

BACKTESTS = "/api/v1/backtests"
DONE = BacktestRun("b1", "succeeded", NOON, started_at=NOON, ended_at=NOON, progress=1.0, report={"rows": 7})


def test_a_backtest_is_queued_with_what_was_asked(api: Api) -> None:
    response = api.post(BACKTESTS, {"reason": "before the season", "since": "2026-02-01T00:00:00Z", "seed": 7})
    assert response.status_code == 202
    assert response.headers["location"] == f"{BACKTESTS}/backtest-1"
    run = BacktestOut.model_validate_json(response.content)
    assert (run.state, run.reason, run.requested_at, run.page) == ("queued", "before the season", NOON, None)
    assert (api.started[0].tenant, api.started[0].seed, api.started[0].since) == ("default", 7, run.since)
    assert api.get(response.headers["location"]).json() == response.json()
    assert api.ask("POST", BACKTESTS).status_code == 202, "a body is not needed"
    assert api.post(BACKTESTS, {"since": "2026-02-01T00:00:00Z", "until": "2026-02-01T00:00:00Z"}).status_code == 422


def test_the_same_key_queues_one_backtest(api: Api) -> None:
    answers = [api.post(BACKTESTS, {}, {"Idempotency-Key": "k"}).json() for _ in range(2)]
    assert answers[0] == answers[1]
    assert len(api.started) == 1


def test_a_backtest_that_succeeded_has_a_report_and_a_page_that_runs_nothing(api: Api) -> None:
    put_backtest(api.documents, DONE)
    put_page(api.documents, "default", "b1", "<!DOCTYPE html><p>täglich</p>", 60.0)
    run = BacktestOut.model_validate_json(api.get(f"{BACKTESTS}/b1").content)
    assert (run.report, run.page) == ({"rows": 7}, f"{BACKTESTS}/b1/page")
    page = api.get(f"{BACKTESTS}/b1/page")
    assert (page.text, page.headers["content-type"]) == ("<!DOCTYPE html><p>täglich</p>", "text/html; charset=utf-8")
    assert page.headers["content-security-policy"].startswith("default-src 'none'")


def test_backtests_are_listed_newest_first_by_state_and_page_without_reports(api: Api) -> None:
    for number in range(3):
        later = NOON.replace(minute=number)
        put_backtest(
            api.documents, replace(DONE, id=f"b{number}", requested_at=later, state="failed" if number == 1 else "succeeded")
        )

    def listed(query: str) -> Items[BacktestOut]:
        return Items[BacktestOut].model_validate_json(api.get(f"{BACKTESTS}?{query}").content)

    assert [(run.id, run.report) for run in listed("").items] == [("b2", None), ("b1", None), ("b0", None)]
    assert [run.id for run in listed("state=succeeded").items] == ["b2", "b0"]
    first = listed("limit=2")
    assert [run.id for run in listed(f"limit=2&cursor={first.next}").items] == ["b0"]


def test_what_is_not_there_or_another_tenants_is_not_found(api: Api) -> None:
    put_backtest(api.documents, replace(DONE, tenant="a"))
    put_page(api.documents, "a", "b1", "<p>", 60.0)
    for path in (f"{BACKTESTS}/b1", f"{BACKTESTS}/b1/page"):
        assert api.get(path, {"X-Scope-OrgID": "a"}).status_code == 200
        refused = api.get(path)
        assert (refused.status_code, refused.headers["content-type"]) == (404, "application/problem+json")
