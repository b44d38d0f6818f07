"""The whole application: its OpenAPI document, what is counted, and a real server on a real socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
import uvicorn

from app.cache.alert_records import MatcherRecord, SilenceRecord
from app.cache.backtests import put_page
from app.cache.documents import encode_document
from app.cache.learning_records import LearningRecord
from app.cache.records import RecentErrors
from app.telemetry import Telemetry
from features.plan import plan
from tests.alert_builders import an_alert
from tests.api_builders import (
    NOON,
    Api,
    a_prediction,
    a_service_summary,
    an_error_event,
    an_error_group,
    an_explanation,
    an_incident,
    put_errors,
    put_incident,
    put_prediction,
    put_service,
    put_trend,
)
from tests.ensembles import add_version
from tests.group_builders import Receiver, a_group, put_group

SILENCE = {"matchers": [{"label": "service", "pattern": "*"}], "end": "2026-03-02T13:00:00Z", "author": "ann"}

EXERCISED: dict[tuple[str, str], tuple[str, object, int]] = {
    ("get", "/api/v1/services"): ("/api/v1/services", None, 200),
    ("get", "/api/v1/anomalies"): ("/api/v1/anomalies?limit=5", None, 200),
    ("get", "/api/v1/learning"): ("/api/v1/learning", None, 200),
    ("get", "/api/v1/nodes"): ("/api/v1/nodes", None, 200),
    ("get", "/api/v1/trends/{service}"): ("/api/v1/trends/payment", None, 200),
    ("get", "/api/v1/predictions"): ("/api/v1/predictions", None, 200),
    ("get", "/api/v1/predictions/{service}"): ("/api/v1/predictions/payment", None, 200),
    ("get", "/api/v1/predictions/{prediction_id}/explanation"): ("/api/v1/predictions/p1/explanation", None, 200),
    ("get", "/api/v1/errors"): ("/api/v1/errors?view=events", None, 200),
    ("post", "/api/v1/errors:classify"): ("/api/v1/errors:classify", {"message": "Connection refused"}, 200),
    ("get", "/api/v1/incidents"): ("/api/v1/incidents", None, 200),
    ("get", "/api/v1/incidents/{incident_id}"): ("/api/v1/incidents/i1", None, 200),
    ("post", "/api/v1/incidents/{incident_id}/plan/{step}:post"): ("/api/v1/incidents/i1/plan/1:post", {}, 200),
    ("get", "/api/v1/groups"): ("/api/v1/groups", None, 200),
    ("get", "/api/v1/groups/{group_id}"): ("/api/v1/groups/g-1", None, 200),
    ("get", "/api/v1/graph"): ("/api/v1/graph", None, 200),
    ("get", "/api/v1/hotspots"): ("/api/v1/hotspots", None, 200),
    ("post", "/api/v1/webhooks/alertmanager"): ("/api/v1/webhooks/alertmanager", {"version": "4", "alerts": []}, 200),
    ("post", "/api/v1/feedback"): ("/api/v1/feedback", {"verdict": "confirmed", "prediction_id": "p1"}, 201),
    ("get", "/api/v1/feedback/impact"): ("/api/v1/feedback/impact", None, 200),
    ("get", "/api/v1/feedback"): ("/api/v1/feedback", None, 200),
    ("post", "/api/v1/feedback:batch"): (
        "/api/v1/feedback:batch",
        {"items": [{"verdict": "confirmed", "prediction_id": "p1"}]},
        201,
    ),
    ("post", "/api/v1/feedback/{feedback_id}:undo"): ("/api/v1/feedback/feedback-1:undo", {}, 201),
    ("get", "/api/v1/feedback/{feedback_id}"): ("/api/v1/feedback/feedback-1", None, 200),
    ("post", "/api/v1/training-runs"): ("/api/v1/training-runs", {}, 202),
    ("get", "/api/v1/training-runs"): ("/api/v1/training-runs", None, 200),
    ("get", "/api/v1/training-runs/{run_id}"): ("/api/v1/training-runs/run-1", None, 200),
    ("post", "/api/v1/backtests"): ("/api/v1/backtests", {}, 202),
    ("get", "/api/v1/backtests"): ("/api/v1/backtests", None, 200),
    ("get", "/api/v1/backtests/{run_id}"): ("/api/v1/backtests/backtest-2", None, 200),
    ("get", "/api/v1/backtests/{run_id}/page"): ("/api/v1/backtests/backtest-2/page", None, 200),
    ("get", "/api/v1/models"): ("/api/v1/models", None, 200),
    ("post", "/api/v1/models/{version_id}:promote"): ("/api/v1/models/FIRST:promote", {}, 200),
    ("post", "/api/v1/models:rollback"): ("/api/v1/models:rollback", {}, 200),
    ("get", "/api/v1/models/{version_id}"): ("/api/v1/models/FIRST", None, 200),
    ("get", "/api/v1/models/{version_id}/compare/{other_id}"): ("/api/v1/models/FIRST/compare/SECOND", None, 200),
    ("get", "/api/v1/alerts"): ("/api/v1/alerts", None, 200),
    ("get", "/api/v1/alerts:explain"): ("/api/v1/alerts:explain?service=payment", None, 200),
    ("get", "/api/v1/alerts/{alert_id}"): ("/api/v1/alerts/a-1", None, 200),
    ("post", "/api/v1/alerts/{alert_id}:acknowledge"): ("/api/v1/alerts/a-1:acknowledge", {}, 200),
    ("post", "/api/v1/silences"): ("/api/v1/silences", SILENCE, 201),
    ("get", "/api/v1/silences"): ("/api/v1/silences", None, 200),
    ("delete", "/api/v1/silences/{silence_id}"): ("/api/v1/silences/s1", None, 200),
    ("get", "/api/v1/alert-routes"): ("/api/v1/alert-routes", None, 200),
    ("get", "/api/v1/stream"): ("/api/v1/stream?for_s=0", None, 200),
    ("get", "/api/v1/tokens"): ("/api/v1/tokens", None, 200),
    ("post", "/api/v1/tokens"): ("/api/v1/tokens", {"name": "grafana", "scopes": ["read"], "tenants": ["default"]}, 201),
    ("post", "/api/v1/tokens/{name}:rotate"): ("/api/v1/tokens/grafana:rotate", {"overlap_s": 60}, 200),
    ("delete", "/api/v1/tokens/{name}"): ("/api/v1/tokens/grafana", None, 200),
    ("get", "/api/v1/audit"): ("/api/v1/audit", None, 200),
    ("get", "/livez"): ("/livez", None, 200),
    ("get", "/readyz"): ("/readyz?verbose", None, 200),
    ("get", "/metrics"): ("/metrics", None, 200),
}


def requests(telemetry: Telemetry) -> dict[tuple[str, str], float]:
    return {
        (sample.labels["route"], sample.labels["code"]): sample.value
        for metric in telemetry.registry.collect()
        for sample in metric.samples
        if sample.name == "foreshock_http_requests_total"
    }


@pytest.fixture
def shop(api: Api) -> Api:
    return stocked(api)


def stocked(api: Api) -> Api:
    """Put there what `EXERCISED` asks for."""
    put_prediction(api.documents, a_prediction(prediction_id="p1"), an_explanation())
    put_service(api.documents, a_service_summary())
    put_errors(api.documents, "payment", RecentErrors((an_error_group(),), (an_error_event(),)))
    put_incident(api.documents, an_incident())
    put_group(api.documents, replace(a_group(), plan=plan(a_group().causes, {}, [])))
    api.runbook = Receiver()
    put_page(api.documents, "default", "backtest-2", "<p>", 60.0)
    put_trend(api.documents)
    quiet = SilenceRecord("s1", "default", (MatcherRecord("service", "*"),), NOON, NOON + timedelta(hours=1), "ann", "", NOON)
    api.documents.put("alerts", "default/a-1", encode_document(an_alert()))
    api.documents.put("silences", "default/s1", encode_document(quiet))
    learned = LearningRecord(
        tenant="default",
        as_of=NOON,
        model_version="prior",
        half_life_s=60.0,
        members=(),
        incidents_began=0.0,
        incidents_forecast=0.0,
        rows_waiting=0,
        online_rows=0,
        drifts=(),
        rival=None,
    )
    api.documents.put("learning", "default/%2A", encode_document(learned))
    return api


@pytest.fixture
def address(shop: Api) -> Iterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(shop.app, log_level="critical", log_config=None))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def operations(document: dict[str, Any]) -> set[tuple[str, str]]:
    return {(method, path) for path, methods in document["paths"].items() for method in methods}


def test_every_route_of_the_openapi_document_is_exercised(shop: Api) -> None:
    document = shop.get("/api/v1/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert operations(document) == set(EXERCISED)
    first, second = (add_version(shop.registry(), hour) for hour in (1, 2))
    shop.registry().promote(second)
    for (method, path), (url, body, status) in EXERCISED.items():
        response = shop.ask(method.upper(), url.replace("FIRST", first).replace("SECOND", second), json=body)
        assert response.status_code == status, (url, response.text)
        assert str(status) in document["paths"][path][method]["responses"]
    counted = requests(shop.telemetry)
    assert {path for _, path in EXERCISED} <= {route for route, _ in counted}


def test_every_operation_may_answer_with_a_problem_and_has_a_name_of_its_own(api: Api) -> None:
    document = api.get("/api/v1/openapi.json").json()
    found = [operation for methods in document["paths"].values() for operation in methods.values()]
    refused = [(status, answer) for operation in found for status, answer in operation["responses"].items() if status > "4"]
    assert {kind for status, answer in refused for kind in answer["content"] if status != "503"} == {"application/problem+json"}
    assert [operation for operation in found if "5XX" not in operation["responses"] or not operation["summary"]] == []
    assert len({operation["operationId"] for operation in found}) == len(found)
    assert "HTTPValidationError" not in document["components"]["schemas"]
    assert "detail" in document["components"]["schemas"]["Problem"]["properties"]


def test_pages_that_load_scripts_from_elsewhere_are_off(api: Api) -> None:
    assert [api.get(path).status_code for path in ("/docs", "/redoc")] == [404, 404]


def test_requests_are_counted_by_template_never_by_path(shop: Api) -> None:
    shop.get("/api/v1/predictions/payment")
    shop.get("/api/v1/predictions/nobody-1")
    shop.get("/api/v1/predictions/nobody-2")
    shop.get("/x/1")
    shop.get("/x/2")
    assert requests(shop.telemetry) == {
        ("/api/v1/predictions/{service}", "200"): 1,
        ("/api/v1/predictions/{service}", "404"): 2,
        ("unmatched", "404"): 2,
    }


def test_unexpected_failure_is_counted_and_answered(shop: Api) -> None:
    def broken() -> Any:
        raise RuntimeError("bug")

    shop.checks["broken"] = broken
    assert shop.get("/readyz").status_code == 500
    assert requests(shop.telemetry) == {("/readyz", "500"): 1}
    assert shop.telemetry.registry.get_sample_value("foreshock_faults_total", {"place": "api"}) == 1


def test_body_beyond_the_limit_is_refused(api: Api) -> None:
    body = b'{"verdict": "confirmed", "why": "' + b"x" * 2**20 + b'"}'
    response = api.ask("POST", "/api/v1/feedback", content=body, headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["type"]) == (413, "urn:foreshock:problem:body-too-large")
    assert "1048576 bytes" in response.json()["detail"]


def test_real_server_answers_revalidates_and_refuses(address: str) -> None:
    with httpx.Client(base_url=address) as client:
        first = client.get("/api/v1/predictions/payment")
        assert (first.status_code, first.json()["id"]) == (200, "p1")
        again = client.get("/api/v1/predictions/payment", headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        refused = client.get("/api/v1/predictions", params={"cursor": "~"})
        assert (refused.status_code, refused.headers["content-type"]) == (400, "application/problem+json")
        assert client.get("/metrics").status_code == 200


def test_real_server_refuses_an_endless_chunked_body_and_goes_on(address: str) -> None:
    with httpx.Client(base_url=address) as client:
        response = client.post(
            "/api/v1/feedback", content=(b"x" * 65536 for _ in range(64)), headers={"Content-Type": "application/json"}
        )
        assert response.status_code == 413
    assert httpx.get(f"{address}/livez").json() == {"status": "ok"}


def test_real_server_survives_what_is_no_http(address: str) -> None:
    port = int(address.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as raw:
        raw.sendall(b"\x16\x03\x01\x00\xff nonsense\r\n\r\n")
        assert raw.recv(4096).startswith(b"HTTP/1.1 400")
    assert httpx.get(f"{address}/livez").status_code == 200
