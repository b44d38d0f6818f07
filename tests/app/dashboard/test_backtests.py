"""Backtests are asked for on their page, show how far they are, and lead to their report."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, expect

from app.cache.backtests import BacktestRun, put_page
from app.cache.documents import encode_document
from tests.nodes import RunningNode
from training.alerting import EventScores
from training.detail import events_of
from training.report import Scores

pytestmark = pytest.mark.system("chromium")


def test_a_report_is_shown_in_four_numbers_beside_the_baselines(page: Page) -> None:
    page.goto("/backtests")
    for text in ("70 %", "23 min", "1.8 a day", "before the release"):
        expect(page.get_by_text(text).first).to_be_visible()
    page.get_by_text("Scores beside the baselines").click()
    expect(page.locator("tbody tr").first).to_contain_text("0.310")
    assert page.get_by_role("link", name="The whole report").get_attribute("href") == "/backtests/b1/report"


def test_a_report_is_that_of_the_tenant_whose_page_leads_to_it(page: Page, shop: RunningNode) -> None:
    documents, now = shop.node.store.documents, datetime.now(UTC)
    for tenant in ("default", "reported"):
        put_page(documents, tenant, "same", f"<!doctype html><title>of {tenant}</title>", 600.0)
    run = BacktestRun("same", "succeeded", now, ended_at=now, progress=1.0, reason="ours")
    documents.put("backtests", "reported/same", encode_document(run))
    page.goto("/backtests?tenant=reported")
    page.get_by_role("link", name="The whole report").click()
    expect(page).to_have_title("of reported")
    answer = shop.client.get(f"{shop.served.api}/backtests/same/report")
    assert "of default" in answer.text
    assert "default-src 'none'; style-src" in answer.headers["content-security-policy"], "the policy of REST stays"
    assert shop.client.get(f"{shop.served.api}/backtests/none/report").status_code == 404


def test_one_is_started_after_a_question_and_waits_its_turn(page: Page, shop: RunningNode) -> None:
    page.goto("/backtests?tenant=backtested")
    expect(page.get_by_text("No backtest yet")).to_be_visible()
    page.get_by_role("button", name="Start a backtest").click()
    page.get_by_label("Why").fill("before we switch")
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.get_by_role("heading", name="before we switch")).to_be_visible()
    expect(page.get_by_text("queued", exact=True)).to_be_visible()
    [run] = shop.client.get(f"{shop.served.api}/api/v1/backtests", headers={"X-Scope-OrgID": "backtested"}).json()["items"]
    assert (run["state"], run["reason"]) == ("queued", "before we switch")


def test_what_is_shown_is_what_reports_hold() -> None:
    held = events_of(EventScores(0.3, 10, 6, 8, 6, 1200.0, 300.0, 1.0))
    assert {"recall", "precision", "median_lead_s", "false_alarms_a_day"} <= set(held)
    assert {"ap", "brier_skill", "ece", "base_rate"} <= {field.name for field in fields(Scores)}
