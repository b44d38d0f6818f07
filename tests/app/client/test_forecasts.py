"""Calls about what is known of services, asked of a node."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.client import Foreshock, NotFound
from tests.dashboard_seed import prediction_of, put_service_of
from tests.nodes import RunningNode


def now_of(shop: RunningNode) -> datetime:
    return datetime.fromtimestamp(shop.now_ns / 1e9, UTC)


def test_a_prediction_is_sent_again_only_when_there_is_a_newer_one(foreshock: Foreshock, shop: RunningNode) -> None:
    known = foreshock.prediction("mail")
    assert foreshock.newer_prediction(known) is None
    later = prediction_of("mail", 0.2, "errors", "ok", now_of(shop) + timedelta(seconds=60))
    put_service_of(shop.node.store.documents, later)
    newer = foreshock.newer_prediction(known)
    assert newer is not None
    assert newer.horizons["60min"].probability == 0.2
    assert newer.status == "stale"  # it knows of no model, and one serves
    assert foreshock.newer_prediction(newer) is None


def test_predictions_are_chosen_by_what_is_wanted(foreshock: Foreshock) -> None:
    likely = foreshock.predictions(min_probability=0.25, horizon="15min", operations="whole")
    assert list(likely["service"]) == ["payment"]
    assert foreshock.predictions(service="nobody").empty
    for horizon in ("5min", "15min", "60min"):
        risks = list(foreshock.predictions(sort_by=horizon)[f"probability_{horizon}"])
        assert len(risks) > 1
        assert risks == sorted(risks, reverse=True)


def test_an_explanation_and_a_trend_are_documents(foreshock: Foreshock) -> None:
    payment = foreshock.prediction("payment")
    explained = foreshock.explanation(payment.id)
    assert (explained.background_probability, explained.members["online"]) == (0.01, None)
    trend = foreshock.trends("payment")
    assert trend.errors_per_minute.meets_limit.probability == 0.44
    assert trend.errors_per_minute.change is not None
    with pytest.raises(NotFound, match="no trend for operation 'GET /' of service 'payment'"):
        foreshock.trends("payment", "GET /")


def test_errors_are_groups_or_single_ones(foreshock: Foreshock) -> None:
    assert list(foreshock.errors(service="payment")["kind"]) == ["pool_exhausted", "timeout"]
    assert list(foreshock.errors(only="regressed")["kind"]) == ["timeout"]
    assert foreshock.errors(category="business").empty
    (event,) = foreshock.error_events(service="payment").to_dict("records")
    assert (event["exception_type"], event["trace_id"]) == ("TimeoutError", "a1b2c3")


def test_an_error_is_classified(foreshock: Foreshock) -> None:
    found = foreshock.classify(attributes={"http.response.status_code": 429}, message="slow down")
    assert (found.kind, found.retryable) == ("rate_limited", True)


def test_the_graph_is_of_one_service_or_of_all(foreshock: Foreshock) -> None:
    assert {(edge.caller, edge.callee) for edge in foreshock.graph().edges} == {("checkout", "payment"), ("cart", "mail")}
    assert [node.service for node in foreshock.graph("payment").services] == ["checkout", "payment"]
    assert foreshock.graph(limit=1).truncated


def test_hotspots_and_anomalies_are_lists(foreshock: Foreshock) -> None:
    assert list(foreshock.hotspots()["name"]) == ["2.4.1", "POST /charge"]
    assert list(foreshock.hotspots(state="new", limit=5)["share_before"]) == [0.0]
    assert foreshock.anomalies(operations="whole").empty
