"""A service's page while an incident is open, as who was woken by it reads it: no chance that one begins, no line where nothing is known."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from app.dashboard.words import DASH
from models.prediction import AnomalyScore
from tests.dashboard_night import BEGAN_MIN, HOLE_MIN, an_incident, night_of, put_incident, put_night
from tests.dashboard_seed import prediction_of, put_service_of
from tests.nodes import RunningNode

pytestmark = pytest.mark.system("chromium")

TENANT = "night-page"
PAGE = f"/service/payment?tenant={TENANT}&range=1h"
LIVE = "window.socket && window.socket.connected && window.did_handshake"
DRAWN = "window.chartsOfPage && window.chartsOfPage().length === 4"

_PIXELS = """([number, series, at, value]) => {
  const chart = window.chartsOfPage()[number];
  const [x, y] = chart.convertToPixel({xAxisIndex: 0, yAxisIndex: 0}, [at, value]);
  const canvas = chart.renderToCanvas({pixelRatio: 1});
  const option = chart.getOption().series.find((one) => one.name === series);
  const brush = Object.assign(document.createElement("canvas"), {width: 1, height: 1}).getContext("2d");
  brush.fillStyle = option.lineStyle.color;
  brush.fillRect(0, 0, 1, 1);
  const wanted = brush.getImageData(0, 0, 1, 1).data;
  const like = (data, place) => [0, 1, 2].every((part) => Math.abs(data[place + part] - wanted[part]) < 60) && data[place + 3] > 120;
  const count = (left, top, width, height) => {
    const {data} = canvas.getContext("2d").getImageData(left, top, width, height);
    return Array.from({length: data.length / 4}, (_, place) => like(data, place * 4)).filter(Boolean).length;
  };
  const [, top] = chart.convertToPixel({xAxisIndex: 0, yAxisIndex: 0}, [at, chart.getModel().getComponent("yAxis").axis.scale.getExtent()[1]]);
  const [, bottom] = chart.convertToPixel({xAxisIndex: 0, yAxisIndex: 0}, [at, 0]);
  return {column: count(Math.round(x), Math.round(top), 1, Math.round(bottom - top)), near: count(Math.round(x) - 2, Math.round(y) - 2, 5, 5)};
}"""
"""How many pixels of a line's colour stand in the column of a moment, and around a point."""

_CONTRAST = """() => {
  const style = getComputedStyle(document.documentElement);
  const brush = Object.assign(document.createElement("canvas"), {width: 1, height: 1}).getContext("2d");
  const light = (name) => {
    brush.fillStyle = style.getPropertyValue(name).trim();
    brush.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...brush.getImageData(0, 0, 1, 1).data].map((part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const panel = light("--panel");
  return ["--edge", "--a", "--b", "--c", "--low", "--high"].map((name) => (Math.max(light(name), panel) + 0.05) / (Math.min(light(name), panel) + 0.05));
}"""
"""Contrast of what charts are drawn with to what is behind them, as WCAG 2.2 reckons it."""


@pytest.fixture(scope="module")
def minute(shop: RunningNode) -> int:
    now = int(datetime.now(UTC).timestamp()) // 60 * 60
    put_night(shop.node, now, TENANT, partition=3)
    return now


@pytest.fixture
def night(page: Page, minute: int) -> Page:
    page.goto(PAGE)
    page.wait_for_function(LIVE)
    page.wait_for_function(DRAWN)
    return page


def fact(page: Page, name: str) -> str:
    return page.locator(".facts div", has=page.locator("dt", has_text=re.compile(f"^{name}$"))).locator("dd").inner_text()


