"""Requests as they are sent, and documents as they are read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import httpx
import msgspec
import pytest
from pydantic import BaseModel, ConfigDict

from app.client.exchange import Request, ask, document, json_of, read
from app.client.failures import UnknownAnswer
from features.errors import InvalidValue

EAST = timezone(timedelta(hours=2))


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    depth: int


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    inner: Inner


@pytest.mark.parametrize(
    ("service", "path"),
    [("cart", "/p/cart"), ("a/b c", "/p/a%2Fb%20c"), ("..", "/p/%2E%2E"), ("é?#", "/p/%C3%A9%3F%23"), ("a.b", "/p/a.b")],
)
def test_a_name_is_one_part_of_a_path_whatever_is_in_it(service: str, path: str) -> None:
    request = Request("GET /p/{service}", {"service": service})
    assert (request.method, request.path) == ("GET", path)
    assert httpx.URL("http://host/base").join(f"http://host{request.path}").raw_path == path.encode()


def test_an_empty_name_is_refused() -> None:
    with pytest.raises(InvalidValue, match="service must not be empty, got ''"):
        _ = Request("GET /p/{service}", {"service": ""}).path


def test_parameters_are_texts_and_none_is_left_out() -> None:
    query = {
        "a": None,
        "flag": True,
        "kinds": ["x", "y"],
        "one": ("z",),
        "p": 0.25,
        "since": datetime(2026, 3, 1, 2, tzinfo=EAST),
    }
    assert Request("GET /", query=query).parameters == [
        ("flag", "true"),
        ("kinds", "x"),
        ("kinds", "y"),
        ("one", "z"),
        ("p", "0.25"),
        ("since", "2026-03-01T00:00:00+00:00"),
    ]


def test_a_body_is_json_without_what_is_none() -> None:
    body = {"items": [{"start": datetime(2026, 3, 1, tzinfo=UTC), "end": None, "n": 1}], "who": "ana", "t": ("a",)}
    content = Request("POST /", body=body).content
    assert content is not None
    assert msgspec.json.decode(content) == {
        "items": [{"start": "2026-03-01T00:00:00+00:00", "n": 1}],
        "who": "ana",
        "t": ["a"],
    }
    assert Request("GET /").content is None


def test_a_time_without_a_zone_is_named_wherever_it_stands() -> None:
    naive = datetime(2026, 3, 1)
    with pytest.raises(InvalidValue, match="since must have a zone"):
        _ = Request("GET /", query={"since": naive}).parameters
    with pytest.raises(InvalidValue, match=r"start must have a zone, .* got 2026-03-01T00:00:00"):
        _ = Request("POST /", body={"items": [{"start": naive}]}).content


def test_members_of_a_newer_server_are_passed_over_at_any_depth() -> None:
    assert read(Outer, b'{"inner": {"depth": 1, "new": 2}, "more": 3}', "GET /") == Outer(inner=Inner(depth=1))


@pytest.mark.parametrize(("content", "place"), [(b'{"inner": {}}', "inner.depth: Field required"), (b"<html>", "the whole: ")])
def test_another_document_is_named_with_its_route(content: bytes, place: str) -> None:
    with pytest.raises(UnknownAnswer, match=f"GET /x: {place}"):
        read(Outer, content, "GET /x")


def test_json_that_is_no_object_is_named_with_its_content_type() -> None:
    answer = httpx.Response(200, headers={"content-type": "text/html"}, content=b"<html>")
    with pytest.raises(UnknownAnswer, match="GET /x was answered with no JSON object but 'text/html'"):
        json_of(answer, "GET /x")
    assert json_of(httpx.Response(200, content=b'{"a": 1}'), "GET /x") == {"a": 1}


def test_a_call_yields_its_request_and_returns_what_it_reads() -> None:
    request = Request("GET /x")
    steps = document(Outer, request)
    assert next(steps) is request
    with pytest.raises(StopIteration) as stop:
        steps.send(httpx.Response(200, content=b'{"inner": {"depth": 4}}'))
    assert stop.value.value.inner.depth == 4
    again = ask(request)
    assert next(again) is request
