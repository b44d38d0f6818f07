"""The examples of the documentation run, and show what they say."""

from __future__ import annotations

import threading
from collections.abc import Generator
from datetime import UTC, datetime
from itertools import chain

import pytest

from docs.examples import coordination, error_handling, monitoring, prediction
from tests.dashboard_seed import seed
from tests.nodes import RunningNode, run_node


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningNode]:
    """A node of a shop in which payment fails."""
    with run_node(tmp_path_factory.mktemp("shop")) as running:
        seed(running.node, datetime.fromtimestamp(running.now_ns / 1e9, UTC))
        yield running


def test_what_may_be_sent_again_is_sent_again_and_what_may_not_is_not(
    shop: RunningNode, capsys: pytest.CaptureFixture[str]
) -> None:
    waited: list[float] = []
    assert error_handling.main(["--url", shop.served.api], sleep=waited.append) == [200, 402]
    assert len(waited) == 2
    shown = capsys.readouterr().out
    assert "429 is " in shown
    assert "not sent again" in shown


def test_the_riskiest_services_are_shown_with_reasons_and_the_past(
    shop: RunningNode, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "payment" in prediction.main(["--url", shop.served.api])
    shown = capsys.readouterr().out
    assert "within 15min" in shown
    assert "last incident: " in shown


def test_what_changes_is_shown_as_it_changes(shop: RunningNode, capsys: pytest.CaptureFixture[str]) -> None:
    watched = threading.Event()

    def change() -> None:
        now_s = shop.now_ns / 1e9
        while not watched.wait(0.2):
            now_s += 60.0
            seed(shop.node, datetime.fromtimestamp(now_s, UTC))

    changes = threading.Thread(target=change)
    changes.start()
    try:
        shown = monitoring.main(["--url", shop.served.api, "--seconds", "2", "--above", "0"])
    finally:
        watched.set()
        changes.join()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == shown > 0
    assert any(" risk      payment: " in line for line in lines)


@pytest.mark.cluster
def test_what_a_killed_node_held_others_hold(capsys: pytest.CaptureFixture[str]) -> None:
    before, after = coordination.main()
    assert (len(before), len(after)) == (3, 2)
    for held in (before, after):
        assert sorted(chain.from_iterable(held.values())) == list(range(12))
    assert "after the death of" in capsys.readouterr().out
