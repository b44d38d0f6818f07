"""The short way gives the answer of the long one, and leaves to it what is unusual."""

from __future__ import annotations

import httpx
import pytest

from tests.api_builders import Api, a_prediction, put_prediction

CART = "/api/v1/predictions/cart"


@pytest.mark.parametrize("held", [None, 'W/"p1"', '"other"'])
def test_both_ways_give_the_same_answer_and_count_alike(api: Api, held: str | None) -> None:
    for operation in ("*", "GET /"):
        put_prediction(api.documents, a_prediction("cart", operation, prediction_id="p1"))
    headers = [] if held is None else [("If-None-Match", held)]
    short = api.get(CART, httpx.Headers(headers))
    long = api.get(CART, httpx.Headers([*headers, *[("X-Scope-OrgID", "default")] * 2]))  # a header that came twice
    assert (short.status_code, short.content) == (long.status_code, long.content)
    assert sorted(short.headers.items()) == sorted(long.headers.items())
    code = str(short.status_code)
    assert api.telemetry.values("http_requests") == {f"/api/v1/predictions/{{service}},{code}": 2.0}


def test_what_is_unusual_takes_the_long_way(api: Api) -> None:
    put_prediction(api.documents, a_prediction("cart", tenant="a", prediction_id="p1"))
    assert api.get(CART).status_code == 404
    assert api.get(CART, {"X-Scope-OrgID": "a"}).status_code == 200
    assert api.get(CART, {"X-Scope-OrgID": "not/one"}).status_code == 400
    twice = httpx.Headers([("X-Scope-OrgID", "a"), ("If-None-Match", '"p1"'), ("If-None-Match", '"p2"')])
    assert api.get(CART, twice).status_code == 304
    assert api.ask("POST", CART).status_code == 405
    assert api.get("/api/v1/predictions/p1/explanation", {"X-Scope-OrgID": "a"}).status_code == 404
    assert api.telemetry.value("cache_reads", bucket="predictions", outcome="miss") == 1
