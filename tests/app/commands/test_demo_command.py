"""The demonstration: one shop a folder, its history through the real line, and nothing twice when it is begun again."""

from __future__ import annotations

import json
import signal
from collections.abc import Generator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from app.commands.demo_command import DemoOptions, feed_history, run, shop_of
from app.demo.render import requests
from app.demo.simulate import Shop
from app.ingest.limits import Limits
from app.ingest.otlp import decode
from app.main import Node
from app.replay import ReplayClock
from features.batch import channel
from features.errors import InvalidValue
from tests.nodes import settings_in

OPTIONS = DemoOptions(seed=3, days=0.02, faults_per_day=24.0, live=False)


@pytest.fixture
def signals() -> Generator[None]:
    before = {name: signal.getsignal(name) for name in (signal.SIGTERM, signal.SIGINT)}
    yield
    for name, handler in before.items():
        signal.signal(name, handler)


def test_a_folder_keeps_its_shop_and_refuses_another(tmp_path: Path) -> None:
    with closing(Node(settings_in(tmp_path))) as node:
        shop = shop_of(node, OPTIONS)
        assert abs(shop.time(shop.n_minutes) - datetime.now(UTC)) < timedelta(minutes=2)
        assert shop_of(node, OPTIONS).start == shop.start
        with pytest.raises(InvalidValue, match="choose another --data"):
            shop_of(node, DemoOptions(seed=4, days=0.02))


def test_history_that_was_interrupted_is_fed_once(tmp_path: Path) -> None:
    class Interrupted(Exception):
        pass

    def interrupt(share: float, _text: str) -> None:
        if share > 0.8:
            raise Interrupted

    with fed_node(tmp_path) as (node, clock), pytest.raises(Interrupted):
        feed_history(node, shop_of(node, OPTIONS), clock, interrupt, "history")
    with fed_node(tmp_path) as (node, clock):
        shop = shop_of(node, OPTIONS)
        feed_history(node, shop, clock, lambda _share, _text: None, "history")
        rows = node.history.read("windows").to_pylist()
        fed = node.store.documents.get("demo", "fed")
    assert fed is not None
    totals = {row["service"]: 0.0 for row in rows}
    for row in rows:
        totals[row["service"]] += row["total"] if row["operation"] == "*" else 0.0
    assert totals == rendered(shop, int(fed.value))


@contextmanager
def fed_node(folder: Path) -> Generator[tuple[Node, ReplayClock]]:
    clock = ReplayClock()
    with closing(Node(settings_in(folder, store__checkpoint_s=3600), now_ns=clock)) as node:
        node.start_worker()
        yield node, clock


def rendered(shop: Shop, minutes: int) -> dict[str, float]:
    """Return how many requests each service of the shop got."""
    totals: dict[str, float] = {}
    for number in range(minutes):
        for name, body in requests(shop.minute(number)):
            batch = decode(body, name, "protobuf", limits=Limits())  # pyright: ignore[reportArgumentType]
            for place, counts in zip(batch.group_series.tolist(), batch.counts, strict=True):
                service = batch.series[place][0]
                totals[service] = totals.get(service, 0.0) + float(counts[channel("total")])
    return totals


@pytest.mark.usefixtures("signals")
def test_a_history_that_is_too_short_to_learn_from_says_so_and_leaves_the_truth(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="must hold at least 10 incidents to learn from"):
        run(settings_in(tmp_path), OPTIONS, True, Console(quiet=True))
    assert isinstance(json.loads((tmp_path / "truth.json").read_text(encoding="utf-8")), list | dict)
