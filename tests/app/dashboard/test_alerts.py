"""Alerts with their reasons; acknowledging and silencing ask first and go through REST."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.system("chromium")


def test_what_fires_comes_first_and_says_why(page: Page) -> None:
    page.goto("/alerts")
    rows = page.get_by_role("group", name="State, Service").locator("tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("61 % within 60 min, from 40 % on")
    expect(rows.nth(1)).to_contain_text("inhibited")


def test_acknowledging_asks_first_and_tells_what_rest_says(page: Page) -> None:
    page.goto("/alerts")
    page.get_by_role("button", name="Acknowledge").click()
    dialog = page.get_by_role("dialog", name="Look after the alert of payment?")
    dialog.get_by_label("Your name").fill("ann")
    dialog.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_text("Acknowledged.")).to_be_visible()
    expect(page.get_by_text("by ann")).to_be_visible()


def test_a_service_is_silenced_for_some_minutes(page: Page) -> None:
    page.goto("/alerts")
    page.get_by_role("button", name="Silence").last.click()
    dialog = page.get_by_role("dialog", name="Silence checkout?")
    dialog.get_by_label("minutes").fill("30")
    dialog.get_by_role("button", name="Silence").click()
    expect(page.get_by_text("Alerts of checkout are silent for 30 min.")).to_be_visible()
    expect(page.get_by_text("service is checkout")).to_be_visible()


def test_a_link_of_a_notice_leads_to_its_alert_and_on_to_its_incident(page: Page) -> None:
    page.goto("/alerts?alert=a2&tenant=default")
    section = page.locator("section", has=page.get_by_role("heading", name="The alert of checkout"))
    expect(section).to_contain_text("38 % within 60 min")
    section.get_by_role("link", name="Its incident").click()
    expect(page.locator("h1")).to_have_text("payment and 2 more")
    page.goto("/alerts?alert=gone")
    expect(page.get_by_role("heading", name="No such alert")).to_be_visible()


def test_why_it_did_not_fire_is_asked_on_the_page_and_stands_in_its_address(page: Page) -> None:
    page.goto("/alerts?tenant=default")
    page.get_by_label("Service", exact=True).fill("catalog")
    page.get_by_role("button", name="Explain").click()
    answer = page.get_by_role("group", name="Route, What it did")
    expect(answer.locator("tbody tr")).to_have_count(2)
    expect(answer.locator("tbody tr").first).to_contain_text("below threshold")
    assert "explain=catalog" in page.url
    routes = page.get_by_role("group", name="Route, Takes").locator("tbody tr")
    expect(routes.first).to_contain_text("31 %follows from the budget17 pages over 9 days")


def test_a_tenant_without_alerts_is_told_where_they_come_from(page: Page) -> None:
    page.goto("/alerts?tenant=nobody")
    expect(page.get_by_text("alert budget")).to_be_visible()
