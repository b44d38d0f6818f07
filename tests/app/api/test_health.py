"""What machines ask."""

from __future__ import annotations

from app.api.parts import Health
from features.errors import StoreFailed
from tests.api_builders import Api


def fails() -> Health:
    raise StoreFailed("disk is gone")


def test_process_that_answers_lives_even_when_it_is_not_ready(api: Api) -> None:
    api.checks["store"] = fails
    assert (api.get("/livez").status_code, api.get("/livez").json()) == (200, {"status": "ok"})


def test_ready_when_every_check_is(api: Api) -> None:
    api.checks["worker"] = lambda: Health(True, "lag 0")
    assert (api.get("/readyz").status_code, api.get("/readyz").json()) == (200, {"status": "ok"})
    for query in ("verbose", "verbose=1", "verbose=true"):
        assert api.get(f"/readyz?{query}").json()["checks"]["worker"] == {"ok": True, "detail": "lag 0"}
    assert "checks" not in api.get("/readyz?verbose=false").json()


def test_not_ready_when_one_check_is_not_or_fails(api: Api) -> None:
    api.checks["worker"] = lambda: Health(True)
    api.checks["model"] = lambda: Health(False, "warming up")
    api.checks["store"] = fails
    response = api.get("/readyz?verbose")
    assert (response.status_code, response.headers["cache-control"]) == (503, "no-store")
    assert response.json() == {
        "status": "not ready",
        "checks": {
            "cache": {"ok": True, "detail": "0 predictions"},
            "model": {"ok": False, "detail": "warming up"},
            "store": {"ok": False, "detail": "StoreFailed: disk is gone"},
            "worker": {"ok": True, "detail": ""},
        },
    }


def test_metrics_are_prometheus_text(api: Api) -> None:
    api.telemetry.records.labels(signal="traces").inc(3)
    response = api.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=")
    assert 'foreshock_records_total{signal="traces"} 3.0' in response.text
