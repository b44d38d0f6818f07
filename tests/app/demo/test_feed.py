"""History is sent minute by minute."""

from __future__ import annotations

from datetime import UTC, datetime

from app.demo.feed import feed
from app.demo.simulate import Shop

START = datetime(2026, 1, 5, tzinfo=UTC)


def a_shop(seed: int = 1, days: float = 1.0, faults_per_day: float = 24.0) -> Shop:
    return Shop(seed, days, faults_per_day, START)


def test_feed_sends_each_minute_at_its_end_and_nothing_later_than_that() -> None:
    shop = a_shop()
    sent: list[tuple[str, datetime]] = []
    n = feed(shop, range(10, 13), lambda signal, body, at: sent.append((signal, at)) if body else None)
    assert n == len(sent) == 9
    assert [at for _, at in sent[::3]] == [shop.time(11), shop.time(12), shop.time(13)]
    assert [signal for signal, _ in sent[:3]] == ["traces", "logs", "metrics"]
    for number in range(400, 480):
        spans = shop.minute(number).spans
        assert spans.start_ns.min() >= 0
        assert spans.end_ns.max() <= 60 * 10**9
