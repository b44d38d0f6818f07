"""What all pages have in common: by keyboard, on a phone, light and dark, and for those who hear them read; pictures are kept."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.app.dashboard.conftest import SCREENSHOTS
from tests.dashboard_night import put_night
from tests.nodes import RunningNode

pytestmark = pytest.mark.system("chromium")

PAGES = {
    "services": "/",
    "service": "/service/payment",
    "incidents": "/incidents",
    "incident": "/incident/i1",
    "errors": "/errors",
    "alerts": "/alerts",
    "models": "/models",
    "backtests": "/backtests",
    "system": "/system",
    "first-steps": "/?tenant=nobody-yet",
    "night": "/service/payment?tenant=night-pages&range=1h",
    "services-at-night": "/?tenant=night-pages",
}


@pytest.fixture(scope="module", autouse=True)
def night(shop: RunningNode) -> None:
    put_night(shop.node, int(datetime.now(UTC).timestamp()) // 60 * 60, "night-pages", partition=2)


def violations(page: Page, *rules: str) -> list[str]:
    found = (
        Axe()
        .run(page, options={"resultTypes": ["violations"], **({"runOnly": list(rules)} if rules else {})})
        .response["violations"]
    )
    return [
        f"{one['id']}: {node['html']}" for one in found if one["impact"] in {"serious", "critical"} for node in one["nodes"]
    ]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_sound_in_light_and_dark_and_fits_a_phone(audited: Page, name: str) -> None:
    page = audited
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.goto(PAGES[name])
    expect(page.locator("h1, .empty h2").first).to_be_visible()
    page.wait_for_function("window.socket && window.socket.connected && document.fonts.status === 'loaded'")
    if page.get_by_role("img").count():
        page.locator("canvas").first.wait_for()
    assert violations(page) == []
    page.screenshot(path=SCREENSHOTS / f"{name}-light.png", full_page=True)
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 375, "height": 812})
    page.wait_for_function("document.documentElement.scrollWidth <= 375")
    assert violations(page, "color-contrast") == []
    page.screenshot(path=SCREENSHOTS / f"{name}-phone-dark.png", full_page=True)


def test_the_keyboard_reaches_the_content_first_and_then_every_link(page: Page) -> None:
    page.goto("/incidents")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    page.goto("/incidents")
    reached: list[str] = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent.trim().slice(0, 20) || document.activeElement.type"))
    assert reached[1:9] == ["Foreshock", "Services", "Incidents", "Errors", "Alerts", "Models", "Backtests", "System"]
    expect(page.get_by_role("link", name="Incidents", exact=True)).to_have_attribute("aria-current", "page")


def test_the_theme_follows_the_system_until_one_is_chosen_and_is_kept(page: Page) -> None:
    page.goto("/incidents")
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(paper)
    assert light != dark
    page.get_by_role("button", name="Theme: system").click()
    assert page.evaluate(paper) == light
    page.reload()
    expect(page.get_by_role("button", name="Theme: light")).to_be_visible()
    assert page.evaluate(paper) == light
    page.get_by_role("button", name="Theme: light").click()
    assert page.evaluate(paper) == dark
    page.get_by_role("button", name="Theme: dark").click()
    assert page.evaluate("document.documentElement.dataset.theme") is None
