"""Incidents over REST."""

from __future__ import annotations

from app.api.group_schemas import GroupedIncidentOut, IncidentDetailOut
from app.api.schemas import Items
from tests.api_builders import Api, an_incident, put_incident

INCIDENTS = "/api/v1/incidents"


def ids(api: Api, query: str = "") -> list[str]:
    return [item.id for item in Items[GroupedIncidentOut].model_validate_json(api.get(f"{INCIDENTS}?{query}").content).items]


def shop(api: Api) -> None:
    put_incident(api.documents, an_incident("old", start_s=-3600.0))
    put_incident(api.documents, an_incident("new", "cart"))
    put_incident(api.documents, an_incident("open", start_s=-60.0, lasts=True))


def test_incidents_come_newest_first(api: Api) -> None:
    shop(api)
    assert ids(api) == ["new", "open", "old"]


def test_incidents_are_filtered(api: Api) -> None:
    shop(api)
    assert ids(api, "service=cart") == ["new"]
    assert ids(api, "operation=none") == []
    assert ids(api, "state=open") == ["open"]
    assert ids(api, "state=ended") == ["new", "old"]
    assert ids(api, "since=2026-03-02T11:55:00Z") == ["new", "open"]
    assert ids(api, "until=2026-03-02T11:59:30Z") == ["open", "old"]


def test_paging_yields_each_incident_once(api: Api) -> None:
    for number in range(5):  # equal starts, so the id decides
        put_incident(api.documents, an_incident(f"i{number}"))
    first = api.get(f"{INCIDENTS}?limit=3").json()
    second = api.get(f"{INCIDENTS}?limit=3&cursor={first['next']}").json()
    assert [item["id"] for item in first["items"] + second["items"]] == ["i0", "i1", "i2", "i3", "i4"]


def test_incident_is_answered_with_what_was_predicted(api: Api) -> None:
    put_incident(api.documents, an_incident("payment/7", lasts=True))
    body = IncidentDetailOut.model_validate_json(api.get(f"{INCIDENTS}/payment%2F7").content)
    assert (body.end, body.predicted) == (None, {"5min": 0.1, "15min": 0.2, "60min": 0.4})


def test_unknown_incident_and_that_of_another_tenant_are_not_found(api: Api) -> None:
    put_incident(api.documents, an_incident(tenant="a"))
    assert api.get(f"{INCIDENTS}/i1", {"X-Scope-OrgID": "a"}).status_code == 200
    assert api.get(f"{INCIDENTS}/i1", {"X-Scope-OrgID": "b"}).status_code == 404
    assert ids(api) == []
