"""The authorisation matrix, driven over the real application: every route, every scope, every kind of tenant."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from starlette.routing import compile_path

from app.api.application import create_probes, routes_of
from app.api.guard import Access, Guard, PageGuard
from app.auth import ANYONE, EVERY_TENANT, PLACE, AuditLog, Deed, Doorkeeper, Principal, Scope, Tokens, Wanted
from app.auth.audit import BUCKET as AUDIT
from app.auth.needs import NEEDS, Need
from app.auth.tokens import BUCKET
from app.security_settings import SecuritySettings
from app.telemetry import Telemetry
from features.errors import StoreFailed
from tests.api_builders import Api, Clock
from tests.app.api.test_application import EXERCISED, stocked
from tests.contracts.stores import FAMILIES
from tests.ensembles import add_version

OPENAPI = ("GET", "/api/v1/openapi.json")
TENANT = "X-Scope-OrgID"


class Keys:
    """Makes tokens."""

    def __init__(self, api: Api) -> None:
        self._tokens = Tokens(api.documents, api.clock)
        self._numbers = count(1)

    def of(self, scopes: list[Scope], *tenants: str) -> dict[str, str]:
        made = self._tokens.add(Wanted(f"token-{next(self._numbers)}", scopes, tenants), ANYONE)
        return {"Authorization": f"Bearer {made.text}"}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    store = FAMILIES["sqlite"](tmp_path_factory.mktemp("guarded"), clock := Clock())
    door = Doorkeeper(store.documents.watch(BUCKET), clock)
    api = stocked(Api(store.documents, clock, blobs=store.blobs, doorkeeper=door))
    yield api
    store.close()


@pytest.fixture(scope="module")
def keys(guarded: Api) -> Keys:
    return Keys(guarded)


def exercised(api: Api) -> dict[tuple[str, str], tuple[str, object]]:
    """Return by method and path, as the application writes them, what asks for the route."""
    first, second = (add_version(api.registry(), hour) for hour in (1, 2))
    plain = {(method, compile_path(path)[1]): (method, path) for method, path in NEEDS}
    assert len(plain) == len(NEEDS)
    found: dict[tuple[str, str], tuple[str, object]] = {OPENAPI: (OPENAPI[1], None)}
    for (method, path), (url, body, _) in EXERCISED.items():
        named = plain[method.upper(), compile_path(path)[1]]
        found[named] = (url.partition("?verbose")[0].replace("FIRST", first).replace("SECOND", second), body)
    return found


def test_every_route_of_the_application_has_an_entry_and_every_entry_a_route(guarded: Api) -> None:
    assert set(routes_of(guarded.app)) == set(NEEDS)
    assert [key for key, need in NEEDS.items() if key[0] not in ("GET", "HEAD") and not need.action] == [
        ("POST", "/api/v1/errors:classify")  # which changes nothing
    ]


def expected(need: Need, scope: Scope | None, bound_to: str | None, named: str | None) -> int | None:
    """Return the status of a refusal, None where the route is to answer."""
    if need.scope is None:
        return None
    if scope is None:
        return 401
    outside = need.tenant and bound_to is not None and named not in (None, bound_to)
    return 403 if scope != need.scope or outside or (need.every_tenant and bound_to is not None) else None


def test_the_authorisation_matrix(guarded: Api, keys: Keys) -> None:
    tokens: dict[tuple[Scope | None, str | None], dict[str, str]] = {(None, None): {}}
    for scope in Scope:
        tokens[scope, "default"] = keys.of([scope], "default")
        tokens[scope, None] = keys.of([scope], EVERY_TENANT)
    asked = exercised(guarded)
    assert set(asked) == set(NEEDS)
    n_asked = 0
    for (method, path), (url, body) in asked.items():
        need = NEEDS[method, path]
        for (scope, bound_to), header in tokens.items():
            for named in (None, "default", "other"):
                status = expected(need, scope, bound_to, named)
                answered = guarded.ask(method, url, json=body, headers=header | ({} if named is None else {TENANT: named}))
                n_asked += 1
                told = (method, path, scope, bound_to, named, answered.status_code, answered.text[:200])
                if status is None:
                    assert answered.status_code not in (401, 403), told
                    continue
                assert answered.status_code == answered.json()["status"] == status, told
                assert answered.headers["content-type"] == "application/problem+json", told
                if status == 401:
                    assert "Bearer" in answered.headers["www-authenticate"], told
                elif scope != need.scope:
                    assert repr(str(need.scope)) in answered.json()["detail"], told
    assert n_asked == len(NEEDS) * 11 * 3


def test_a_route_without_an_entry_is_refused_to_everybody(guarded: Api, keys: Keys) -> None:
    everything = keys.of(list(Scope), EVERY_TENANT)
    assert guarded.get("/api/v1/secrets", everything).status_code == 404
    guard = Guard(guarded.app, guarded.app.state.access, [("GET", "/api/v1/forgotten")])
    api = replace(guarded)
    api.app = guard  # pyright: ignore[reportAttributeAccessIssue] - asked as an application alone
    assert api.get("/api/v1/forgotten", everything).status_code == 405


def test_who_is_nobody_learns_nothing_of_what_there_is(guarded: Api) -> None:
    for url in ("/api/v1/secrets", "/api/v1/predictions/payment", "/api/v1/predictions/nothing", "/nothing", "/"):
        assert guarded.get(url).status_code == 401


def test_the_method_decides_too(guarded: Api, keys: Keys) -> None:
    reader = keys.of([Scope.READ], "default")
    answered = guarded.ask("PUT", "/api/v1/feedback", json={}, headers=reader)
    assert (answered.status_code, answered.headers["allow"]) == (405, "GET, POST")
    answered = guarded.ask("PATCH", "/api/v1/alerts/a1:acknowledge", headers=reader)
    assert (answered.status_code, answered.headers["allow"]) == (405, "POST"), "an alert may not be called a1:acknowledge"
    assert guarded.ask("HEAD", "/api/v1/tokens", headers=reader).status_code == 403


@pytest.mark.parametrize(
    "url", ["/api/v1/predictions/x/../../tokens", "//api/v1/tokens", "/api/v1/tokens/", "/api/v1/%74okens"]
)
def test_no_spelling_of_a_path_leads_around_its_entry(guarded: Api, keys: Keys, url: str) -> None:
    answered = guarded.get(url, keys.of([Scope.READ], "default"))
    assert answered.status_code in (403, 404, 405)
    assert "token-" not in answered.text or answered.status_code in (403, 405)


def test_one_tenant_is_implied_and_nothing_inside_knows(guarded: Api, keys: Keys) -> None:
    one, both = keys.of([Scope.READ], "shop"), keys.of([Scope.READ], "shop", "bank")
    assert "of tenant 'shop'" in guarded.get("/api/v1/trends/nothing", one).json()["detail"]
    assert "of tenant 'bank'" in guarded.get("/api/v1/trends/nothing", both | {TENANT: "bank"}).json()["detail"]
    refused = guarded.get("/api/v1/trends/nothing", both)
    assert refused.status_code == 403
    assert "X-Scope-OrgID is missing" in refused.json()["detail"]


def test_a_header_that_comes_twice_chooses_nobody(guarded: Api, keys: Keys) -> None:
    async def ask(*headers: tuple[bytes, bytes]) -> int:
        said: list[int] = []

        async def send(message: dict[str, int]) -> None:
            said.append(message.get("status", 0))

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": b"", "more_body": False}

        path = "/api/v1/predictions/payment"
        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": headers,
        }
        scope |= {"root_path": "", "scheme": "http", "server": ("x", 1), "client": ("192.0.2.1", 1), "http_version": "1.1"}
        await guarded.app(scope, receive, send)  # pyright: ignore[reportArgumentType]
        return said[0]

    shown = keys.of([Scope.READ], "shop")["Authorization"].encode()
    own, other = (b"x-scope-orgid", b"shop"), (b"x-scope-orgid", b"default")
    for pair in ((own, other), (other, own)):
        assert asyncio.run(ask((b"authorization", shown), *pair)) == 400
    assert asyncio.run(ask((b"authorization", shown), (b"authorization", shown))) == 401
    assert asyncio.run(ask((b"authorization", shown), own)) == 404


def test_basic_with_the_token_as_password_is_the_same(guarded: Api, keys: Keys) -> None:
    token = keys.of([Scope.READ], "default")["Authorization"].removeprefix("Bearer ")
    basic = b64encode(f"grafana:{token}".encode()).decode()
    assert guarded.get("/api/v1/services", {"Authorization": f"Basic {basic}"}).status_code == 200


def test_what_checks_say_is_for_readers_of_all_and_whether_it_is_ready_for_all(guarded: Api, keys: Keys) -> None:
    assert guarded.get("/readyz").status_code == 200
    assert guarded.get("/readyz?verbose").status_code == 401
    for spelling in ("/readyz?%76erbose", "/readyz?a=b&verbos%65=1", "/readyz%0A?verbose"):
        assert guarded.get(spelling).status_code == 401
    assert guarded.get("/readyz?verbose", keys.of([Scope.READ], "default")).status_code == 403
    assert "checks" in guarded.get("/readyz?verbose", keys.of([Scope.READ], EVERY_TENANT)).json()


def test_a_setting_opens_the_metrics_alone(guarded: Api) -> None:
    open_metrics = replace(guarded, security=SecuritySettings(open_metrics=True))
    assert open_metrics.get("/metrics").status_code == 200
    assert open_metrics.get("/api/v1/services").status_code == 401


def test_refusals_are_counted(guarded: Api, keys: Keys) -> None:
    def counted(reason: str) -> float:
        return guarded.telemetry.registry.get_sample_value("foreshock_access_refused_total", {"reason": reason}) or 0.0

    before = counted("unauthenticated"), counted("forbidden")
    guarded.get("/api/v1/services")
    guarded.get("/api/v1/tokens", keys.of([Scope.READ], "default"))
    assert (counted("unauthenticated"), counted("forbidden")) == (before[0] + 1, before[1] + 1)


def test_a_node_without_rest_keeps_its_metrics_for_those_who_may(guarded: Api, keys: Keys) -> None:
    access = Access(guarded.doorkeeper, None, "", Telemetry())
    probes = replace(guarded)
    probes.app = create_probes(access, {}, "ingest")
    assert probes.get("/livez").status_code == 200
    assert probes.get("/metrics").status_code == 401
    assert probes.get("/metrics", keys.of([Scope.READ], EVERY_TENANT)).status_code == 200


def test_every_change_is_in_the_audit_log_with_who_and_what(guarded: Api, keys: Keys) -> None:
    giver = keys.of([Scope.FEEDBACK], "default")
    guarded.clock.move(1)
    made = guarded.ask("POST", "/api/v1/feedback", json={"verdict": "confirmed", "prediction_id": "p1"}, headers=giver)
    name = made.json()["id"]
    deed = next(iter(AuditLog(guarded.documents, guarded.clock, 1e6).deeds()))
    assert (deed.action, deed.tenant, deed.outcome, deed.object) == (
        "feedback.give",
        "default",
        "201",
        f"/api/v1/feedback/{name}",
    )
    assert deed.principal.startswith("token-")
    assert deed.address == "127.0.0.1"
    guarded.clock.move(1)
    guarded.ask("POST", "/api/v1/feedback", json={"verdict": "no such"}, headers=giver)
    assert next(iter(AuditLog(guarded.documents, guarded.clock, 1e6).deeds())).outcome == "422"


class _NoLog(AuditLog):
    def begin(self, deed: Deed) -> Deed:
        raise StoreFailed("the disk is full")


def test_what_cannot_be_written_down_is_not_done(guarded: Api, keys: Keys, tmp_path: Path) -> None:
    access = guarded.app.state.access
    guard = Guard(guarded.app, replace(access, audit=_NoLog(guarded.documents, guarded.clock, 60.0)), routes_of(guarded.app))
    api = replace(guarded)
    api.app = guard  # pyright: ignore[reportAttributeAccessIssue]
    before = len(guarded.documents.items("feedback"))
    answered = api.ask("POST", "/api/v1/feedback", json={"verdict": "confirmed"}, headers=keys.of([Scope.FEEDBACK], "default"))
    assert answered.status_code == 503
    assert "the disk is full" in answered.json()["detail"]
    assert len(guarded.documents.items("feedback")) == before


def test_reads_leave_nothing_in_the_audit_log(guarded: Api, keys: Keys) -> None:
    reader = keys.of([Scope.READ], "default")
    before = len(guarded.documents.items(AUDIT))
    guarded.get("/api/v1/predictions/payment", reader)
    guarded.post("/api/v1/errors:classify", {"message": "x"}, reader)
    assert len(guarded.documents.items(AUDIT)) == before


async def _page(access: Access, path: str, query: bytes, principal: Principal, kind: str = "http") -> tuple[int, bytes]:
    """Return the status of a page, and the query that it got."""
    seen: list[bytes] = []
    said: list[dict[str, object]] = []

    async def page(scope: dict[str, bytes], receive: object, send: object) -> None:
        seen.append(scope["query_string"])

    async def send(message: dict[str, object]) -> None:
        said.append(message)

    scope = {"type": kind, "path": path, "query_string": query, "headers": [], PLACE: principal}
    await PageGuard(page, access)(scope, None, send)  # pyright: ignore[reportArgumentType]
    if seen:
        return 200, seen[0]
    return int(said[0].get("status") or said[0]["code"]), b""  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("tenants", "query", "answered"),
    [
        (("*",), b"tenant=bank", (200, b"tenant=bank")),
        (("shop",), b"", (200, b"tenant=shop")),
        (("shop",), b"range=7d", (200, b"range=7d&tenant=shop")),
        (("shop",), b"tenant=shop", (200, b"tenant=shop")),
        (("shop",), b"tenant=bank", (403, b"")),
        (("shop",), b"tenant=shop&tenant=bank", (403, b"")),
        (("shop",), b"tenant=", (403, b"")),
        (("shop",), b"tenant=..", (403, b"")),
        (("shop", "bank"), b"", (200, b"tenant=bank")),
        (("shop", "default"), b"", (200, b"tenant=default")),
    ],
)
def test_a_page_is_of_a_tenant_that_its_reader_reaches(
    guarded: Api, tenants: tuple[str, ...], query: bytes, answered: tuple[int, bytes]
) -> None:
    reader = Principal("ann", frozenset({Scope.READ}), frozenset(tenants))
    assert asyncio.run(_page(guarded.app.state.access, "/incidents", query, reader)) == answered


def test_a_page_and_its_socket_are_for_readers(guarded: Api) -> None:
    sender = Principal("collector", frozenset({Scope.INGEST}), frozenset({"shop"}))
    assert asyncio.run(_page(guarded.app.state.access, "/", b"", sender)) == (403, b"")
    socket = _page(guarded.app.state.access, "/_nicegui_ws/socket.io/", b"", sender, "websocket")
    assert asyncio.run(socket) == (1008, b"")
