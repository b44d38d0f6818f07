"""One incident's page: causes, plan, spread and account of its group, and what is shown before there is a group."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, expect

from app.cache.documents import encode_document
from app.cache.group_records import Affected
from app.cache.records import IncidentRecord
from tests.group_builders import a_group, put_group
from tests.inboxes import Receiver
from tests.nodes import RunningNode

pytestmark = pytest.mark.system("chromium")


def test_causes_plan_and_account_are_on_one_page(page: Page) -> None:
    page.goto("/incident/i1")
    for text in (
        "34 %",
        "the first to fail, 6 min before the others",
        "Roll back to version 2.4.0",
        "Circuit to open: checkout to payment.",
        "rolled back to 2.4.0",
        "calls to payment fail",
        "26 min",
        "as 1 like group took",
    ):
        expect(page.get_by_text(text).first).to_be_visible()


def test_a_step_goes_to_the_runbook_once_a_person_has_confirmed_it(page: Page, runbook: Receiver) -> None:
    page.goto("/incident/g0")  # a group that turned out to be another
    expect(page.get_by_text(f"Steps are posted to {runbook.url}.")).to_be_visible()
    page.get_by_role("button", name="Post to the runbook").first.click()
    dialog = page.get_by_role("dialog", name="Post step 1 to")
    expect(dialog).to_contain_text("payment: Roll back to version 2.4.0")
    assert runbook.requests == []
    dialog.get_by_label("Your name").fill("ann")
    dialog.get_by_role("button", name="Post it").click()
    expect(page.get_by_text("has step 1.")).to_be_visible()
    [request] = runbook.requests
    said = request.json
    assert (said["who"], said["group_id"], said["step"]["action"]) == ("ann", "g1", "Roll back to version 2.4.0")


def test_the_spread_is_played_along_its_timeline_by_keyboard(page: Page) -> None:
    page.goto("/incident/g1")
    slider, said = page.get_by_role("slider", name="Moment of the incident"), page.locator(".player output")
    expect(said).to_contain_text("cart: p95 of 1.9 s")
    slider.focus()
    page.keyboard.press("Home")
    expect(said).to_contain_text("payment: version 2.4.1 began to speak")
    page.keyboard.press("ArrowRight")
    expect(said).to_contain_text("payment: errors above what is normal")
    page.get_by_role("button", name="Play").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(said).to_contain_text("cart: p95 of 1.9 s", timeout=10_000)
    expect(page.get_by_role("button", name="Play")).to_be_visible()


def test_a_verdict_on_an_incident_is_kept(page: Page, shop: RunningNode) -> None:
    page.goto("/incident/i2")
    page.get_by_role("button", name="It was one").click()
    page.get_by_label("Why").fill("rolled back")
    page.get_by_role("button", name="Say so").click()
    expect(page.get_by_text("Thank you")).to_be_visible()
    [said] = shop.get("/api/v1/feedback?incident_id=i2")["items"]
    assert (said["verdict"], said["why"], said["service"]) == ("confirmed", "rolled back", "checkout")


def test_before_there_is_a_group_it_says_when_causes_come(page: Page, shop: RunningNode) -> None:
    now = datetime.now(UTC)
    record = IncidentRecord("alone", "lonely", "mail", "*", now, now, None, "rule", "network")
    shop.node.store.documents.put("incidents", "lonely/alone", encode_document(record))
    page.goto("/incident/alone?tenant=lonely")
    expect(page.get_by_text("at the end of the next tick")).to_be_visible()
    page.wait_for_function("window.socket && window.socket.connected")
    group = a_group("g9", causes=("mail",), incidents=("alone",))
    put_group(shop.node.store.documents, replace(group, tenant="lonely", services=(Affected("mail", now, 3.0, 1),)))
    expect(page.locator(".player output")).to_contain_text("mail shows the trouble")
    page.goto("/incident/unknown?tenant=lonely")
    expect(page.get_by_role("heading", name="No such incident")).to_be_visible()
