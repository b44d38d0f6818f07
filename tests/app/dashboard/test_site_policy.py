"""The policy of pages in a real browser: pages work under it, nothing smuggled in runs, and no word of it could be left out."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, Route

from tests.app.ingest.requests import a_log, as_json, logs
from tests.nodes import RunningNode

pytestmark = pytest.mark.system("chromium")

WATCHED = """
window.refused = []
document.addEventListener("securitypolicyviolation", e => window.refused.push(e.effectiveDirective))
"""

WITHOUT: dict[str, tuple[Callable[[str], str], str]] = {
    "evaluated templates": (lambda policy: policy.replace(" 'unsafe-eval'", ""), "script-src"),
    "styles as attributes": (lambda policy: policy.replace("style-src-attr 'unsafe-inline'", "style-src-attr 'none'"), "style-src-attr"),
    "style elements with the nonce": (lambda policy: policy.replace("style-src-elem 'self'", "style-src-elem 'self' 'nonce-x'; x"), "style-src-elem"),
    "scripts of this origin": (lambda policy: policy.replace("script-src 'self'", "script-src"), "script-src-elem"),
    "scripts that the nonce leads to": (lambda policy: policy.replace("'strict-dynamic' 'nonce-", "'nonce-x"), "script-src-elem"),
    "the icon": (lambda policy: policy.replace("img-src data:", "img-src 'self'"), "img-src"),
    "fonts": (lambda policy: policy.replace("font-src 'self'", "font-src 'none'"), "font-src"),
    "the socket": (lambda policy: policy.replace("connect-src 'self'", "connect-src 'none'"), "connect-src"),
    "no trusted types": (lambda policy: f"{policy}; require-trusted-types-for 'script'", "require-trusted-types-for"),
}  # fmt: skip
"""Each word of the policy taken out, and what the browser then refuses."""


@pytest.mark.parametrize("name", WITHOUT)
def test_a_page_needs_every_word_of_its_policy(browser: Browser, shop: RunningNode, name: str) -> None:
    change, refused = WITHOUT[name]
    context = browser.new_context(base_url=shop.served.api)
    page = context.new_page()
    page.add_init_script(WATCHED)

    def altered(route: Route) -> None:
        answer = route.fetch()
        policy = answer.headers["content-security-policy"]
        assert change(policy) != policy
        route.fulfill(response=answer, headers={**answer.headers, "content-security-policy": change(policy)})

    page.route(f"{shop.served.api}/models", altered)
    page.goto("/models")
    seen: list[str] = []
    for _ in range(100):
        seen = page.evaluate("window.refused")
        if refused in seen:
            break
        page.wait_for_timeout(50)
    page.unroute_all(behavior="ignoreErrors")
    context.close()
    assert refused in seen


PATHS = ("/", "/service/payment", "/incidents", "/errors", "/alerts", "/models", "/backtests", "/system")


@pytest.mark.parametrize("path", PATHS)
def test_a_page_works_without_anything_being_refused(page: Page, path: str) -> None:
    page.add_init_script(WATCHED)
    page.goto(path)
    page.wait_for_function("window.socket && window.socket.connected")
    page.locator("#content h1, #content h2").first.wait_for()
    assert page.evaluate("window.refused") == []


SMUGGLED = "<img src=x onerror=window.ran=1><script>window.ran=1</script><a href='javascript:window.ran=1'>x</a>"


def test_no_script_of_telemetry_runs_wherever_it_is_shown(page: Page, shop: RunningNode) -> None:
    said = {"exception.type": SMUGGLED, "exception.message": SMUGGLED}
    body = as_json(
        logs(a_log(timeUnixNano=str(shop.now_ns), body={"stringValue": SMUGGLED}, attributes=said), service=SMUGGLED)
    )
    assert (
        shop.post("logs", body, X_Scope_OrgID="smuggler").status_code == 200
    )  # the worker keeps it, for all tests of the shop
    shop.tick(2)
    page.add_init_script(WATCHED)
    page.goto("/?tenant=smuggler")
    page.locator("#content").get_by_text("<script>window.ran=1</script>").first.wait_for()
    for path in ("/errors?tenant=smuggler", "/system"):
        page.goto(path)
        page.wait_for_function("window.socket && window.socket.connected")
    assert page.evaluate("window.ran") is None
    assert page.evaluate("window.refused") == []  # it was text, so there was nothing to refuse


def test_what_gets_into_a_page_all_the_same_does_not_run(browser: Browser, shop: RunningNode) -> None:
    """As if an escape had been forgotten somewhere: the browser refuses what the page has let in."""
    context = browser.new_context(base_url=shop.served.api)
    page = context.new_page()
    page.add_init_script(WATCHED)
    page.goto("/")
    page.wait_for_function("window.socket && window.socket.connected")
    smuggled = "<img src=x onerror=window.ran=1><svg onload=window.ran=1></svg><iframe srcdoc='<script>parent.ran=1</script>'></iframe>"
    page.evaluate("html => document.querySelector('#content').insertAdjacentHTML('beforeend', html)", smuggled)
    page.wait_for_function("window.refused.length > 1")
    page.evaluate(
        "() => { const s = document.createElement('script'); s.textContent = 'window.ran=1'; document.body.append(s) }"
    )
    page.wait_for_function("window.refused.includes('script-src-elem')")
    assert page.evaluate("window.ran") is None
    context.close()
