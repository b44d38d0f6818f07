"""What errors of notices say beside their text."""

from __future__ import annotations

import pytest

from features.errors import NotDelivered, NoticeRefused, NotLetIn


@pytest.mark.parametrize(
    ("kind", "away", "retryable"), [(NotDelivered, True, True), (NoticeRefused, False, False), (NotLetIn, False, False)]
)
def test_who_refuses_is_there_and_who_is_silent_may_not_be(kind: type[NotDelivered], away: bool, retryable: bool) -> None:
    plain, said = kind("answered"), kind("answered", away=not away, wait_s=3.0)
    assert (str(plain), plain.away, plain.wait_s, plain.retryable) == ("answered", away, 0.0, retryable)
    assert (said.away, said.wait_s) == (not away, 3.0)
    assert isinstance(said, NotDelivered)
