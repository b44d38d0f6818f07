"""The OpenAPI document names the answers that an operation can give, by what it takes."""

from __future__ import annotations

from app.api.document import problems_of
from tests.api_builders import Api


def test_operations_name_the_problems_that_follow_from_what_they_take() -> None:
    tenant = {"name": "X-Scope-OrgID", "in": "header"}
    assert list(problems_of("/metrics", "get", {})) == ["401", "403", "429", "5XX"]
    assert list(problems_of("/api/v1/nodes", "get", {"parameters": [tenant]})) == ["400", "401", "403", "429", "5XX"]
    limit = {"name": "limit", "in": "query"}
    assert list(problems_of("/api/v1/alerts", "get", {"parameters": [tenant, limit]})) == [
        "400",
        "401",
        "403",
        "422",
        "429",
        "5XX",
    ]
    posted = {"parameters": [tenant, {"name": "alert_id", "in": "path"}], "requestBody": {}}
    assert list(problems_of("/api/v1/alerts/{alert_id}:acknowledge", "post", posted)) == [
        "400", "401", "403", "404", "408", "409", "413", "415", "422", "429", "5XX",
    ]  # fmt: skip


def test_what_a_route_says_of_a_problem_stays_and_gets_its_schema(api: Api) -> None:
    answers = api.get("/api/v1/openapi.json").json()["paths"]["/api/v1/learning"]["get"]["responses"]
    assert answers["404"]["description"] == "No outcome of a forecast is known yet"
    assert answers["404"]["content"] == {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    assert "default" not in answers


def test_names_of_tenants_are_described_as_they_are_checked(api: Api) -> None:
    parameters = api.get("/api/v1/openapi.json").json()["paths"]["/api/v1/services"]["get"]["parameters"]
    assert [one["schema"]["pattern"] for one in parameters if one["name"] == "X-Scope-OrgID"] == [
        r"^(?!\.+$)[A-Za-z0-9_.\-]{1,128}$"
    ]
    for name, status in (("team-a", 200), ("..", 400), ("a/b", 400)):
        assert api.get("/api/v1/services", headers={"X-Scope-OrgID": name}).status_code == status
