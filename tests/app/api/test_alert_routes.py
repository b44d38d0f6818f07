"""Routes of alerts over REST: what they may spend, and what they did."""

from __future__ import annotations

from app.api.alert_schemas import AlertRouteOut
from app.api.parts import AlertView
from app.cache.alert_records import ThresholdRecord, ThresholdStep
from app.cache.documents import encode_document, tenant_key
from tests.alert_builders import a_route, an_alert, at
from tests.api_builders import Api, Clock, an_incident, put_incident
from tests.contracts.stores import Store

DAY_S = 86_400


def test_a_route_is_shown_with_its_threshold_and_what_it_would_have_said(store: Store, clock: Clock) -> None:
    routes = (a_route(threshold=None, shadow=True), a_route(name="fixed"), a_route(name="truth", on="incident", threshold=None))
    api = Api(store.documents, clock, alerting=AlertView(routes))
    steps = (ThresholdStep(at(0), 0.4, "history"),)
    fitted = ThresholdRecord("default", "pages", 2.0, 0.4, 0.24, "history", at(0), days=14.0, series=3, pages=27, steps=steps)
    api.documents.put("thresholds", tenant_key("default", "pages"), encode_document(fitted))
    clock.move(20 * DAY_S)
    for alert in (
        an_alert("old-1", fired_s=0.0),
        an_alert("a-1", fired_s=16 * DAY_S),
        an_alert("b-1", "cart", fired_s=16 * DAY_S + 60, page="a-1"),
        an_alert("c-1", fired_s=19 * DAY_S),
        an_alert("d-1", state="pending"),
    ):
        api.documents.put("alerts", tenant_key("default", alert.id), encode_document(alert))
    put_incident(api.documents, an_incident("i1", "cart", start_s=16 * DAY_S + 3600))
    put_incident(api.documents, an_incident("i2", "payment", start_s=19 * DAY_S + 3661))
    items = [AlertRouteOut.model_validate(item) for item in api.get("/api/v1/alert-routes").json()["items"]]
    assert [(one.name, one.threshold, one.threshold_basis) for one in items] == [
        ("pages", 0.4, "history"),
        ("fixed", 0.5, "fixed"),
        ("truth", None, None),
    ]
    pages = items[0]
    assert pages.fitted is not None
    assert (pages.fitted.days, pages.fitted.pages, pages.shadow) == (14.0, 27, True)
    assert (pages.lately.alerts, pages.lately.pages, pages.lately.pages_per_day) == (3, 2, 0.5)
    assert pages.lately.in_incident_within_hour == 1
    assert (items[1].fitted, items[1].lately.alerts) == (None, 0)


def test_without_routes_there_are_none(api: Api) -> None:
    assert api.get("/api/v1/alert-routes").json() == {"items": [], "next": None}
