"""What is pushed while somebody types, reads or decides must not take it out of their hands; what stops being live says so."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from nicegui import Client, core
from playwright.sync_api import Browser, Page, expect

from app.cache.documents import decode_document, encode_document, tenant_key
from app.cache.records import RecentErrors
from features.errors import InvalidValue
from tests.alert_builders import an_alert
from tests.dashboard_seed import prediction_of, put_service_of
from tests.nodes import RunningNode

pytestmark = pytest.mark.system("chromium")

LIVE = "window.socket && window.socket.connected && window.did_handshake"
ROW = ".port [role=row]"


def errors_of(shop: RunningNode, tenant: str, **changes: str) -> None:
    """Give a tenant payment's errors, with another first message."""
    found = shop.node.store.documents.get("errors", "default/payment")
    assert found is not None
    recent = decode_document(found.value, RecentErrors)
    groups = tuple(
        replace(group, message=changes.get(group.fingerprint, group.message), last_seen=datetime.now(UTC))
        for group in recent.groups
    )
    shop.node.store.documents.put("errors", tenant_key(tenant, "payment"), encode_document(replace(recent, groups=groups)))


def test_words_that_are_typed_stay_where_they_are_typed(page: Page) -> None:
    page.goto("/errors")
    page.wait_for_function(LIVE)
    box = page.get_by_label("Search")
    box.focus()
    page.keyboard.type("bank")
    expect(page.locator("li:has(details)")).to_have_count(1)
    page.keyboard.type(" did")
    page.wait_for_function("new URL(location).searchParams.get('q') === 'bank did'")
    expect(box).to_be_focused()
    expect(box).to_have_value("bank did")


def test_what_is_open_and_who_is_at_it_by_keyboard_outlast_a_push(page: Page, shop: RunningNode) -> None:
    errors_of(shop, "open")
    page.goto("/errors?tenant=open")
    page.wait_for_function(LIVE)
    group = page.locator("li:has(details)").filter(has_text="bank did not answer")
    summary = group.locator("summary")
    summary.focus()
    page.keyboard.press("Enter")
    expect(group.get_by_text("Retries:")).to_be_visible()
    errors_of(shop, "open", f1="another message")
    expect(page.get_by_text("another message")).to_be_visible()
    expect(group.get_by_text("Retries:")).to_be_visible()
    expect(summary).to_be_focused()


def test_a_question_is_about_what_it_was_asked_of_though_the_list_moves_on(page: Page, shop: RunningNode) -> None:
    documents, now = shop.node.store.documents, datetime.now(UTC)
    documents.put(
        "alerts", "moving-on/first", encode_document(an_alert("first", tenant="moving-on", service="first", started_at=now))
    )
    page.goto("/alerts?tenant=moving-on")
    page.wait_for_function(LIVE)
    page.get_by_role("button", name="Acknowledge").click()
    newer = an_alert("second", tenant="moving-on", service="second", started_at=now + timedelta(seconds=1))
    documents.put("alerts", "moving-on/second", encode_document(newer))
    expect(page.get_by_text("2 firing")).to_be_visible()
    dialog = page.get_by_role("dialog", name="Look after the alert of first?")
    dialog.get_by_role("button", name="Acknowledge").click()
    row = page.locator("tr", has=page.get_by_role("link", name="first"))
    expect(row).to_contain_text("acknowledged")
    expect(page.locator("tr", has=page.get_by_role("link", name="second"))).to_contain_text("firing")


def test_an_answer_that_is_given_twice_counts_once(page: Page, shop: RunningNode) -> None:
    put_service_of(shop.node.store.documents, prediction_of("twice", 0.4, "", "ok", datetime.now(UTC), tenant="twice"))
    page.goto("/service/twice?tenant=twice")
    page.wait_for_function(LIVE)
    page.get_by_role("button", name="It was right").click()
    page.evaluate(
        """() => {
          const form = document.querySelector('dialog form');
          form.dispatchEvent(new Event('submit', { cancelable: true }));
          form.dispatchEvent(new Event('submit', { cancelable: true }));
        }"""
    )
    expect(page.get_by_text("Thank you").first).to_be_visible()
    expect(page.get_by_text("1 verdict")).to_be_visible()
    assert len(list(shop.node.store.documents.items("feedback", "twice/"))) == 1


def test_without_a_connection_nothing_is_done_and_that_is_said(page: Page, shop: RunningNode) -> None:
    put_service_of(shop.node.store.documents, prediction_of("cut", 0.4, "", "ok", datetime.now(UTC), tenant="cut"))
    page.goto("/service/cut?tenant=cut")
    page.wait_for_function(LIVE)
    expect(page.locator("#live")).to_have_text("live")
    page.get_by_role("button", name="It was right").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Why").fill("typed at length")
    page.evaluate("window.socket.disconnect()")
    expect(page.locator("#live")).to_contain_text("not live")
    dialog.get_by_role("button", name="Say so").click()
    expect(dialog.get_by_role("alert")).to_contain_text("nothing was done")
    expect(dialog.get_by_label("Why")).to_have_value("typed at length")
    assert not list(shop.node.store.documents.items("feedback", "cut/"))


