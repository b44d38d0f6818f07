"""The limits of the settings hold by token and by address, and say when to come again."""

from __future__ import annotations

import pytest

from app.edge.throttle import Throttle, TooOften
from app.edge_settings import LimitSettings
from app.telemetry import Telemetry


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_nothing_is_limited_by_default_but_wrong_tokens() -> None:
    throttle = Throttle(LimitSettings(), Telemetry(), Clock())
    for _ in range(100_000):
        throttle.admit("collector", "203.0.113.9")
    throttle.charge("collector", "203.0.113.9", 2**40)
    throttle.admit("collector", "203.0.113.9")
    assert not throttle.is_on


def test_a_token_and_an_address_have_each_their_own_rate() -> None:
    clock, telemetry = Clock(), Telemetry()
    throttle = Throttle(LimitSettings(token_requests_per_s=1.0, address_requests_per_s=2.0), telemetry, clock)
    for _ in range(10):
        throttle.admit("a", "203.0.113.9")
    with pytest.raises(TooOften, match=r"requests of one token must be <= 1 a second, got more; ask again in 1 s") as refused:
        throttle.admit("a", "198.51.100.7")
    assert refused.value.retry_after_s == 1
    for _ in range(10):
        throttle.admit("b", "203.0.113.9")
    with pytest.raises(TooOften, match="requests of one address must be <= 2 a second"):
        throttle.admit("c", "203.0.113.9")
    throttle.admit("c", "198.51.100.7")
    clock.now_s += 1.0
    throttle.admit("a", "203.0.113.9")
    assert telemetry.value("throttled", reason="token_requests") == 1
    assert telemetry.value("throttled", reason="address_requests") == 1


def test_who_sends_more_bytes_than_it_may_waits_until_they_have_come_in() -> None:
    clock, telemetry = Clock(), Telemetry()
    throttle = Throttle(LimitSettings(token_bytes_per_s=100.0), telemetry, clock)
    throttle.admit("a", "203.0.113.9")
    throttle.charge("a", "203.0.113.9", 10_000)  # 9,000 more than its burst
    with pytest.raises(TooOften, match="bytes of one token must be <= 100 a second") as refused:
        throttle.admit("a", "203.0.113.9")
    assert refused.value.retry_after_s == 91
    clock.now_s += 90.02
    throttle.admit("a", "203.0.113.9")
    assert telemetry.value("throttled", reason="token_bytes") == 1


def test_an_address_that_shows_wrong_tokens_is_told_to_wait() -> None:
    clock, telemetry = Clock(), Telemetry()
    throttle = Throttle(LimitSettings(failed_logins_per_minute=3.0), telemetry, clock)
    for _ in range(3):
        throttle.failed_login("203.0.113.9")
    with pytest.raises(TooOften, match="wrong tokens of one address must be <= 3 a minute") as refused:
        throttle.failed_login("203.0.113.9")
    assert refused.value.retry_after_s == 20
    throttle.failed_login("198.51.100.7")
    clock.now_s += 20.0
    throttle.failed_login("203.0.113.9")
    assert telemetry.value("throttled", reason="failed_logins") == 1


def test_nobody_without_a_token_counts_as_one_token() -> None:
    throttle = Throttle(LimitSettings(token_requests_per_s=0.1), Telemetry(), Clock())
    for _ in range(100):
        throttle.admit("", "203.0.113.9")


def test_a_request_counts_by_its_connection_or_by_what_a_trusted_proxy_says() -> None:
    scope = {"client": ("10.0.0.1", 5000), "headers": [(b"x-forwarded-for", b"1.2.3.4"), (b"x-forwarded-for", b"5.6.7.8")]}
    assert Throttle(LimitSettings(), Telemetry()).address_of(scope) == "10.0.0.1"
    assert Throttle(LimitSettings(trusted_proxies=("10.0.0.1",)), Telemetry()).address_of(scope) == "5.6.7.8"
    assert Throttle(LimitSettings(), Telemetry()).address_of({"client": None, "headers": []}) == ""
