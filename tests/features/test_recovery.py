from __future__ import annotations

from math import inf, nan

import pytest

from features.errors import InvalidValue
from features.recovery import Advice, advise
from features.recovery_table import ROWS
from features.taxonomy import KINDS


def test_every_kind_has_advice_and_no_advice_lacks_its_kind() -> None:
    assert set(ROWS) == set(KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_advice_says_what_to_do_where_to_look_and_what_to_fix(name: str) -> None:
    advice = advise(name)
    assert advice.kind == name
    assert len(advice.now.split()) >= 8
    assert len(advice.check) >= 2
    assert len(advice.fix) >= 2
    assert advice.retry.safe == "no" or 0 < advice.retry.first_s <= advice.retry.max_s


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_that_is_not_retryable_is_never_advised_to_be_repeated_blindly(name: str) -> None:
    retry = advise(name).retry
    assert (retry.safe == "no") == (retry.attempts == 0)
    if not KINDS[name].retryable:
        assert retry.safe != "yes"


def test_no_two_kinds_share_their_first_advice() -> None:
    advice: list[Advice] = [advise(name) for name in KINDS]
    assert len({row.now for row in advice}) >= len(advice) - 1
    assert len({row.check for row in advice}) == len(advice)


def test_retry_after_becomes_the_first_delay() -> None:
    retry = advise("rate_limited", retry_after_s=120).retry
    assert (retry.first_s, retry.max_s, retry.jitter) == (120, 120, "none")
    assert "120 s" in retry.text
    assert "no earlier" in retry.text


def test_a_retry_after_that_is_too_far_away_means_no_retry_now() -> None:
    assert advise("rate_limited", retry_after_s=7200).retry.backoff == "no retry"


def test_retry_after_makes_nothing_repeatable_that_is_not() -> None:
    assert advise("permission_denied", retry_after_s=5).retry == advise("permission_denied").retry


@pytest.mark.parametrize("seconds", [-1.0, inf, nan])
def test_an_impossible_retry_after_is_refused(seconds: float) -> None:
    with pytest.raises(InvalidValue, match=r"retry_after_s must be in \[0, inf\), got"):
        advise("rate_limited", retry_after_s=seconds)


def test_a_kind_of_a_user_gets_the_advice_for_the_unknown_under_its_own_name() -> None:
    own = advise("seat_taken")
    assert (own.kind, own.now) == ("seat_taken", advise("unknown").now)


def test_one_retry_is_told_in_the_singular() -> None:
    assert advise("token_expired").retry.backoff.startswith("1 retry: ")
