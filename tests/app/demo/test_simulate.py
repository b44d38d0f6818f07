"""The shop is a pure function of seed and minute, records its truth, and has as many faults as asked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest

from app.demo.render import requests
from app.demo.simulate import SPARE_DAYS, DemoPlan, Shop
from app.demo.topology import TOPOLOGY
from app.demo.traces import ENTRY
from features.errors import InvalidValue

START = datetime(2026, 1, 5, tzinfo=UTC)


def a_shop(seed: int = 1, days: float = 1.0, faults_per_day: float = 24.0) -> Shop:
    return Shop(seed, days, faults_per_day, START)


def test_same_seed_gives_the_same_bytes_and_another_seed_does_not() -> None:
    one, same, other = a_shop(4), a_shop(4), a_shop(5)
    for number in (0, 17, 700, 1439):
        assert requests(one.minute(number)) == requests(same.minute(number))
        assert requests(one.minute(number)) != requests(other.minute(number))


def test_any_minute_on_its_own_equals_the_minute_in_sequence() -> None:
    shop = a_shop()
    in_sequence = {number: requests(shop.minute(number)) for number in range(300, 340)}
    for number in (339, 300, 321):
        assert requests(a_shop().minute(number)) == in_sequence[number]


def test_more_days_change_no_minute_of_the_first_ones() -> None:
    short, long = a_shop(days=1), a_shop(days=9)
    assert short.truth() == long.truth()[: len(short.truth())]
    assert short.decoys() == long.decoys()[: len(short.decoys())]
    for number in range(0, 1440, 97):
        assert requests(short.minute(number)) == requests(long.minute(number))


def test_schedule_reaches_beyond_the_days_and_can_be_extended() -> None:
    shop = a_shop(days=1)
    beyond = (1 + SPARE_DAYS) * 1440
    assert len(shop.minute(beyond - 1).spans) > 0
    with pytest.raises(InvalidValue, match=r"minute must be in \[0, 4320\), got 4320"):
        shop.minute(beyond)
    assert requests(shop.extended(beyond).minute(beyond - 1)) == requests(shop.minute(beyond - 1))
    assert len(shop.extended(beyond).minute(beyond).spans) > 0
    assert shop.extended(5) is shop


@pytest.mark.parametrize(
    ("seed", "days", "rate", "start", "says"),
    [
        (1, 1.0, 24.0, datetime(2026, 1, 5), "start must be aware"),
        (-1, 1.0, 24.0, START, "seed must be at least 0"),
        (1, 0.0, 24.0, START, "days in"),
        (1, 1.0, 0.0, START, r"faults_per_day must be in \(0, 48\], got 0.0"),
        (1, 1.0, 49.0, START, "faults_per_day must be in"),
    ],
)
def test_impossible_shops_are_refused(seed: int, days: float, rate: float, start: datetime, says: str) -> None:
    with pytest.raises(InvalidValue, match=says):
        Shop(seed, days, rate, start)


def test_start_is_taken_in_utc_without_seconds() -> None:
    shop = Shop(1, 1.0, 24.0, datetime(2026, 1, 5, 1, 0, 59, tzinfo=timezone(timedelta(hours=1))))
    assert shop.start == START
    assert shop.time(61) == START + timedelta(minutes=61)


def test_traffic_has_a_daily_rhythm_and_every_service_is_used_at_night() -> None:
    shop = a_shop(1, 7, 1.0)
    per_minute = np.array([len(shop.minute(m).spans) for m in range(0, 7 * 1440, 16)])
    assert 100 < per_minute.mean() < 165
    by_hour = per_minute[: 90 * 7].reshape(7, 90).mean(axis=0)
    assert by_hour.max() / by_hour.min() > 1.8
    night = np.zeros(len(TOPOLOGY.services))
    for day in range(7):
        for number in range(day * 1440 + 200, day * 1440 + 280, 4):
            spans = shop.minute(number).spans
            entries = spans.ref[spans.role == ENTRY]
            night += np.bincount(TOPOLOGY.service[entries], minlength=len(night))
    assert (night / 140 > 3.3).all(), dict(zip(TOPOLOGY.services, night / 140, strict=True))


def test_defaults_of_the_demo_make_a_shop() -> None:
    plan = DemoPlan()
    assert Shop(plan.seed, plan.days, plan.faults_per_day, START).n_minutes == 3 * 1440
