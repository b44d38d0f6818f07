"""The first page: from nothing to a first prediction without a reload, and thousands of services that stay quick."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from app.dashboard.words import DASH
from tests.dashboard_night import an_incident, put_incident
from tests.dashboard_seed import SERVICES, prediction_of, put_service_of, seed_many
from tests.nodes import RunningNode

pytestmark = pytest.mark.system("chromium")

ROW = ".port [role=row]"


def a_failing_span(service: str, now_ns: int) -> bytes:
    times = {"startTimeUnixNano": str(now_ns - 10**9), "endTimeUnixNano": str(now_ns)}
    span = {
        "traceId": "0af7651916cd43dd8448eb211c80319c",
        "spanId": "b7ad6b7169203331",
        "name": "GET /",
        "kind": 2,
        "status": {"code": 2},
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span | times]}]}]}).encode()


def test_a_newcomer_goes_from_nothing_to_a_first_prediction(page: Page, shop: RunningNode) -> None:
    page.goto("/?tenant=newcomer")
    steps = page.locator("pre#collector")
    assert f"endpoint: {shop.served.otlp_http}" in steps.inner_text()
    assert "X-Scope-OrgID: newcomer" in steps.inner_text()
    page.wait_for_function("window.socket && window.socket.connected")
    answer = shop.post("traces", a_failing_span("hello", shop.now_ns), X_Scope_OrgID="newcomer")
    assert answer.status_code == 200
    shop.tick()
    row = page.locator(ROW).filter(has_text="hello")
    expect(row).to_contain_text("%", timeout=20_000)
    expect(steps).to_have_count(0)
    row.get_by_role("link").click()
    expect(page.locator("h1")).to_have_text("hello")
    assert page.url.endswith("/service/hello?tenant=newcomer")


def test_services_stand_by_risk_with_reason_sparkline_and_age(page: Page) -> None:
    page.goto("/")
    expect(page.locator(ROW)).to_have_count(len(SERVICES))
    names = page.locator(f"{ROW} .service").all_inner_texts()
    assert names == list(SERVICES)
    cart = page.locator(ROW).filter(has_text="cart")
    expect(cart.locator(".p60")).to_have_text("12 %")
    expect(cart).to_contain_text("p95 of 0.84 s is past its limit")
    expect(cart.locator("time")).to_contain_text("ago")
    expect(cart.locator("path")).to_have_attribute("d", re.compile(r"^M[\d.]+,[\d.]+h0(L\d+\.\d,\d+\.\d){50,}$"))
    expect(cart.locator(".chip")).to_have_text("ok")


def test_a_service_in_an_incident_stands_first_without_a_chance_and_leads_to_it(page: Page, shop: RunningNode) -> None:
    documents, now = shop.node.store.documents, datetime.now(UTC)
    for name, risk, status in (("late", 0.9, "in_incident"), ("first", 0.2, "in_incident"), ("calm", 0.6, "ok")):
        put_service_of(documents, prediction_of(name, risk, "", status, now, tenant="broken"))
    for name, minutes in (("first", 9), ("late", 3)):
        record = replace(an_incident(now - timedelta(minutes=minutes)), id=f"i-{name}", tenant="broken", service=name)
        put_incident(documents, record)
    page.goto("/?tenant=broken")
    expect(page.locator(f"{ROW} .service")).to_have_text(["first", "late", "calm"])
    row = page.locator(ROW).first
    expect(row.locator(".p60")).to_have_text("open")
    expect(row.locator(".p5")).to_have_text(DASH)
    assert "%" not in row.locator(".p60").inner_text() + row.locator(".p15").inner_text()
    expect(row.locator(".p60")).to_have_attribute("title", re.compile("chance that one begins is no question"))
    expect(row.locator(".reason")).to_have_text(re.compile("^incident open, (9|1\\d) min so far"))
    expect(page.get_by_text("nothing stands out")).to_have_count(0)
    page.get_by_role("button", name="5 min", exact=True).click()
    expect(page.locator(f"{ROW} .service")).to_have_text(["first", "late", "calm"])
    page.wait_for_function("window.socket && window.socket.connected")
    put_incident(documents, replace(an_incident(now), id="i-calm", tenant="broken", service="calm", source="alertmanager"))
    expect(page.locator(ROW).nth(2).locator(".p60")).to_have_text("open")
    expect(page.locator(ROW).nth(2).locator(".chip")).to_have_text("in incident")
    row.get_by_role("link", name=re.compile("incident open")).click()
    page.wait_for_url("**/incident/i-first?tenant=broken")
    expect(page.locator("h1")).to_have_text("first")


def test_search_and_order_stand_in_the_url(page: Page) -> None:
    page.goto("/")
    page.keyboard.press("/")
    page.keyboard.type("payment")
    expect(page.locator(".count")).to_have_text("2 of 6 services")
    page.get_by_role("button", name="Service", exact=True).click()
    assert page.url.endswith("?q=payment&sort=service")
    assert page.locator(f"{ROW} .service").all_inner_texts() == ["checkout", "payment"]
    page.reload()
    expect(page.locator(f"{ROW} .service")).to_have_text(["checkout", "payment"])
    expect(page.get_by_role("columnheader", name="Service")).to_have_attribute("aria-sort", "ascending")


def test_thousands_of_services_take_a_screenful_of_rows_and_move_with_their_numbers(page: Page, shop: RunningNode) -> None:
    documents, now = shop.node.store.documents, datetime.now(UTC)
    seed_many(documents, 2000, now, tenant="many")
    page.goto("/?tenant=many&sort=service")
    expect(page.locator(".count")).to_have_text("2,000 services")
    assert page.locator(ROW).count() < 60
    assert page.locator("[role=table]").get_attribute("aria-rowcount") == "2001"
    page.locator(".port").evaluate("port => (port.scrollTop = port.scrollHeight)")
    expect(page.locator(ROW).filter(has_text="service-1999")).to_be_visible()
    link = page.locator(ROW).filter(has_text="service-1999").get_by_role("link")
    link.focus()
    put_service_of(
        documents, prediction_of("service-1999", 0.97, "everything fails", "ok", now + timedelta(seconds=60), tenant="many")
    )
    expect(page.locator(ROW).filter(has_text="service-1999")).to_contain_text("97 %")
    assert page.evaluate("document.activeElement.textContent") == "service-1999"
    page.get_by_label("Search").fill("everything")
    expect(page.locator(ROW)).to_have_count(1)


def test_a_service_that_is_gone_leaves_the_table(page: Page, shop: RunningNode) -> None:
    documents, now = shop.node.store.documents, datetime.now(UTC)
    for name in ("stays", "goes"):
        put_service_of(documents, prediction_of(name, 0.2, "", "ok", now, tenant="moving"))
    page.goto("/?tenant=moving")
    expect(page.locator(ROW)).to_have_count(2)
    page.wait_for_function("window.socket && window.socket.connected")
    documents.delete("predictions", "moving/goes/%2A")
    expect(page.locator(f"{ROW} .service")).to_have_text(["stays"])
