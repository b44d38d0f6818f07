"""The address says what is looked at, also after the tenant or the range was changed, by mouse or by keyboard."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.nodes import RunningNode

pytestmark = pytest.mark.system("chromium")

LIVE = "window.socket && window.socket.connected && window.did_handshake"


def asked(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def test_another_range_keeps_words_that_were_typed_and_all_else_that_the_address_says(page: Page) -> None:
    page.goto("/alerts?alert=a2&explain=catalog")
    page.wait_for_function(LIVE)
    page.get_by_label("Search").fill("checkout")
    page.wait_for_function("new URL(location).searchParams.get('q') === 'checkout'")
    page.get_by_label("Range").select_option("24h")
    page.wait_for_url("**range=24h**")
    assert asked(page) == {"alert": ["a2"], "explain": ["catalog"], "q": ["checkout"], "range": ["24h"]}
    page.goto("/?sort=service")
    page.wait_for_function(LIVE)
    page.get_by_label("Range").select_option("1h")
    page.wait_for_url("**range=1h**")
    assert asked(page) == {"sort": ["service"], "range": ["1h"]}


def test_arrows_go_through_ranges_and_enter_takes_one(page: Page) -> None:
    page.goto("/incidents")
    page.wait_for_function(LIVE)
    page.get_by_label("Range").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.querySelector('select[name=range]').value") == "7d"
    assert "range" not in page.url
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**range=7d**")


def test_times_of_charts_are_utc_like_all_others_wherever_the_browser_is(browser: Browser, shop: RunningNode) -> None:
    context = browser.new_context(base_url=shop.served.api, timezone_id="Asia/Kolkata")
    page = context.new_page()
    for path in ("/service/payment", "/incident/i1"):
        page.goto(path)
        page.locator("canvas").first.wait_for()
        assert page.evaluate("window.chartsOfPage().map((chart) => chart.getOption().useUTC)").count(True) >= 1
        assert page.evaluate("window.chartsOfPage().every((chart) => chart.getOption().useUTC)")
    expect(page.get_by_text("UTC").first).to_be_attached()
    context.close()


def test_copying_says_so_also_where_the_browser_lends_no_clipboard(page: Page) -> None:
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.goto("/system")
    page.wait_for_function(LIVE)
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_text("Copied.")).to_be_visible()


def test_an_address_that_asks_for_what_cannot_be_says_whose_page_it_shows(page: Page) -> None:
    page.goto("/alerts?tenant=team%20a&range=1y")
    said = page.locator("#content").get_by_role("alert")
    expect(said.nth(0)).to_contain_text("the tenant 'team a', which there cannot be: shown is default")
    expect(said.nth(1)).to_contain_text("shown is 6h")
    page.goto("/alerts?tenant=team-a")
    expect(page.get_by_role("heading", name="No alert in this range")).to_be_visible()
    expect(said).to_have_count(0)
