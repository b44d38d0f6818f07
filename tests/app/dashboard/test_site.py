"""The pages lie beside REST on one port, which stays as it was, and say what a browser may do with them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from nicegui import Client
from playwright.sync_api import Page

from app.dashboard.site import policy
from tests.nodes import RunningNode, run_node

pytestmark = pytest.mark.system("chromium")


def test_rest_and_those_who_look_after_the_node_find_what_they_found_before(shop: RunningNode) -> None:
    assert shop.get("/api/v1/predictions")["items"]
    unknown = shop.client.get(f"{shop.served.api}/api/v1/nothing")
    assert (unknown.status_code, unknown.headers["content-type"]) == (404, "application/problem+json")
    assert shop.client.post(f"{shop.served.api}/api/v1/incidents").status_code == 405
    assert shop.get("/livez") == {"status": "ok"}
    assert "foreshock_requests" in shop.client.get(f"{shop.served.api}/metrics").text


def test_every_script_of_a_page_has_its_nonce_and_files_may_do_nothing(shop: RunningNode) -> None:
    answers = [shop.client.get(f"{shop.served.api}/") for _ in range(2)]
    nonces = [re.findall(r"'nonce-([^']+)'", answer.headers["content-security-policy"])[0] for answer in answers]
    assert nonces[0] != nonces[1]
    assert answers[0].headers["content-security-policy"] == policy(nonces[0])
    scripts = re.findall(r"<script\b[^>]*", answers[0].text)
    assert scripts
    assert all(f'nonce="{nonces[0]}"' in script for script in scripts)
    files = re.findall(r'src="(/[^"]+)"', answers[0].text)
    assert any("dashboard.js" in file for file in files)
    for file in files:
        answer = shop.client.get(f"{shop.served.api}{file}")
        assert answer.status_code == 200
        assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'; sandbox"
        assert "max-age" in answer.headers["cache-control"]


def test_a_page_of_another_origin_cannot_open_the_socket(shop: RunningNode) -> None:
    socket = f"{shop.served.api}/_nicegui_ws/socket.io/?EIO=4&transport=polling"
    assert httpx.get(socket, headers={"Origin": "http://elsewhere.example"}).status_code == 400
    assert httpx.get(socket, headers={"Origin": shop.served.api}).status_code == 200


def test_the_socket_is_a_websocket_and_what_is_smuggled_into_a_page_does_not_run(page: Page) -> None:
    sockets: list[str] = []
    page.on("websocket", lambda socket: sockets.append(socket.url))
    page.goto("/service/%3Cscript%3Ewindow.ran%3D1%3C%2Fscript%3E?q=%3Cscript%3Ewindow.ran%3D1%3C%2Fscript%3E")
    page.get_by_text("No prediction of this service").wait_for()
    assert page.evaluate("window.ran") is None
    assert page.locator("h1").inner_text() == "<script>window.ran=1</script>"
    page.wait_for_function("window.socket && window.socket.connected")
    assert sockets
    assert sockets[0].startswith("ws://127.0.0.1")


def test_every_page_may_take_as_long_as_history_takes_on_a_busy_node(shop: RunningNode) -> None:
    for path in ("/?patient=1", "/service/payment?patient=1", "/incident/i1?patient=1"):
        assert shop.client.get(f"{shop.served.api}{path}").status_code == 200
    pages = [one.page for one in Client.instances.values() if "patient=1" in str(one.request.url)]
    assert {page.path for page in pages} == {"/", "/service/{name:path}", "/incident/{name:path}"}
    assert min(page.response_timeout for page in pages) >= 10.0


def test_a_second_node_of_a_process_answers_over_rest_alone(shop: RunningNode, tmp_path: Path) -> None:
    assert shop.client.get(f"{shop.served.api}/").status_code == 200
    with run_node(tmp_path, dashboard__enabled=True) as second:
        assert second.client.get(f"{second.served.api}/").status_code == 404
        assert second.get("/livez") == {"status": "ok"}


def test_a_process_that_does_without_the_dashboard_does_not_load_nicegui() -> None:
    code = "import sys, app.main, app.cli; sys.exit(any(name.split('.')[0] in {'nicegui', 'socketio'} for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 0
