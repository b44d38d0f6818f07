"""A node with a shop in which payment fails, for the tests of a file, and clients of it over a real socket."""

from __future__ import annotations

from collections.abc import Generator
from datetime import UTC, datetime

import pytest

from app.client import Foreshock
from tests.dashboard_seed import seed
from tests.inboxes import Receiver, receiver
from tests.nodes import RunningNode, run_node


@pytest.fixture(scope="session")
def runbook() -> Generator[Receiver]:
    """Who takes the steps of plans."""
    with receiver() as found:
        yield found


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, runbook: Receiver) -> Generator[RunningNode]:
    """A node whose default tenant has a shop in which payment fails; other tenants have nothing."""
    folder = tmp_path_factory.mktemp("shop")
    with run_node(folder, runbook__url=runbook.url, runbook__secret="sixteen characters") as running:
        seed(running.node, datetime.fromtimestamp(running.now_ns / 1e9, UTC))
        yield running


@pytest.fixture
def foreshock(shop: RunningNode) -> Generator[Foreshock]:
    with Foreshock(shop.served.api) as client:
        yield client
