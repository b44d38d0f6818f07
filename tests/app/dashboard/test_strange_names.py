"""Names, messages and traces come from whoever sends telemetry: nothing in them runs, links elsewhere, or breaks a page."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from app.cache.documents import decode_document, encode_document, tenant_key
from app.cache.group_records import Affected, GroupRecord, Happening
from app.cache.records import IncidentRecord, RecentErrors
from app.cache.symptom_records import HotspotRecord, HotspotsRecord
from tests.alert_builders import an_alert
from tests.dashboard_seed import prediction_of, put_service_of
from tests.group_builders import a_group
from tests.nodes import RunningNode

pytestmark = pytest.mark.system("chromium")

LIVE = "window.socket && window.socket.connected && window.did_handshake"
NASTY: tuple[str, ...] = (
    "<script>window.ran=1</script>",
    "</script><img src=x onerror=window.ran=1>",
    "${window.ran=1}`+(window.ran=1)+`{{window.ran=1}}",
    "\"'><svg/onload=window.ran=1>",
    "javascript:window.ran=1//",
    "--ink",
    "{b}{c}{a}",
    "a/b//c?d=e#f%2F&g",
    "*",
    "a*[b]?",
    "_other",
    "süß 服务 \u202e evil \u2028 line",
    "x" * 256,
)


def seeded(shop: RunningNode, tenant: str) -> None:
    """Let everything that a tenant has be called by strange names."""
    documents, now = shop.node.store.documents, datetime.now(UTC)
    found = documents.get("errors", "default/payment")
    assert found is not None
    recent = decode_document(found.value, RecentErrors)
    for number, name in enumerate(NASTY):
        put_service_of(documents, prediction_of(name, 0.9 - number / 100, f"{name} fails", "ok", now, tenant=tenant))
        groups = [
            replace(one, message=name, exception_type=name, operations=(name,), last_seen=now, fingerprint=one.fingerprint)
            for one in recent.groups
        ]
        events = [replace(one, service=name, stack=f"{name}\n{name}", trace_id=name, message=name) for one in recent.events]
        documents.put("errors", tenant_key(tenant, name), encode_document(RecentErrors(tuple(groups), tuple(events))))
        hot = HotspotRecord("version", name, "new", 40.0, 0.6, 0.1, 20.0, int(now.timestamp()))
        documents.put(
            "hotspots", tenant_key(tenant, name), encode_document(HotspotsRecord(tenant, name, int(now.timestamp()), (hot,)))
        )
        documents.put(
            "alerts",
            tenant_key(tenant, f"a{number}"),
            encode_document(an_alert(f"a{number}", name, tenant=tenant, reasons=(name,), started_at=now)),
        )
        start = now - timedelta(minutes=40 - number)  # so that they are in this order: incidents stand by when they began
        incident = IncidentRecord(f"i{number}", tenant, name, "*", start, now, None, name, "network", {"60min": 0.3})
        documents.put("incidents", tenant_key(tenant, f"i{number}"), encode_document(incident))
    hits = tuple(Affected(name, now - timedelta(minutes=8), 4.0, place + 1) for place, name in enumerate(NASTY))
    told = tuple(Happening(now - timedelta(minutes=8), "error", name, f"{name} rises") for name in NASTY)
    group: GroupRecord = replace(
        a_group("g"),
        tenant=tenant,
        incidents=tuple(f"i{number}" for number in range(len(NASTY))),
        services=hits,
        timeline=told,
        start=now,
        end=None,
    )
    documents.put("groups", tenant_key(tenant, "g"), encode_document(group))


@pytest.fixture(scope="module")
def tenant(shop: RunningNode) -> str:
    seeded(shop, "strange")
    return "strange"


@pytest.mark.parametrize("path", ["/", "/incidents", "/incident/i1", "/errors", "/alerts"])
def test_nothing_of_it_runs_and_every_page_fits(page: Page, tenant: str, path: str) -> None:
    page.goto(f"{path}?tenant={tenant}")
    page.wait_for_function(LIVE)
    expect(page.get_by_text("<script>window.ran=1</script>").first).to_be_visible()
    assert page.evaluate("window.ran") is None
    for link in page.locator("a").all():
        assert str(link.get_attribute("href")).startswith(("/", "#"))
    page.set_viewport_size({"width": 375, "height": 812})
    page.wait_for_function(
        "document.documentElement.scrollWidth <= 375 && document.querySelector('#content').scrollWidth <= 375"
    )


@pytest.mark.parametrize("name", NASTY)
def test_every_service_is_reached_from_the_table_and_its_page_is_whole(page: Page, tenant: str, name: str) -> None:
    page.goto(f"/?tenant={tenant}")
    page.wait_for_function(LIVE)
    place = list(NASTY).index(name)
    page.locator(".port [role=row] .service a").nth(place).click()
    expect(page.get_by_role("heading", name="Forecasts and incidents")).to_be_visible()
    assert page.evaluate("document.querySelector('h1').textContent") == name
    assert page.evaluate("document.title") == f"{name} · Foreshock".strip()
    assert page.evaluate("window.ran") is None
    page.set_viewport_size({"width": 375, "height": 812})
    page.wait_for_function(
        "document.documentElement.scrollWidth <= 375 && document.querySelector('#content').scrollWidth <= 375"
    )


def test_names_stand_in_the_drawing_as_they_are_and_do_not_become_colours(page: Page, tenant: str) -> None:
    page.goto(f"/incident/i1?tenant={tenant}")
    page.locator("canvas").first.wait_for()
    drawn = page.evaluate("window.chartsOfPage()[0].getOption().series[0].data.map((node) => node.name)")
    assert sorted(drawn) == sorted(NASTY)
    page.locator("canvas").first.hover(position={"x": 300, "y": 100})
    assert page.evaluate("window.ran") is None


def test_silencing_a_service_with_a_star_in_its_name_silences_no_other(page: Page, shop: RunningNode, tenant: str) -> None:
    page.goto(f"/alerts?tenant={tenant}")
    page.wait_for_function(LIVE)
    page.locator("tr", has=page.get_by_role("link", name="*", exact=True)).get_by_role("button", name="Silence").click()
    page.get_by_role("dialog").get_by_role("button", name="Silence").click()
    expect(page.get_by_text("Alerts of * are silent for 60 min.")).to_be_visible()
    (silence,) = shop.node.store.documents.items("silences", f"{tenant}/")
    assert json.loads(silence.value)["matchers"] == [{"label": "service", "pattern": "[*]", "equal": True}]


def test_a_tenant_s_address_of_a_service_keeps_slashes(page: Page, tenant: str) -> None:
    page.goto(f"/service/{quote('a/b//c?d=e#f%2F&g', safe='')}?tenant={tenant}")
    assert page.evaluate("document.querySelector('h1').textContent") == "a/b//c?d=e#f%2F&g"
