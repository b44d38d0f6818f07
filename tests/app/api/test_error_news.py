"""What is new to a service that is known, or back after days, is news for a day."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from app.api.error_news import ErrorNews, news_of
from tests.api_builders import NOON, a_service_summary, an_error_group

GROUP = replace(an_error_group(), first_seen=NOON)
KNOWN = replace(a_service_summary("payment"), first_seen=NOON - timedelta(days=9))


def test_a_group_is_new_for_a_day_where_its_service_is_known_for_longer() -> None:
    assert news_of(GROUP, KNOWN, NOON + timedelta(hours=23)) == ErrorNews(new=True, since=NOON)
    assert news_of(GROUP, KNOWN, NOON + timedelta(hours=25)) == ErrorNews()
    assert news_of(GROUP, replace(KNOWN, first_seen=NOON), NOON) == ErrorNews()
    assert news_of(GROUP, None, NOON) == ErrorNews()


def test_a_group_that_came_back_is_regressed_and_not_new() -> None:
    back = replace(GROUP, returned_at=NOON + timedelta(hours=1))
    assert news_of(back, KNOWN, NOON + timedelta(hours=2)) == ErrorNews(regressed=True, since=NOON + timedelta(hours=1))
