"""Tokens over REST: told once, listed without what shows them, and of use from the next request on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.auth import ANYONE, Doorkeeper, Scope, Tokens, Wanted
from app.auth.tokens import BUCKET
from tests.api_builders import Api

WANTED = {"name": "grafana", "scopes": ["read"], "tenants": ["shop"]}


@pytest.fixture
def demanding(api: Api) -> Api:
    return replace(api, doorkeeper=Doorkeeper(api.documents.watch(BUCKET), api.clock))


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def admin(api: Api, name: str, *tenants: str) -> dict[str, str]:
    return bearer(Tokens(api.documents, api.clock).add(Wanted(name, [Scope.ADMIN], tenants), ANYONE).text)


def test_a_token_is_told_once_and_works_at_once(demanding: Api) -> None:
    boss = admin(demanding, "boss", "*")
    made = demanding.post("/api/v1/tokens", WANTED, boss)
    assert made.status_code == 201
    assert made.headers["location"] == "/api/v1/tokens/grafana"
    assert made.headers["cache-control"] == "no-store"
    told = made.json()
    assert (told["created_by"], told["valid"], told["expires_at"]) == ("boss", True, None)
    assert demanding.get("/api/v1/services", bearer(told["token"])).status_code == 200
    listed = demanding.get("/api/v1/tokens", boss).text
    assert told["token"] not in listed
    assert "sha256" not in listed


def test_a_revoked_token_is_refused_and_still_listed(demanding: Api) -> None:
    boss = admin(demanding, "boss", "*")
    text = demanding.post("/api/v1/tokens", WANTED, boss).json()["token"]
    ended = demanding.ask("DELETE", "/api/v1/tokens/grafana", headers=boss)
    assert (ended.status_code, ended.json()["valid"]) == (200, False)
    assert demanding.get("/api/v1/services", bearer(text)).status_code == 401
    assert [item["name"] for item in demanding.get("/api/v1/tokens", boss).json()["items"]] == ["boss", "grafana"]
    again = demanding.ask("DELETE", "/api/v1/tokens/grafana", headers=boss)
    assert (again.status_code, again.json()["title"]) == (404, "There is no such resource")


def test_a_rotated_token_has_two_secrets_until_the_overlap_ends(demanding: Api) -> None:
    boss = admin(demanding, "boss", "*")
    first = demanding.post("/api/v1/tokens", WANTED, boss).json()["token"]
    rotated = demanding.post("/api/v1/tokens/grafana:rotate", {"overlap_s": 60}, boss)
    second = rotated.json()["token"]
    assert [demanding.get("/api/v1/services", bearer(text)).status_code for text in (first, second)] == [200, 200]
    demanding.clock.move(60)
    assert [demanding.get("/api/v1/services", bearer(text)).status_code for text in (first, second)] == [401, 200]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"scopes": ["everything"]}, 422),
        ({"scopes": []}, 422),
        ({"tenants": []}, 422),
        ({"tenants": ["a/b"]}, 422),
        ({"name": ""}, 422),
        ({"name": "a\x07"}, 422),
        ({"expires_at": "2020-01-01T00:00:00Z"}, 422),
        ({"more": 1}, 422),
        ({"name": "boss"}, 409),
    ],
)
def test_what_no_token_can_be_is_a_problem(demanding: Api, change: dict[str, object], status: int) -> None:
    boss = admin(demanding, "boss", "*")
    assert demanding.post("/api/v1/tokens", WANTED | change, boss).status_code == status


def test_an_administrator_of_one_tenant_stays_in_it(demanding: Api) -> None:
    boss, own = admin(demanding, "boss", "*"), admin(demanding, "shop-boss", "shop")
    demanding.post("/api/v1/tokens", WANTED | {"name": "of-bank", "tenants": ["bank"]}, boss)
    assert demanding.post("/api/v1/tokens", WANTED | {"tenants": ["*"]}, own).status_code == 403
    assert demanding.post("/api/v1/tokens", WANTED | {"tenants": ["shop", "bank"]}, own).status_code == 403
    assert demanding.ask("DELETE", "/api/v1/tokens/of-bank", headers=own).status_code == 404
    assert demanding.post("/api/v1/tokens", WANTED, own).status_code == 201
    assert [item["name"] for item in demanding.get("/api/v1/tokens", own).json()["items"]] == ["grafana", "shop-boss"]


def test_tokens_are_paged_by_name(demanding: Api) -> None:
    boss = admin(demanding, "boss", "*")
    for name in ("c", "a", "b"):
        demanding.post("/api/v1/tokens", WANTED | {"name": name}, boss)
    first = demanding.get("/api/v1/tokens?limit=3", boss).json()
    rest = demanding.get(f"/api/v1/tokens?limit=3&cursor={first['next']}", boss).json()
    assert [item["name"] for item in first["items"] + rest["items"]] == ["a", "b", "boss", "c"]
    assert rest["next"] is None
