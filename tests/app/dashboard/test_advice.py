"""Every kind of error has advice that can be shown."""

from __future__ import annotations

from app.dashboard.advice import advised
from features.recovery import advise
from features.taxonomy import KINDS


def test_advice_says_what_to_do_and_whether_to_retry() -> None:
    shown = [advised(advise(kind)) for kind in KINDS]
    assert all("Now: " in one and "Retries: " in one for one in shown)
    assert any("not safe" in one for one in shown)
    assert any("at most" in one for one in shown)
