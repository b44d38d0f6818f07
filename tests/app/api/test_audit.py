"""The audit log is read newest first, page by page, by administrators of what it is about."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.auth import ANYONE, AuditLog, Deed, Doorkeeper, Scope, Tokens, Wanted
from app.auth.tokens import BUCKET
from tests.api_builders import Api


@pytest.fixture
def demanding(api: Api) -> Api:
    return replace(api, doorkeeper=Doorkeeper(api.documents.watch(BUCKET), api.clock))


def admin(api: Api, *tenants: str) -> dict[str, str]:
    made = Tokens(api.documents, api.clock).add(Wanted("-".join(("admin", *tenants)), [Scope.ADMIN], tenants), ANYONE)
    return {"Authorization": f"Bearer {made.text}"}


def written(api: Api, n: int, step_s: float) -> list[str]:
    audit = AuditLog(api.documents, api.clock, 1e9)
    deeds: list[Deed] = []
    for number in range(n):
        tenant = ("shop", "bank")[number % 2]
        deeds.append(audit.begin(Deed("silence.add", f"p{number}", tenant, "192.0.2.1", "/api/v1/silences")))
        api.clock.move(step_s)
    return [deed.principal for deed in reversed(deeds)]


@pytest.mark.parametrize("step_s", [0.0, 40_000.0])
def test_pages_together_hold_each_deed_once(demanding: Api, step_s: float) -> None:
    written(demanding, 7, step_s)
    found: list[str] = []
    url = "/api/v1/audit?limit=3"
    boss = admin(demanding, "*")
    while url:
        page = demanding.get(url, boss).json()
        assert len(page["items"]) <= 3
        found += [item["principal"] for item in page["items"]]
        url = f"/api/v1/audit?limit=3&cursor={page['next']}" if page["next"] else ""
    assert sorted(found) == [f"p{number}" for number in range(7)]
    assert step_s == 0.0 or found == [f"p{number}" for number in range(6, -1, -1)]


def test_an_administrator_of_one_tenant_sees_what_was_done_to_it(demanding: Api) -> None:
    written(demanding, 4, 1.0)
    items = demanding.get("/api/v1/audit", admin(demanding, "shop")).json()["items"]
    assert [item["principal"] for item in items] == ["p2", "p0"]
    assert demanding.get("/api/v1/audit?tenant=bank", admin(demanding, "mine")).json()["items"] == []


def test_deeds_are_chosen_by_who_what_and_when(demanding: Api) -> None:
    boss = admin(demanding, "*")
    written(demanding, 4, 60.0)

    def names(query: str) -> list[str]:
        return [item["principal"] for item in demanding.get(f"/api/v1/audit?{query}", boss).json()["items"]]

    assert names("principal=p1") == ["p1"]
    assert names("tenant=bank") == ["p3", "p1"]
    assert names("action=train") == []
    assert names("since=2026-03-02T12:01:00Z&until=2026-03-02T12:03:00Z") == ["p2", "p1"]


def test_a_cursor_of_another_list_is_refused(demanding: Api) -> None:
    boss = admin(demanding, "*")
    for name in ("a", "b"):
        demanding.post("/api/v1/tokens", {"name": name, "scopes": ["read"], "tenants": ["*"]}, boss)
    cursor = demanding.get("/api/v1/tokens?limit=1", boss).json()["next"]
    assert demanding.get(f"/api/v1/audit?cursor={cursor}", boss).status_code == 400
