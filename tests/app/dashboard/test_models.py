"""The model page: scores with their age, and promote and roll back that ask first and change who serves."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.nodes import RunningNode

pytestmark = pytest.mark.system("chromium")


def test_calibration_drift_and_progress_are_shown(page: Page) -> None:
    page.goto("/models")
    for text in ("incidents begin more often than forecast", "which is open yet", "better beyond doubt", "42 %"):
        expect(page.get_by_text(text).first).to_be_visible()
    expect(page.get_by_role("img", name="Mean forecast")).to_be_visible()
    expect(page.get_by_role("progressbar", name="Progress of t1")).to_have_attribute("aria-valuenow", "42")


def test_a_version_is_promoted_and_rolled_back_after_a_question(page: Page, shop: RunningNode) -> None:
    registry = shop.node.registry("default")
    champion = registry.champion()
    assert champion is not None
    candidate = next(version for version in registry.versions() if version.alias == "candidate")
    page.goto("/models")
    row = page.locator("tr").filter(has_text=candidate.id)
    row.get_by_role("button", name="Promote").click()
    question = page.get_by_role("dialog", name=f"Let {candidate.id} serve?")
    expect(question).to_contain_text(f"instead of {champion.id}")
    question.get_by_role("button", name="Cancel").click()
    assert registry.champion() == champion
    row.get_by_role("button", name="Promote").click()
    question.get_by_label("Your name").fill("ann")
    question.get_by_role("button", name="Promote").click()
    expect(row.locator(".chip")).to_have_text("champion")
    steps = registry.steps()
    assert (steps[-1].action, steps[-1].version, steps[-1].who) == ("promoted", candidate.id, "ann")
    row.get_by_role("button", name="Roll back").click()
    page.get_by_role("button", name="Roll back").last.click()
    expect(row.locator(".chip")).to_have_text("retired")
    assert registry.steps()[-1].action == "rolled_back"
    served = registry.champion()
    assert served is not None
    assert served.id == champion.id


def test_a_tenant_without_models_is_told_when_one_comes(page: Page) -> None:
    page.goto("/models?tenant=nobody")
    expect(page.get_by_role("heading", name="No model version yet")).to_be_visible()
    expect(page.get_by_text("no model yet", exact=True)).to_be_visible()


def test_nothing_is_rolled_back_when_another_version_serves_than_the_one_that_was_asked_about(
    page: Page, shop: RunningNode
) -> None:
    registry = shop.node.registry("default")
    candidate = next(version for version in registry.versions() if version.alias != "champion")
    api = f"{shop.served.api}/api/v1/models"
    assert shop.client.post(f"{api}/{candidate.id}:promote", json={"who": "ann"}).status_code == 200
    page.goto("/models")
    page.wait_for_function("window.socket && window.socket.connected")
    page.locator("tr").filter(has_text=candidate.id).get_by_role("button", name="Roll back").click()
    assert shop.client.post(f"{api}:rollback", json={"who": "bob"}).status_code == 200
    expect(page.locator("tr").filter(has_text=candidate.id).locator(".chip")).to_have_text("retired")
    steps = registry.steps()
    page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    expect(page.get_by_text("nothing was taken back")).to_be_visible()
    assert registry.steps() == steps
