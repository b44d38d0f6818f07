"""What goes wrong is one error with what the service said of it."""

from __future__ import annotations

import httpx
import pytest

from app.client.failures import (
    NoAnswer,
    NotAllowed,
    NotFound,
    NotReached,
    Problem,
    Refused,
    Unavailable,
    failure_of,
    problem_of,
)
from features.errors import ForeshockError

DOCUMENT = {
    "type": "urn:foreshock:problem:invalid-value",
    "title": "A value breaks its bound",
    "status": 422,
    "detail": "limit must be at most 1000, got 9999",
    "errors": [{"index": 3, "message": "no such incident"}],
    "retryable": False,
}


def test_a_problem_keeps_what_the_service_said() -> None:
    problem = problem_of(httpx.Response(422, json=DOCUMENT), "GET /x")
    assert isinstance(problem, Refused)
    assert (problem.status, problem.type, problem.title) == (422, DOCUMENT["type"], DOCUMENT["title"])
    assert (problem.detail, problem.errors) == (DOCUMENT["detail"], DOCUMENT["errors"])
    assert str(problem) == "422 A value breaks its bound: limit must be at most 1000, got 9999"


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (301, Refused, False),
        (400, Refused, False),
        (401, NotAllowed, False),
        (403, NotAllowed, False),
        (404, NotFound, False),
        (409, Refused, False),
        (429, Unavailable, True),
        (500, Unavailable, True),
        (503, Unavailable, True),
    ],
)
def test_the_status_decides_the_kind(status: int, kind: type[Problem], retryable: bool) -> None:
    problem = problem_of(httpx.Response(status, content=b"<html>a proxy's page</html>"), "GET /x")
    assert type(problem) is kind
    assert isinstance(problem, ForeshockError)
    assert (problem.retryable, problem.type, problem.errors) == (retryable, "about:blank", [])
    assert problem.detail == "GET /x"


def test_a_document_of_another_shape_is_taken_for_none() -> None:
    assert problem_of(httpx.Response(500, json={"title": 7}), "GET /x").title == "Internal Server Error"


def test_only_who_was_not_reached_has_done_nothing() -> None:
    assert type(failure_of(httpx.ConnectError("refused"), "GET /x")) is NotReached
    lost = failure_of(httpx.ReadTimeout(""), "POST /x")
    assert type(lost) is NoAnswer
    assert str(lost) == "POST /x was not answered: ReadTimeout"
    assert lost.retryable