def test_a_prediction_turns_stale_in_the_browser_when_its_time_is_over(page: Page, shop: RunningNode) -> None:
    put_service_of(shop.node.store.documents, prediction_of("soon", 0.4, "", "ok", datetime.now(UTC), tenant="soon"))
    page.clock.install()
    page.goto("/service/soon?tenant=soon")
    page.wait_for_function(LIVE)
    chip = page.locator(".title .chip")
    expect(chip).to_have_text("ok")
    page.evaluate("window.socket.disconnect()")
    page.clock.fast_forward("25:00:00")
    expect(chip).to_have_text("stale")


def test_a_page_that_was_opened_too_early_fills_by_itself(page: Page, shop: RunningNode) -> None:
    page.goto("/service/later?tenant=early")
    page.wait_for_function(LIVE)
    expect(page.get_by_text("No prediction of this service")).to_be_visible()
    put_service_of(
        shop.node.store.documents, prediction_of("later", 0.4, "late but there", "ok", datetime.now(UTC), tenant="early")
    )
    expect(page.get_by_text("late but there")).to_be_visible()
    expect(page.get_by_role("heading", name="Forecasts and incidents")).to_be_visible()
    expect(page.locator("canvas")).to_have_count(4)


def test_who_is_at_a_row_by_keyboard_keeps_it_when_it_moves_out_of_sight(page: Page, shop: RunningNode) -> None:
    documents, now = shop.node.store.documents, datetime.now(UTC)
    for number in range(80):
        put_service_of(documents, prediction_of(f"row-{number:02}", 0.9 - number / 100, "", "ok", now, tenant="rows"))
    page.goto("/?tenant=rows")
    page.wait_for_function(LIVE)
    page.locator(ROW).filter(has_text="row-00").get_by_role("link").focus()
    put_service_of(documents, prediction_of("row-00", 0.001, "calm again", "ok", now + timedelta(seconds=60), tenant="rows"))
    expect(page.locator(ROW).first).to_contain_text("row-01")
    assert page.evaluate("document.activeElement.textContent") == "row-00"


def test_visits_leave_nothing_behind(browser: Browser, shop: RunningNode) -> None:
    """Clients are deleted as NiceGUI does it some seconds after their browser is gone."""

    def tasks() -> Counter[str]:
        assert core.loop is not None
        names = (task.get_name() for task in asyncio.all_tasks(core.loop))
        return Counter(name.rpartition(" ")[2] for name in names if name.startswith("func with client"))

    async def forget() -> None:
        for client in [one for one in Client.instances.values() if "never-there" in str(one.request.url)]:
            client.delete()

    before = tasks()
    context = browser.new_context(base_url=shop.served.api)
    for _ in range(3):
        page = context.new_page()
        page.goto("/?tenant=never-there")
        page.wait_for_function(LIVE)
    context.close()
    assert core.loop is not None
    asyncio.run_coroutine_threadsafe(forget(), core.loop).result(20.0)
    assert not tasks() - before


def test_what_cannot_be_read_says_so_in_its_place_and_hides_nothing_else(page: Page, shop: RunningNode) -> None:
    lost = shop.node.history.read
    put_service_of(shop.node.store.documents, prediction_of("half", 0.4, "half a page", "ok", datetime.now(UTC), tenant="half"))

    def refuse(*_: object, **__: object) -> None:
        raise InvalidValue("history is out of reach")

    shop.node.history.read = refuse  # type: ignore[method-assign, assignment]
    try:
        page.goto("/service/half?tenant=half")
        page.wait_for_function(LIVE)
        expect(page.get_by_text("half a page")).to_be_visible()
        expect(page.get_by_text("history is out of reach").first).to_be_visible()
    finally:
        shop.node.history.read = lost  # type: ignore[method-assign]
    put_service_of(
        shop.node.store.documents, prediction_of("half", 0.5, "a whole page", "ok", datetime.now(UTC), tenant="half")
    )
    expect(page.locator("canvas")).to_have_count(4)
    expect(page.get_by_text("history is out of reach")).to_have_count(0)


def test_a_verdict_can_be_taken_back_where_it_was_given(page: Page, shop: RunningNode) -> None:
    put_service_of(shop.node.store.documents, prediction_of("back", 0.4, "", "ok", datetime.now(UTC), tenant="back"))
    page.goto("/service/back?tenant=back")
    page.wait_for_function(LIVE)
    page.get_by_role("button", name="False alarm").click()
    page.get_by_role("dialog").get_by_role("button", name="Say so").click()
    page.get_by_role("button", name="Take back").click()
    page.get_by_role("dialog").get_by_role("button", name="Take back").click()
    expect(page.get_by_text("took back: false alarm")).to_be_visible()
    expect(page.get_by_role("button", name="Take back")).to_have_count(0)


def test_a_line_that_is_no_longer_sent_leaves_the_drawing(page: Page, shop: RunningNode) -> None:
    documents, names = shop.node.store.documents, "window.chartsOfPage()[1].getOption().series.map((one) => one.name)"
    trend = documents.get("trends", "default/payment/%2A")
    assert trend is not None
    put_service_of(documents, prediction_of("lines", 0.4, "", "ok", datetime.now(UTC), tenant="lines"))
    documents.put("trends", "lines/lines/%2A", trend.value)
    page.goto("/service/lines?tenant=lines")
    page.wait_for_function(LIVE)
    page.locator("canvas").nth(3).wait_for()
    assert "forecast bounds" in page.evaluate(names)
    documents.delete("trends", "lines/lines/%2A")
    page.wait_for_function(f"!{names}.includes('forecast bounds')")
    assert "errors" in page.evaluate(names)
