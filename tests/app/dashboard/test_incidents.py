"""The list of incidents, groups first, by range and search."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.system("chromium")


def test_groups_come_first_and_lead_to_an_incidents_page(page: Page) -> None:
    page.goto("/incidents")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.first).to_contain_text("payment 82 %")
    expect(rows.first).to_contain_text("354 requests/min, 21 % fail")
    rows.first.get_by_role("link").click()
    expect(page.locator("h1")).to_have_text("payment and 2 more")


def test_a_longer_range_shows_older_ones_and_stays_in_the_url(page: Page) -> None:
    page.goto("/incidents")
    page.get_by_label("Range").select_option("7d")
    expect(page.locator("tbody tr")).to_have_count(4)
    assert "range=7d" in page.url
    page.get_by_role("link", name="Errors").click()
    assert "range=7d" in page.url


def test_words_to_search_for_are_kept_in_the_url(page: Page) -> None:
    page.goto("/incidents")
    page.wait_for_function("window.socket && window.socket.connected")
    page.get_by_role("searchbox").fill("nothing like it")
    expect(page.get_by_text("No incident in this range")).to_be_visible()
    assert page.url.endswith("?q=nothing+like+it")
    page.reload()
    expect(page.get_by_text("No incident in this range")).to_be_visible()
    expect(page.get_by_role("searchbox")).to_have_value("nothing like it")