def test_it_says_since_when_an_incident_is_open_and_leads_to_it_instead_of_a_chance_that_one_begins(night: Page) -> None:
    expect(night.locator(".title .chip")).to_have_text("in incident")
    assert re.match(r"([4-9]|1\d) min so far\n+since \d{4}-.* UTC, network, told by rule", fact(night, "Incident open"))
    assert re.match(r"11 %\n+within 60 min", fact(night, "Forecast at its start"))
    assert fact(night, "An incident begins").startswith(DASH)
    expect(night.get_by_text("An incident begins within")).to_have_count(0)
    expect(night.locator(".facts .high", has_text="%")).to_have_count(0)
    expect(night.get_by_text("no question while one is open")).to_contain_text("they say 84 %, 93 %, 97 % within 5, 15, 60 min")
    said = night.locator("section", has=night.get_by_role("heading", name="What really happened", exact=True))
    expect(said.get_by_role("link", name="its page")).to_have_attribute("href", re.compile("^/incident/n1"))
    night.get_by_role("link", name=re.compile("min so far")).click()
    night.wait_for_url(f"**/incident/n1?tenant={TENANT}**")
    expect(night.get_by_role("heading", name="payment")).to_be_visible()


def test_nothing_stands_out_is_said_where_neither_an_incident_nor_an_anomaly_nor_a_reason_is_there(
    night: Page, shop: RunningNode, minute: int
) -> None:
    shown = night.locator("section", has=night.get_by_role("heading", name="What it shows", exact=True))
    expect(shown).to_contain_text("unusual: errors of 23/min, normal is 0/min (began")
    expect(shown.get_by_role("link", name="Likely causes")).to_have_attribute("href", re.compile("^/incident/n1"))
    expect(night.get_by_text(re.compile("nothing (stands out|sets)", re.IGNORECASE))).to_have_count(0)
    documents = shop.node.store.documents
    calm = prediction_of("payment", 0.01, "", "ok", datetime.fromtimestamp(minute, UTC), tenant=TENANT)
    strange = AnomalyScore(0.2, 1.0, 0.5, 0.0, 2.0, datetime.fromtimestamp(minute - 600, UTC))
    why = night.locator("section", has=night.get_by_role("heading", name="Why", exact=True))
    put_incident(documents, replace(an_incident(datetime.fromtimestamp(minute, UTC)), tenant=TENANT, end=datetime.now(UTC)))
    put_service_of(documents, replace(calm, anomaly=strange), explained=True)
    expect(why).to_contain_text("an anomaly within the last hour, by now errors of 1/min")
    expect(why).not_to_contain_text("Nothing")
    put_service_of(documents, calm, explained=True)
    expect(why).to_contain_text("Nothing stands out against a quiet series.")
    put_service_of(documents, replace(calm, model_version="prior", status="prior"), explained=True)
    expect(why).to_contain_text("Nothing sets it apart from what the tenant's series usually show now")
    put_service_of(documents, calm)
    expect(why).to_contain_text("This forecast was not taken apart")
    expect(night.get_by_text("An incident begins within 60 min")).to_be_visible()
    put_incident(documents, replace(an_incident(datetime.fromtimestamp(minute - 60 * BEGAN_MIN, UTC)), tenant=TENANT))
    put_service_of(documents, night_of(minute, TENANT))
    expect(shown).to_be_visible()


def test_an_incident_of_an_operation_stands_beside_the_service_s_chances(page: Page, shop: RunningNode) -> None:
    documents, now = shop.node.store.documents, datetime.now(UTC)
    put_service_of(documents, prediction_of("payment", 0.3, "", "ok", now, tenant="one-operation"))
    began = now - timedelta(minutes=7)
    put_incident(documents, replace(an_incident(began), tenant="one-operation", operation="POST /charge"))
    page.goto("/service/payment?tenant=one-operation")
    expect(page.get_by_text("Incident of POST /charge open")).to_be_visible()
    expect(page.get_by_text("An incident begins within 60 min")).to_be_visible()
    expect(page.locator(".title .chip")).to_have_text("ok")
    expect(page.get_by_role("link", name="Likely causes")).to_be_visible()


def test_a_status_without_an_incident_that_is_listed_yet_shows_no_chance_either(page: Page, shop: RunningNode) -> None:
    found = prediction_of("payment", 0.4, "", "in_incident", datetime.now(UTC), tenant="unlisted")
    put_service_of(shop.node.store.documents, found)
    page.goto("/service/payment?tenant=unlisted")
    expect(page.get_by_text("not listed yet")).to_be_visible()
    expect(page.get_by_text("An incident is open.")).to_be_visible()
    assert fact(page, "An incident begins").startswith(DASH)
    expect(page.get_by_text("Nothing stands out")).to_have_count(0)
    page.goto("/?tenant=unlisted")
    expect(page.locator(".port [role=row]")).to_contain_text("an incident is open")


