"""Error groups with their newest stack trace and advice, found by words."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.nodes import RunningNode

pytestmark = pytest.mark.system("chromium")


def test_a_group_opens_to_its_stack_trace_and_advice(page: Page) -> None:
    page.goto("/errors")
    groups = page.locator("li:has(details)")
    expect(groups).to_have_count(2)
    first = groups.filter(has_text="no connection to <*>")
    expect(first).to_contain_text("412 errors since")
    expect(first).to_contain_text("new 5 h ago")
    expect(groups.filter(has_text="bank did not answer")).to_contain_text(re.compile(r"regressed 3\d min ago"))
    first.get_by_text("Stack trace and advice").click()
    expect(first.locator("pre")).to_contain_text('File "charge.py", line 88, in charge')
    expect(first).to_contain_text("Retries:")


def test_traces_are_sent_when_they_are_opened_and_stay_while_they_are(page: Page, shop: RunningNode) -> None:
    assert "charge.py" not in shop.client.get(f"{shop.served.api}/errors").text
    page.goto("/errors")
    page.wait_for_function("window.socket && window.socket.connected")
    group = page.locator("li:has(details)").filter(has_text="no connection to <*>")
    group.get_by_text("Stack trace and advice").click()
    expect(group.locator("pre")).to_be_visible()
    page.get_by_label("Search").fill("connection")
    expect(page.locator("li:has(details)")).to_have_count(1)
    expect(group.locator("pre")).to_be_visible()


def test_groups_are_searched_by_words_of_the_url(page: Page) -> None:
    page.goto("/errors?q=bank")
    expect(page.locator("li:has(details)")).to_have_count(1)
    expect(page.get_by_text("bank did not answer")).to_be_visible()
    page.goto("/errors?tenant=newcomer2")
    expect(page.get_by_role("heading", name="No error in this range")).to_be_visible()
