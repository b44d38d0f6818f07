"""The tenant of a request, and the forms of an answer."""

from __future__ import annotations

import pytest

from app.api.parts import Health, TrainingRequest, answer, members
from features.errors import InvalidValue
from tests.api_builders import NOON, Api, a_service_summary, put_service


def seen(api: Api, tenant: str | None) -> list[str]:
    headers = {} if tenant is None else {"X-Scope-OrgID": tenant}
    return [item["service"] for item in api.get("/api/v1/services", headers).json()["items"]]


def test_request_without_a_tenant_is_the_default_tenants(api: Api) -> None:
    put_service(api.documents, a_service_summary(tenant="default"))
    assert seen(api, None) == seen(api, "default") == ["payment"]
    assert seen(api, "other") == []


@pytest.mark.parametrize("tenant", ["a/b", "a%2Fb", "", "..", ".", "a b", "a*", "x" * 129, "a|b"])
def test_what_is_no_tenants_name_is_refused(api: Api, tenant: str) -> None:
    response = api.get("/api/v1/services", {"X-Scope-OrgID": tenant})
    assert (response.status_code, response.json()["type"]) == (400, "urn:foreshock:problem:invalid-tenant")


def test_tenant_that_is_anothers_prefix_sees_only_its_own(api: Api) -> None:
    put_service(api.documents, a_service_summary("one", tenant="a"))
    put_service(api.documents, a_service_summary("two", tenant="ab"))
    assert (seen(api, "a"), seen(api, "ab")) == (["one"], ["two"])


def test_answer_writes_times_as_rfc_3339() -> None:
    assert answer({"time": NOON}).body == b'{"time":"2026-03-02T12:00:00Z"}'


def test_members_are_by_name() -> None:
    assert members(Health(False, "disk")) == {"ok": False, "detail": "disk"}


def test_training_request_over_nothing_is_refused() -> None:
    with pytest.raises(InvalidValue, match="until must be after since"):
        TrainingRequest("a", "", NOON, NOON, None, NOON)
