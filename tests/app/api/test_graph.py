"""Who calls whom over REST."""

from __future__ import annotations

from app.api.group_schemas import GraphOut
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
