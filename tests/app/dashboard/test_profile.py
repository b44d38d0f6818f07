"""A service's page: its forecast with reasons and charts, and verdicts that go where REST keeps them."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from playwright.sync_api import Page, expect

from app.history.tables import rows_schema
from tests.dashboard_seed import SERVICES, prediction_of, put_service_of
from tests.nodes import RunningNode

pytestmark = pytest.mark.system("chromium")

_BOUNDS = """() => window.chartsOfPage().flatMap((chart) => chart.getOption().series)
    .filter((one) => /^expected bounds( of the mean)?$/.test(one.name)).map(({name, data}) => ({name, data}))"""


def test_it_shows_the_forecast_its_reasons_and_four_charts(page: Page) -> None:
    page.goto("/service/cart")
    for text in ("12 %", "6.0 to 18 %", "p95 of 0.84 s is past its limit", "If one begins, it is likely of: resource 70 %"):
        expect(page.get_by_text(text).first).to_be_visible()
    page.goto("/service/payment")
    expect(page.get_by_text(re.compile(r"^[23]\d min so far")).first).to_be_visible()  # older, the longer other tests took
    for text in ("118 requests/min", "errors 4.2 a minute", "What helps against pool exhausted"):
        expect(page.get_by_text(text).first).to_be_visible()
    expect(page.locator("canvas")).to_have_count(4)
    for name in ("Forecasts and incidents", "Errors", "Latency", "Traffic"):
        expect(page.get_by_role("img", name=name).first).to_be_visible()
    spot = page.get_by_role("row").filter(has_text="version 2.4.1")
    for text in ("new", "95 %", "0 %", "1,100"):
        expect(spot).to_contain_text(text)
    expect(page.get_by_text("newest point").first).to_contain_text("ago")


def test_a_verdict_from_the_page_is_kept_with_who_and_why(page: Page, shop: RunningNode) -> None:
    page.goto("/service/checkout")
    prediction = shop.get("/api/v1/predictions/checkout")["id"]
    page.get_by_role("button", name="False alarm").click()
    dialog = page.get_by_role("dialog", name="False alarm?")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("button", name="False alarm")).to_be_focused()
    page.keyboard.press("Enter")
    dialog.get_by_label("Your name").fill("ann")
    dialog.get_by_label("Why").fill("a deploy that everybody knew of")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Thank you")).to_be_visible()
    expect(page.get_by_text("a deploy that everybody knew of")).to_be_visible()
    [said] = shop.get("/api/v1/feedback?service=checkout&who=ann")["items"]
    assert (said["verdict"], said["who"], said["prediction_id"]) == ("false_alarm", "ann", prediction)
    assert said["why"] == "a deploy that everybody knew of"
    page.get_by_role("button", name="It was right").click()
    expect(page.get_by_label("Your name")).to_have_value("ann")


def test_a_newer_prediction_comes_without_a_reload(page: Page, shop: RunningNode) -> None:
    page.goto("/service/shipping%2Feu?range=1h")
    expect(page.locator("h1")).to_have_text("shipping/eu")
    page.wait_for_function("window.socket && window.socket.connected")
    later = datetime.now(UTC) + timedelta(seconds=1)
    put_service_of(shop.node.store.documents, prediction_of("shipping/eu", 0.44, "its queue grows", "ok", later))
    expect(page.get_by_text("its queue grows")).to_be_visible()
    put_service_of(shop.node.store.documents, prediction_of("shipping/eu", *SERVICES["shipping/eu"], later), explained=True)
    expect(page.get_by_text("Nothing stands out")).to_be_visible()


def test_bounds_of_windows_before_the_page_was_opened_are_there_after_a_reload(page: Page, shop: RunningNode) -> None:
    minute = int(datetime.now(UTC).timestamp()) // 60 * 60
    found = prediction_of("slow", 0.1, "", "ok", datetime.fromtimestamp(minute, UTC), tenant="recalled")
    put_service_of(shop.node.store.documents, replace(found, anomaly=replace(found.anomaly, signal="traffic")))
    page.goto("/service/slow?tenant=recalled&range=1h")
    page.wait_for_function("window.chartsOfPage && window.chartsOfPage().length === 4")
    assert page.evaluate(_BOUNDS) == [], "the newest window's prediction carries those of another signal"
    row = {**dict.fromkeys(rows_schema("predictions").names), "tenant": "recalled", "service": "slow", "operation": "*"}
    sides = {"errors_lower": 1.0, "errors_upper": 4.0, "latency_lower": 0.25, "latency_upper": 0.5}
    rows = [row | sides | {"as_of": minute - 60 * ago, "partition": 5, "offset": 100 - ago} for ago in range(30, 0, -1)]
    shop.node.history.append({"predictions": pa.Table.from_pylist(rows, rows_schema("predictions"))}, {5: 100})
    page.reload()
    page.wait_for_function("window.chartsOfPage && window.chartsOfPage().length === 4")
    drawn = page.evaluate(_BOUNDS)
    assert [series["name"] for series in drawn] == ["expected bounds", "expected bounds of the mean"]
    for series, width in zip(drawn, (3.0, 0.25), strict=True):
        known = [(at / 1000, value) for at, value, *_ in series["data"] if value is not None]
        assert [at for at, _ in known] == [minute - 60 * ago for window in range(31, 1, -1) for ago in (window, window - 1)]
        assert {value for _, value in known} == {width}


def test_ages_are_by_the_clock_of_the_node(page: Page) -> None:
    page.clock.set_system_time(datetime(2020, 1, 1, tzinfo=UTC))
    page.goto("/service/payment")
    expect(page.locator(".title time")).to_have_text(re.compile(r"\d+ (s|min) ago"))


def test_a_service_that_nobody_knows_says_so(page: Page) -> None:
    page.goto("/service/nowhere")
    expect(page.get_by_role("heading", name="No prediction of this service")).to_be_visible()
    page.get_by_role("link", name="The services by risk").click()
    expect(page.locator("h1")).to_have_text("Services by risk")
