"""Trends over REST: a whole service, one operation, what is old, what is not there."""

from __future__ import annotations

from app.api.trend_schemas import TrendOut
from tests.api_builders import Api, put_trend

TRENDS = "/api/v1/trends"


def test_a_service_is_shown_with_times_and_names(api: Api) -> None:
    put_trend(api.documents, "shop/cart")
    api.clock.move(30)
    response = api.get(f"{TRENDS}/shop/cart")
    assert response.status_code == 200, response.text
    shown = TrendOut.model_validate_json(response.content)
    assert (shown.operation, shown.status, shown.age_s) == ("*", "ok", 30.0)
    assert (response.headers["Age"], response.headers["Cache-Control"]) == ("30", "private, max-age=180")
    errors = response.json()["errors_per_minute"]
    assert errors["forecast"][0] == {
        "at": "2026-03-02T12:05:00Z", "expected": 2.0, "lower": 1.0, "upper": 3.0, "usual": 2.5, "limit": 9.0,
    }  # fmt: skip
    assert errors["change"] == {"at": "2026-03-02T11:50:00Z", "before": 1.0, "after": 1.0}
    met = {"probability": 0.5, "earliest": "2026-03-02T12:01:30Z", "expected": None, "latest": None}
    assert errors["meets_limit"] == met


def test_an_operation_is_asked_for_by_name(api: Api) -> None:
    put_trend(api.documents, "cart")
    put_trend(api.documents, "cart", "GET /cart/{id}", timed=False)
    shown = api.get(f"{TRENDS}/cart?operation=GET%20/cart/%7Bid%7D").json()
    assert (shown["operation"], shown["p95_s"]) == ("GET /cart/{id}", None)


def test_what_has_expired_is_stale(api: Api) -> None:
    put_trend(api.documents, "cart")
    api.clock.move(200)
    assert api.get(f"{TRENDS}/cart").json()["status"] == "stale"


def test_what_is_not_there_is_a_problem(api: Api) -> None:
    put_trend(api.documents, "cart", tenant="another")
    for path in ("cart", "cart?operation=GET%20/"):
        response = api.get(f"{TRENDS}/{path}")
        assert (response.status_code, response.headers["content-type"]) == (404, "application/problem+json")
        assert "of tenant 'default'" in response.json()["detail"]
