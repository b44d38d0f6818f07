"""People log in over TLS in a real browser, see what they may see, and are gone when they log out; nobody else gets a page or a socket."""

from __future__ import annotations

import json
import ssl
from collections.abc import Generator

import httpx
import pytest
import websockets.exceptions
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page
from websockets.sync.client import connect

from app.demo.ports import free_ports
from tests.providers import CLIENT, SECRET, SmallProvider, small_provider
from tests.secured import Secured, secured

pytestmark = pytest.mark.system("chromium")


@pytest.fixture(scope="module")
def provider() -> Generator[SmallProvider]:
    with small_provider() as found:
        yield found


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, provider: SmallProvider) -> Generator[Secured]:
    (port,) = free_ports(1)
    oidc = {
        "issuer": provider.url,
        "client_id": CLIENT,
        "client_secret": SECRET,
        "url": f"https://127.0.0.1:{port}",
        "grants": {"ops": {"scopes": ["read"], "tenants": ["default"]}},
    }
    with secured(tmp_path_factory.mktemp("secured"), server__api_port=port, security__oidc=oidc) as found:
        yield found


@pytest.fixture
def context(browser: Browser, node: Secured) -> Generator[BrowserContext]:
    found = browser.new_context(base_url=node.api, ignore_https_errors=True, viewport={"width": 1360, "height": 850})
    yield found
    found.close()


@pytest.fixture
def page(context: BrowserContext) -> Generator[Page]:
    page, wrong = context.new_page(), list[str]()

    def said(message: ConsoleMessage) -> None:
        if message.type == "error" and "status of 40" not in message.text:  # a refused login is one, too
            wrong.append(message.text)

    page.on("console", said)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.set_default_timeout(30_000)
    yield page
    assert wrong == [], "something went wrong in the browser, or its policy refused something"


def log_in(page: Page, token: str) -> None:
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Log in").click()


def test_a_reader_logs_in_sees_pages_without_buttons_and_logs_out(page: Page, context: BrowserContext, node: Secured) -> None:
    page.goto("/models?range=24h")
    assert page.url == f"{node.api}/login?next=%2Fmodels%3Frange%3D24h"
    log_in(page, "fsk_wrong")
    page.get_by_role("alert").get_by_text("not valid").wait_for()
    log_in(page, node.tokens["reader"])
    page.wait_for_url(f"{node.api}/models?range=24h")
    page.wait_for_function("window.socket && window.socket.connected")
    page.get_by_role("button", name="Log out reader").wait_for()
    assert page.locator("[data-act]").count() == 0
    (cookie,) = (one for one in context.cookies() if "session" in one.get("name", ""))
    assert (cookie.get("name"), cookie.get("httpOnly"), cookie.get("secure"), cookie.get("sameSite")) == (
        "__Host-foreshock-session",
        True,
        True,
        "Strict",
    )
    assert page.evaluate("document.cookie") == ""
    refused = page.evaluate("fetch('/api/v1/models:rollback', {method: 'POST'}).then(answer => answer.status)")
    assert refused == 403
    page.get_by_role("button", name="Log out reader").click()
    page.wait_for_url(f"{node.api}/login")
    page.goto("/models")
    assert page.url.startswith(f"{node.api}/login")


def test_one_who_may_train_sees_the_buttons(page: Page, node: Secured) -> None:
    page.goto("/backtests")
    log_in(page, node.tokens["trainer"])
    page.locator("[data-act=start]").wait_for()


def test_a_login_by_openid_connect_leads_to_the_page_that_was_wanted(page: Page, node: Secured) -> None:
    page.goto("/incidents")
    page.get_by_role("link", name="Log in with OpenID Connect").click()
    page.wait_for_url(f"{node.api}/incidents")
    page.get_by_role("button", name="Log out oidc:anna@example.com").wait_for()


def test_nobody_without_a_login_gets_a_page_a_socket_or_a_file_of_the_store(node: Secured) -> None:
    with httpx.Client(base_url=node.api, verify=False) as client:
        assert [client.get(path).status_code for path in ("/", "/models", "/service/cart")] == [303] * 3
        assert client.get("/api/v1/incidents").status_code == 401
        assert client.get("/metrics").status_code == 401
        assert client.get("/_nicegui_ws/socket.io/?EIO=4&transport=polling").status_code == 401
        assert client.get("/livez").status_code == 200
        assert client.get("/livez").headers["strict-transport-security"] == "max-age=2592000"
        for path in (
            "/dashboard-files/..%2f..%2fsite.py",
            "/dashboard-files/%2e%2e/site.py",
            "/_nicegui/..%2f..%2fetc%2fpasswd",
        ):
            answer = client.get(path, headers={"authorization": f"Bearer {node.tokens['reader']}"})
            assert answer.status_code in {400, 404}
            assert "from __future__" not in answer.text
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE  # the authority is gone with the other process
    socket = node.api.replace("https:", "wss:") + "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
    for headers in ({}, {"authorization": f"Bearer {node.tokens['sender']}"}, {"cookie": "__Host-foreshock-session=x.y"}):
        with pytest.raises(websockets.exceptions.InvalidStatus, match="403"):
            connect(socket, ssl=trusting, additional_headers=headers)
    with connect(socket, ssl=trusting, additional_headers={"authorization": f"Bearer {node.tokens['reader']}"}) as opened:
        assert json.loads(str(opened.recv())[1:])["sid"]
