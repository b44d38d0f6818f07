"""Anomalies over REST: which are listed, in which order, page by page."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from app.api.schemas import AnomalyOut, Items
from models.prediction import AnomalyScore
from tests.api_builders import NOON, Api, a_prediction, put_prediction

ANOMALIES = "/api/v1/anomalies"


def put(api: Api, service: str, operation: str, minutes_ago: int | None, score: float, tenant: str = "default") -> None:
    since = None if minutes_ago is None else NOON - timedelta(minutes=minutes_ago)
    anomaly = AnomalyScore(score, 7.0, 2.0, 0.0, 5.0, since, "latency")
    put_prediction(api.documents, replace(a_prediction(service, operation, tenant=tenant), anomaly=anomaly))


def shop(api: Api) -> None:
    put(api, "cart", "*", 5, 0.9995)
    put(api, "cart", "GET /cart", 5, 0.9999)
    put(api, "payment", "*", 2, 0.5)
    put(api, "mail", "*", None, 0.9)
    put(api, "payment", "*", 1, 0.9999, tenant="another")


def listed(api: Api, query: str = "") -> list[tuple[str, str]]:
    response = api.get(f"{ANOMALIES}?{query}")
    assert response.status_code == 200, response.text
    return [(item.service, item.operation) for item in Items[AnomalyOut].model_validate_json(response.content).items]


def test_newest_come_first_and_of_one_tick_the_most_unlikely(api: Api) -> None:
    shop(api)
    assert listed(api) == [("payment", "*"), ("cart", "GET /cart"), ("cart", "*")]
    item = api.get(ANOMALIES).json()["items"][0]
    assert item["since"] == "2026-03-02T11:58:00Z"
    assert (item["prediction_id"], item["signal"]) == ("default-payment-*", "latency")
    assert (item["tenant"], item["value"], item["expected"], item["upper"]) == ("default", 7.0, 2.0, 5.0)


def test_filters_choose(api: Api) -> None:
    shop(api)
    assert listed(api, "service=cart") == [("cart", "GET /cart"), ("cart", "*")]
    assert listed(api, "operations=whole") == [("payment", "*"), ("cart", "*")]


def test_pages_follow_each_other(api: Api) -> None:
    shop(api)
    first = api.get(f"{ANOMALIES}?limit=2").json()
    second = api.get(f"{ANOMALIES}?limit=2&cursor={first['next']}").json()
    assert [item["service"] for item in first["items"] + second["items"]] == ["payment", "cart", "cart"]
    assert second["next"] is None


def test_what_is_stale_tells_of_no_present_anomaly(api: Api) -> None:
    shop(api)
    api.clock.move(600)
    assert listed(api) == []
