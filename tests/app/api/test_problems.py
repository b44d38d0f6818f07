"""Every error leaves as RFC 9457 JSON with the status of the one table."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from fastapi import FastAPI

import features.errors
from app.api.problems import PROBLEMS, InvalidCursor, install, status_of
from features.errors import AlreadyWaiting, Fenced, ForeshockError, InvalidValue, Overloaded, StoreFailed, UntrustedArtifact
from tests.api_builders import Api


def raised(error: Exception) -> httpx.Response:
    app = FastAPI()
    install(app)

    @app.get("/fails")
    async def fails() -> None:  # pyright: ignore[reportUnusedFunction] - the route holds it
        raise error

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://foreshock") as client:
            return await client.get("/fails")

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidValue("x"), 422),
        (InvalidCursor("x"), 400),
        (Overloaded("x"), 503),
        (AlreadyWaiting("x"), 429),
        (Fenced("x"), 503),
        (StoreFailed("x"), 503),
        (UntrustedArtifact("x"), 500),
    ],
)
def test_error_takes_the_status_of_its_class(error: ForeshockError, status: int) -> None:
    response = raised(error)
    assert response.status_code == response.json()["status"] == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["detail"] == "x"
    assert response.json()["retryable"] is error.retryable
    assert ("retry-after" in response.headers) == error.retryable


def test_every_class_of_the_tree_has_a_row_of_its_own() -> None:
    tree = {value for name in features.errors.__all__ for value in [getattr(features.errors, name)]}
    assert tree <= set(PROBLEMS)


def test_class_without_a_row_takes_its_nearest_ancestors() -> None:
    class TooOdd(InvalidValue):
        pass

    assert status_of(TooOdd("x")) == PROBLEMS[InvalidValue]


def test_unexpected_failure_tells_the_client_nothing_of_its_cause() -> None:
    response = raised(RuntimeError("the other tenant's secret"))
    assert response.status_code == 500
    assert response.json()["type"] == "urn:foreshock:problem:internal"
    assert "secret" not in response.text


def test_unknown_path_and_method_are_problems(api: Api) -> None:
    assert api.get("/nowhere").json() == {
        "type": "urn:foreshock:problem:not-found",
        "title": "There is no such resource",
        "status": 404,
        "detail": "GET /nowhere: Not Found",
    }
    response = api.ask("DELETE", "/api/v1/services")
    assert (response.status_code, response.json()["status"], response.headers["allow"]) == (405, 405, "GET")


def test_values_out_of_bounds_are_named_with_value_and_bound(api: Api) -> None:
    response = api.get("/api/v1/predictions?limit=1001&min_probability=-1&colour=red")
    assert response.status_code == 422
    faults = {fault["location"]: fault for fault in response.json()["errors"]}
    assert faults["query.limit"] == {
        "location": "query.limit",
        "message": "Input should be less than or equal to 1000",
        "value": "'1001'",
    }
    assert set(faults) == {"query.limit", "query.min_probability", "query.colour"}
    assert "query.limit: Input should be less than or equal to 1000, got '1001'" in response.json()["detail"]


def test_long_values_are_cut_in_the_answer(api: Api) -> None:
    response = api.get(f"/api/v1/predictions?limit={'9' * 5000}x")
    assert response.status_code == 422
    assert len(response.text) < 1000


def test_broken_json_is_a_malformed_body(api: Api) -> None:
    response = api.ask("POST", "/api/v1/feedback", content=b'{"verdict": ', headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["type"]) == (400, "urn:foreshock:problem:malformed-body")


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain"])
def test_body_of_another_type_is_refused_as_such(api: Api, kind: str) -> None:
    response = api.ask("POST", "/api/v1/feedback", content=b"verdict=confirmed", headers={"Content-Type": kind})
    assert (response.status_code, response.json()["type"]) == (415, "urn:foreshock:problem:not-json")
    assert kind in response.json()["detail"]


def test_refused_method_is_told_all_that_the_path_takes(api: Api) -> None:
    for path, methods in (
        ("/api/v1/feedback", "GET, POST"),
        ("/api/v1/silences", "GET, POST"),
        ("/api/v1/silences/s1", "DELETE"),
        ("/api/v1/alerts/a1:acknowledge", "POST"),
    ):
        response = api.ask("PATCH", path)
        assert (response.status_code, response.headers["allow"]) == (405, methods)
