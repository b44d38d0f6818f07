"""One node with its dashboard for all tests here, since NiceGUI is one for a process; a Chromium for each file, a window for each test."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

from app.cache.documents import BUCKETS
from app.settings import StoreSettings
from app.store.contract import Documents
from app.store.sqlite import open_store
from tests.browsers import QUIET
from tests.dashboard_seed import seed
from tests.inboxes import Receiver, receiver
from tests.nodes import RunningNode, run_node

SCREENSHOTS = Path(__file__).parents[3] / "build" / "screenshots"


@pytest.fixture
def documents(tmp_path: Path) -> Generator[Documents]:
    """Documents of a store, without a node."""
    plan = StoreSettings(commit_window_ms=0.0)
    with open_store(tmp_path / "store", settings=plan, max_in_flight_bytes=2**24, now=lambda: datetime.now(UTC)) as store:
        yield store.documents


@pytest.fixture(scope="session")
def runbook() -> Generator[Receiver]:
    """Who takes the steps of plans."""
    with receiver() as found:
        yield found


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory, runbook: Receiver) -> Generator[RunningNode]:
    """A node whose default tenant has a shop in which payment fails; other tenants have nothing."""
    folder, secret = tmp_path_factory.mktemp("shop"), "sixteen characters"
    with run_node(folder, dashboard__enabled=True, runbook__url=runbook.url, runbook__secret=secret) as running:
        seed(running.node, datetime.now(UTC))
        yield running


_BUCKETS = (*BUCKETS, "notices", "backtest-pages", "waiting-runs", "idempotency")


@pytest.fixture(scope="module", autouse=True)
def as_it_was(request: pytest.FixtureRequest) -> Generator[None]:
    """Leave the documents of the shop to the next file as they were."""
    if not any("shop" in item.fixturenames for item in _tests_of(request)):
        yield
        return
    documents = request.getfixturevalue("shop").node.store.documents
    before = {bucket: {one.key: one.value for one in documents.items(bucket)} for bucket in _BUCKETS}
    yield
    for bucket, known in before.items():
        now = {one.key: one.value for one in documents.items(bucket)}
        for key in now.keys() - known.keys():
            documents.delete(bucket, key)
        for key, value in known.items():
            if now.get(key) != value:
                documents.put(bucket, key, value)


def _tests_of(request: pytest.FixtureRequest) -> list[pytest.Function]:
    """Return the tests of the file that a fixture is for."""
    items = [item for item in request.session.items if isinstance(item, pytest.Function)]
    return [item for item in items if item.path == request.path]


@pytest.fixture(scope="module")
def browser() -> Generator[Browser]:
    """Chromium, gone before another file is tested: Playwright keeps an event loop running in this thread."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(QUIET))
        yield chromium
        chromium.close()


@contextmanager
def window(browser: Browser, shop: RunningNode, **options: Any) -> Generator[Page]:
    """Open a window of a desk's size; nothing that it asks for may lie elsewhere, and nothing may go wrong in it."""
    context = browser.new_context(
        viewport={"width": 1360, "height": 850}, base_url=shop.served.api, color_scheme="light", **options
    )
    page, elsewhere, wrong = context.new_page(), list[str](), list[str]()

    def asked(request: Request) -> None:
        if not request.url.startswith((shop.served.api, "data:", "blob:")):
            elsewhere.append(request.url)

    def said(message: ConsoleMessage) -> None:
        if message.type == "error":
            wrong.append(message.text)

    page.on("request", asked)
    page.on("console", said)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.set_default_timeout(20_000)
    yield page
    context.close()
    assert elsewhere == [], "a request left this machine"
    assert wrong == [], "something went wrong in the browser, or its policy refused something"


@pytest.fixture
def page(browser: Browser, shop: RunningNode) -> Generator[Page]:
    """A window."""
    with window(browser, shop) as found:
        yield found


@pytest.fixture
def audited(browser: Browser, shop: RunningNode) -> Generator[Page]:
    """A window in which axe may add the style elements that the pages' policy refuses."""
    with window(browser, shop, bypass_csp=True) as found:
        yield found
