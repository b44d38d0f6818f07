"""The system page: the nodes, what comes in, and what a limit cut."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from app.dashboard.system import replays
from app.store.contract import Documents
from tests.app.dashboard.test_risks import a_failing_span
from tests.nodes import RunningNode

pytestmark = pytest.mark.system("chromium")


def test_nodes_partitions_and_rates_are_shown_with_their_age(page: Page, shop: RunningNode) -> None:
    shop.post("traces", a_failing_span("somebody", shop.now_ns), X_Scope_OrgID="system")
    shop.node.telemetry.limited.labels(reason="attributes").inc(3)
    page.goto("/system")
    row = page.locator("tbody tr").first
    expect(row).to_contain_text(shop.node.id)
    expect(row).to_contain_text("alive")
    expect(page.get_by_text("8 partitions")).to_be_visible()
    expect(page.get_by_role("row", name="limited attributes")).to_contain_text("/s", timeout=10_000)
    expect(page.locator("#collector")).to_contain_text(shop.served.otlp_http)


def test_how_far_a_replay_came_is_shown_while_it_goes_on(documents: Documents) -> None:
    assert replays(documents) == ""
    documents.put("demo", "shop", b'{"days": 2.0, "start": "2026-03-02T12:00:00+00:00"}')
    documents.put("demo", "fed", b"720")
    assert 'aria-valuenow="25"' in replays(documents)
    documents.put("demo", "live", b"1")
    assert replays(documents) == ""
    documents.put("replays", "day/1.jsonl", b'{"line": 150, "now_ns": 0, "tick": 0}')
    assert "<code>day/1.jsonl</code></td><td>150 lines taken in" in replays(documents)