def spans(shop: RunningNode, failing: bool) -> bytes:
    """Return a minute of a service's requests."""
    minute = shop.now_ns // 10**9
    times = {"startTimeUnixNano": str(shop.now_ns + 10**9), "endTimeUnixNano": str(shop.now_ns + 11 * 10**8)}
    own = [
        {"traceId": f"{minute:016x}{number:016x}", "spanId": f"{number + 1:016x}", "name": "POST /pay", "kind": 2}
        | {"status": {"code": 2 if failing and number % 2 else 1}}
        for number in range(40)
    ]
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "pay"}}]}
    scoped = [{"spans": [one | times for one in own]}]
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": scoped}]}).encode()


def test_a_service_whose_requests_fail_shows_the_incident_that_the_rule_found(page: Page, shop: RunningNode) -> None:
    for number in range(7):
        assert shop.post("traces", spans(shop, number >= 4), X_Scope_OrgID="failing").status_code == 200
        shop.tick()
    answer = shop.client.get(f"{shop.served.api}/api/v1/incidents?state=open", headers={"X-Scope-OrgID": "failing"})
    assert "*" in {one["operation"] for one in answer.json()["items"]}
    page.goto("/?tenant=failing")
    expect(page.locator(".port [role=row] .p60")).to_have_text("open")
    page.get_by_role("link", name=re.compile("incident open")).click()
    expect(page.locator("h1")).to_have_text("pay")
    page.goto("/service/pay?tenant=failing&range=1h")
    assert "so far" in fact(page, "Incident open")
    expect(page.locator(".facts .high", has_text="%")).to_have_count(0)
    expect(page.get_by_text("An incident begins within")).to_have_count(0)
    expect(page.get_by_text(re.compile("nothing (stands out|sets)", re.IGNORECASE))).to_have_count(0)


@pytest.mark.parametrize(
    ("chart", "series"), [(0, "within 60 min"), (0, "within 15 min"), (2, "p95"), (3, "requests")], ids=str
)
def test_where_nothing_is_known_no_line_is_drawn(night: Page, minute: int, chart: int, series: str) -> None:
    hole, beside = (HOLE_MIN[0] + HOLE_MIN[1]) / 2, HOLE_MIN[1] - 3.5
    seen = [
        sum(
            night.evaluate(_PIXELS, [chart, series, (minute - 60 * (ago + shift / 5)) * 1000, 0])["column"]
            for shift in range(5)  # a dashed line has holes of its own
        )
        for ago in (hole, beside)
    ]
    assert seen[0] == 0
    assert seen[1] > 0


def test_bounds_without_any_height_are_seen(night: Page, minute: int) -> None:
    in_it, hole = ((minute - 60 * ago) * 1000 for ago in (12.5, (HOLE_MIN[0] + HOLE_MIN[1]) / 2))
    assert night.evaluate(_PIXELS, [1, "expected bounds", in_it, 0])["near"] >= 5, "a line of five pixels' length at zero"
    assert night.evaluate(_PIXELS, [1, "expected bounds", hole, 0])["near"] == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_charts_are_drawn_with_stands_out_from_what_is_behind_it(night: Page, scheme: str) -> None:
    night.emulate_media(color_scheme="light" if scheme == "light" else "dark")
    assert min(night.evaluate(_CONTRAST)) >= 3.0, "WCAG 2.2, 1.4.11"


def test_who_points_at_a_band_is_told_both_of_its_bounds(night: Page, minute: int) -> None:
    said = night.evaluate(
        """(at) => {
          const chart = window.chartsOfPage()[2];
          const [x, y] = chart.convertToPixel({xAxisIndex: 0, yAxisIndex: 0}, [at, 0.03]);
          chart.dispatchAction({type: "showTip", x, y});
          return chart.getDom().innerText;
        }""",
        (minute - 60 * 12) * 1000,
    )
    assert "20.0 ms to 60.0 ms" in said
    assert "expected bounds of the mean from" not in said
