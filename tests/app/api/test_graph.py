"""Who calls whom over REST."""

from __future__ import annotations

from app.api.group_schemas import GraphOut, HotspotOut
from app.api.schemas import Items
from app.cache.documents import encode_document, tenant_key
from app.cache.symptom_records import HotspotRecord, HotspotsRecord
from tests.api_builders import Api
from tests.group_builders import put_cascade, put_edges


def graph(api: Api, query: str = "") -> GraphOut:
    return GraphOut.model_validate_json(api.get(f"/api/v1/graph?{query}").content)


def test_the_graph_has_services_peers_outside_and_calls(api: Api) -> None:
    put_cascade(api.documents)
    put_edges(api.documents, ("payment", "bank:443"), errors=0.0)
    found = graph(api)
    assert [(one.caller, one.callee, one.errors) for one in found.edges] == [
        ("cart", "payment", 4.0),
        ("payment", "bank:443", 0.0),
        ("web", "cart", 4.0),
    ]
    assert {one.service: (one.external, one.in_incident, one.symptoms) for one in found.services} == {
        "bank:443": (True, False, 0),
        "cart": (False, True, 1),
        "payment": (False, True, 1),
        "web": (False, True, 1),
    }
    assert not found.truncated


def test_the_graph_around_a_service_ends_where_it_is_told_to(api: Api) -> None:
    put_edges(api.documents, ("a", "b"), ("b", "c"), ("c", "d"), ("x", "y"))
    near, far = graph(api, "service=b"), graph(api, "service=b&depth=2")
    assert [one.service for one in near.services] == ["a", "b", "c"]
    assert [one.service for one in far.services] == ["a", "b", "c", "d"]
    assert [one.service for one in graph(api, "service=lonely").services] == ["lonely"]


def test_edges_are_limited_and_that_is_told(api: Api) -> None:
    put_edges(api.documents, ("a", "b"), ("b", "c"))
    found = graph(api, "limit=1")
    assert ([one.callee for one in found.edges], found.truncated) == (["b"], True)


def put_hotspots(api: Api, service: str, *spots: HotspotRecord) -> None:
    record = HotspotsRecord("default", service, 1_800_000_000, spots)
    api.documents.put("hotspots", tenant_key("default", service), encode_document(record))


def test_hotspots_come_by_significance_and_are_filtered(api: Api) -> None:
    put_hotspots(api, "cart", HotspotRecord("version", "1.3", "new", 40.0, 0.9, 0.0, 80.0, 1_799_999_400))
    grown = HotspotRecord("operation", "POST /charge", "grown", 30.0, 0.6, 0.2, 90.0, 1_799_999_400)
    put_hotspots(api, "payment", grown, HotspotRecord("fingerprint", "f1", "returned", 9.0, 0.3, 0.0, 20.0, 1_799_999_400))

    def listed(query: str = "") -> list[str]:
        found = Items[HotspotOut].model_validate_json(api.get(f"/api/v1/hotspots?{query}").content)
        return [f"{one.service} {one.dimension} {one.name}" for one in found.items]

    assert listed() == ["payment operation POST /charge", "cart version 1.3", "payment fingerprint f1"]
    assert listed("service=payment") == ["payment operation POST /charge", "payment fingerprint f1"]
    assert listed("dimension=version") == listed("state=new") == ["cart version 1.3"]
    first = api.get("/api/v1/hotspots?limit=2").json()
    rest = api.get(f"/api/v1/hotspots?cursor={first['next']}").json()
    assert [one["name"] for one in rest["items"]] == ["f1"]
    assert first["items"][0]["since"] == "2027-01-15T07:50:00Z"
