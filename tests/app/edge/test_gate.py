"""The gate on a real port: who logged in is known behind it, nobody else is, and every answer says what a browser may do."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx
import pytest
import websockets.exceptions
from starlette.types import Receive, Scope, Send
from websockets.sync.client import connect

from app.auth import ADDRESS, ANYONE, Doorkeeper, Principal, Tokens, Wanted, principal_of
from app.auth import Scope as Right
from app.auth.tokens import BUCKET
from app.edge.gate import Gate, GatePlan
from app.edge.login import Login
from app.edge.sessions import Sessions
from app.edge.throttle import Throttle
from app.edge_settings import LimitSettings
from app.listeners import Listeners
from app.settings import ServerSettings
from app.store.contract import Documents
from app.telemetry import Telemetry
from tests.nodes import until


@dataclass
class Echo:
    """An application that tells who it thinks is asking, and streams and talks for as long as it is listened to."""

    ended: threading.Event = field(default_factory=threading.Event)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self.talk(scope, receive, send)
        elif scope["type"] == "http" and scope["path"] == "/api/v1/stream":
            await self.stream(receive, send)
        elif scope["type"] == "http":
            body = b""
            while True:
                message = await receive()
                body += message.get("body", b"")
                if not message.get("more_body"):
                    break
            said = json.dumps(
                {"who": principal_of(scope).name, "path": scope["path"], "n": len(body), "from": scope.get(ADDRESS)}
            ).encode()
            headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(said))]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": said})

    async def stream(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        gone = asyncio.ensure_future(receive())
        while not gone.done():
            await send({"type": "http.response.body", "body": b"news\n", "more_body": True})
            await asyncio.wait((gone,), timeout=0.02)
        assert gone.result()["type"] == "http.disconnect"
        self.ended.set()

    async def talk(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": f"{principal_of(scope).name} said {message['text']}"})
        self.ended.set()


@dataclass
class Running:
    url: str
    echo: Echo
    tokens: Tokens
    token: str
    sessions: Sessions

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://")

    def client(self, **headers: str) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers=headers, timeout=30.0)

    @contextmanager
    def logged_in(self) -> Generator[httpx.Client]:
        with self.client() as client:
            assert client.post("/login", data={"token": self.token}).status_code == 200
            yield client


def begin(_: str, target: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    return thread


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def limits() -> LimitSettings:
    return LimitSettings()


@pytest.fixture
def running(documents: Documents, limits: LimitSettings) -> Generator[Running]:
    """Serve with tokens demanded."""
    tokens, doorkeeper = Tokens(documents, now), Doorkeeper(documents.watch(BUCKET), now)
    made = tokens.add(Wanted("reader", [Right.READ], ["shop"]), ANYONE)
    sessions = Sessions(documents, bytes(32), now, 12.0, doorkeeper.holder)
    throttle, echo = Throttle(limits, Telemetry()), Echo()
    login = Login(doorkeeper, sessions, throttle)
    gate = Gate(echo, doorkeeper, throttle, GatePlan(1000, 0.5, 86_400), sessions, login)
    with closing(Listeners(ServerSettings(), begin)) as listeners:
        port = listeners.serve("gate", gate, 0, sockets=True)
        yield Running(f"http://127.0.0.1:{port}", echo, tokens, made.text, sessions)


def who(answer: httpx.Response) -> str:
    return str(answer.json()["who"])


def test_a_token_becomes_a_session_whose_cookie_no_script_reads(running: Running) -> None:
    with running.client() as client:
        answer = client.post("/login", data={"token": running.token, "next": "/service/cart"})
        assert answer.status_code == 200
        assert "0;url=/service/cart" in answer.text
        cookies = answer.headers.get_list("set-cookie")
        session = next(cookie for cookie in cookies if cookie.startswith("foreshock-session="))
        assert session.endswith("; Max-Age=43200; Path=/; HttpOnly; SameSite=Strict")
        assert running.token not in session
        assert who(client.get("/service/cart")) == "reader"


def test_nobody_else_is_known_and_pages_send_them_to_the_login(running: Running) -> None:
    with running.client() as client:
        answer = client.get("/service/cart?range=1h")
        assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2Fservice%2Fcart%3Frange%3D1h")
        assert client.get("/").headers["location"] == "/login"
        assert who(client.get("/api/v1/incidents")) == "anyone"  # the guard behind says 401
        client.cookies.set("foreshock-session", "made.up")
        assert client.get("/").status_code == 303
        page = client.get("/login", params={"next": '/x?a="><script>alert(1)</script>'})
        assert "<script" not in page.text
        assert "script-src" not in page.headers["content-security-policy"]
        assert page.headers["content-security-policy"].startswith("default-src 'none'")
        assert client.head("/login").content == b""
        assert client.get("/login/elsewhere").status_code == 404
        assert client.get("/login/oidc").status_code == 404


def test_a_link_of_another_site_goes_on_from_here_so_that_the_cookie_comes_along(running: Running) -> None:
    with running.client(**{"sec-fetch-site": "cross-site"}) as client:
        answer = client.get("/incident/1?tenant=shop")
        assert answer.status_code == 200
        assert "0;url=/incident/1?tenant=shop" in answer.text
        assert "0;url=/'" in client.get(f"{running.url}//elsewhere.example/incident/1").text  # a browser would go there
        client.headers["sec-fetch-site"] = "same-origin"
        assert client.get("/incident/1").status_code == 303


def test_a_login_leads_nowhere_but_to_this_node(running: Running) -> None:
    for path in ("//elsewhere.example/", "https://elsewhere.example/", "/\\elsewhere.example", "javascript:alert(1)", "/\nx"):
        with running.client() as client:
            answer = client.post("/login", data={"token": running.token, "next": path})
            assert "content='0;url=/'" in answer.text


def test_who_logs_out_is_nobody_and_so_is_who_shows_the_cookie_later(running: Running) -> None:
    with running.logged_in() as client:
        kept = dict(client.cookies)
        own = {"origin": running.url}
        assert client.post("/logout").status_code == 403  # nothing says that a page of this node asked
        assert who(client.get("/")) == "reader"
        answer = client.post("/logout", headers=own)
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")
        assert client.get("/").status_code == 303
        assert httpx.get(running.url, cookies=kept).status_code == 303


def test_a_session_ends_with_its_token(running: Running) -> None:
    with running.logged_in() as client:
        assert who(client.get("/")) == "reader"
        running.tokens.revoke("reader", ANYONE)
        assert client.get("/").status_code == 303


def test_a_session_ends_with_the_secret_that_opened_it_whoever_has_the_name_later(running: Running) -> None:
    with running.logged_in() as client:
        running.tokens.rotate("reader", 3600.0, ANYONE)
        assert who(client.get("/")) == "reader"  # for as long as what was shown is taken
        running.tokens.rotate("reader", 0.0, ANYONE)
        assert client.get("/").status_code == 303
        running.tokens.revoke("reader", ANYONE)
        running.tokens.add(Wanted("reader", [Right.READ, Right.ADMIN], ["*"]), ANYONE)
        assert client.get("/").status_code == 303


def test_a_page_of_another_origin_changes_nothing(running: Running) -> None:
    elsewhere = {"origin": "http://elsewhere.example"}
    with running.logged_in() as client:
        assert client.post("/api/v1/models:rollback", headers=elsewhere).status_code == 403
        assert client.delete("/api/v1/silences/1", headers={"sec-fetch-site": "same-site"}).status_code == 403
        answer = client.post("/api/v1/models:rollback")
        assert answer.json()["type"] == "urn:foreshock:problem:forbidden"
        assert who(client.post("/api/v1/models:rollback", headers={"origin": running.url})) == "reader"
        assert who(client.post("/api/v1/models:rollback", headers={"sec-fetch-site": "same-origin"})) == "reader"
    bearer = {"authorization": f"Bearer {running.token}", **elsewhere}
    assert httpx.post(f"{running.url}/api/v1/models:rollback", headers=bearer).status_code == 200
    assert httpx.post(f"{running.url}/login", data={"token": running.token}, headers=elsewhere).status_code == 403


def test_a_session_is_not_asked_where_a_token_is_shown(running: Running) -> None:
    with running.logged_in() as client:
        assert who(client.get("/api/v1/incidents", headers={"authorization": "Bearer fsk_wrong"})) == "anyone"


def test_wrong_tokens_are_counted_by_address(running: Running) -> None:
    wrong = {"authorization": "Bearer fsk_0736fd5b7cc7_wrong"}
    with running.client() as client:
        pages = [client.post("/login", data={"token": "wrong"}).status_code for _ in range(6)]
        calls = [client.get("/api/v1/incidents", headers=wrong) for _ in range(6)]
        assert pages == [401] * 6
        assert [answer.status_code for answer in calls] == [200] * 4 + [429] * 2  # of the echo; the guard says 401
        assert 1 <= int(calls[-1].headers["retry-after"]) <= 6
        late = client.post("/login", data={"token": "wrong"})
        assert (late.status_code, late.headers["retry-after"]) == (429, calls[-1].headers["retry-after"])
        assert who(client.get("/api/v1/incidents", headers={"authorization": f"Bearer {running.token}"})) == "anyone"
        assert client.post("/login", data={"token": running.token}).status_code == 200


def test_a_token_without_the_scope_to_read_opens_no_page(running: Running) -> None:
    sender = running.tokens.add(Wanted("sender", [Right.INGEST], ["shop"]), ANYONE)
    with running.client() as client:
        answer = client.post("/login", data={"token": sender.text})
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers
        assert client.post("/login", data={"token": "x" * 5000}).status_code in {401, 413}


def test_every_answer_says_what_a_browser_may_do(running: Running) -> None:
    with running.logged_in() as client:
        for path in ("/", "/login", "/api/v1/incidents"):
            headers = client.get(path).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["x-frame-options"] == "DENY"
            assert headers["referrer-policy"] == "same-origin"
            assert "frame-ancestors 'none'" in headers["content-security-policy"]
            assert "strict-transport-security" not in headers  # without TLS it would mean nothing


def test_a_stream_ends_with_its_session(running: Running) -> None:
    with running.logged_in() as client, client.stream("GET", "/api/v1/stream") as answer:
        lines = answer.iter_lines()
        assert next(lines) == "news"
        running.tokens.revoke("reader", ANYONE)
        assert len(list(lines)) < 1000
    assert running.echo.ended.wait(30.0)


def test_a_stream_ends_with_the_token_that_it_was_asked_with(running: Running) -> None:
    with running.client(authorization=f"Bearer {running.token}") as client, client.stream("GET", "/api/v1/stream") as answer:
        lines = answer.iter_lines()
        assert next(lines) == "news"
        running.tokens.revoke("reader", ANYONE)
        assert len(list(lines)) < 1000
    assert running.echo.ended.wait(30.0)


def test_a_websocket_is_whose_session_opened_it_and_ends_with_that(running: Running) -> None:
    with running.logged_in() as client:
        cookie = f"foreshock-session={client.cookies['foreshock-session']}"
    with connect(f"ws://{running.host}/", additional_headers={"cookie": cookie}) as socket:
        socket.send("a")
        assert socket.recv() == "reader said a"
        running.tokens.revoke("reader", ANYONE)
        socket.send("b")
        with pytest.raises(websockets.exceptions.ConnectionClosedError) as closed:
            socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008
    assert running.echo.ended.wait(30.0)


def test_a_body_arrives_in_time_and_within_its_bound_or_not_at_all(running: Running) -> None:
    own = {"authorization": f"Bearer {running.token}"}
    with running.client(**own) as client:
        assert client.post("/api/v1/x", content=b"a" * 1000).json()["n"] == 1000
        large = client.post("/api/v1/x", content=b"a" * 1001)
        assert (large.status_code, large.headers["connection"]) == (413, "close")
        assert "must be <= 1000 bytes, got 1001" in large.json()["detail"]


class TestLimits:
    @pytest.fixture
    def limits(self) -> LimitSettings:
        return LimitSettings(address_requests_per_s=0.5, trusted_proxies=("127.0.0.1",))

    def test_one_who_asks_too_often_is_told_when_to_come_again(self, running: Running) -> None:
        with running.client(**{"x-forwarded-for": "203.0.113.9"}) as client:
            statuses = [client.get("/api/v1/incidents").status_code for _ in range(6)]
            refused = client.get("/api/v1/incidents")
        assert statuses == [200] * 5 + [429]
        assert int(refused.headers["retry-after"]) in {1, 2}
        assert refused.json()["type"] == "urn:foreshock:problem:too-often"
        with running.client(**{"x-forwarded-for": "198.51.100.7"}) as client:
            assert client.get("/api/v1/incidents").status_code == 200

    def test_behind_a_proxy_that_ends_tls_cookies_are_for_tls_alone(self, running: Running) -> None:
        said = {"x-forwarded-proto": "https", "x-forwarded-host": "foreshock.example.com", "x-forwarded-for": "203.0.113.9"}
        with running.client(**said) as client:
            answer = client.post("/login", data={"token": running.token}, headers={"origin": "https://foreshock.example.com"})
            cookie = next(one for one in answer.headers.get_list("set-cookie") if "session" in one)
            assert cookie.startswith("__Host-foreshock-session=")
            assert cookie.endswith("; SameSite=Strict; Secure")
            assert answer.headers["strict-transport-security"] == "max-age=86400"
            named = client.get("/api/v1/incidents", headers={"x-forwarded-for": "192.0.2.1, 2001:db8::4"})
            assert named.json()["from"] == "2001:db8::4"


def test_without_tokens_everybody_is_let_on_but_pages_of_others() -> None:
    telemetry, echo = Telemetry(), Echo()
    gate = Gate(echo, Doorkeeper(None, now), Throttle(LimitSettings(), telemetry), GatePlan())
    with closing(Listeners(ServerSettings(), begin)) as listeners:
        url = f"http://127.0.0.1:{listeners.serve('gate', gate, 0)}"
        assert (
            who(httpx.get(url)) == who(httpx.post(f"{url}/api/v1/x")) == Principal("anyone", ANYONE.scopes, ANYONE.tenants).name
        )
        elsewhere = {"origin": "http://elsewhere.example"}
        assert httpx.post(f"{url}/api/v1/models:rollback", headers=elsewhere).status_code == 403
        assert httpx.get(f"{url}/login").json()["path"] == "/login"


def test_a_page_whose_name_was_turned_to_this_machine_reads_and_changes_nothing() -> None:
    gate = Gate(
        Echo(),
        Doorkeeper(None, now),
        Throttle(LimitSettings(trusted_proxies=("10.0.0.1",)), Telemetry()),
        GatePlan(is_local=True),
    )
    with closing(Listeners(ServerSettings(), begin)) as listeners:
        port = listeners.serve("gate", gate, 0, sockets=True)
        url, rebound = f"http://127.0.0.1:{port}", f"elsewhere.example:{port}"
        asked = {"host": rebound, "origin": f"http://{rebound}"}
        refused = httpx.post(f"{url}/api/v1/models:rollback", headers=asked)
        assert (refused.status_code, "security.allow_open" in refused.json()["detail"]) == (403, True)
        with pytest.raises(websockets.exceptions.InvalidStatus), connect(f"ws://127.0.0.1:{port}/", additional_headers=asked):
            pass
        for own in (f"127.0.0.1:{port}", f"localhost:{port}"):
            answer = httpx.post(f"{url}/api/v1/models:rollback", headers={"host": own, "origin": f"http://{own}"})
            assert answer.status_code == 200
        for path in (
            "/",
            "/api/v1/predictions",
            "/metrics",
        ):  # of its own origin to a browser, so nothing else says where it comes from
            assert httpx.get(f"{url}{path}", headers={"host": rebound}).status_code == 403
        assert [httpx.get(f"{url}/{probe}", headers={"host": "foreshock"}).status_code for probe in ("livez", "readyz")] == [
            200,
            200,
        ]


def test_a_body_that_stops_arriving_is_given_up(running: Running) -> None:
    begun_s = time.monotonic()

    def slowly() -> Generator[bytes]:
        yield b"a"
        until(lambda: time.monotonic() - begun_s > 1.0, "the bound to pass")
        yield b"a"

    with running.client(authorization=f"Bearer {running.token}") as client, pytest.raises(httpx.HTTPError):
        client.post("/api/v1/x", content=slowly()).raise_for_status()
