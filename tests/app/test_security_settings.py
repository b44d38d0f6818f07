"""Settings of access: what is open where nobody said a word, and how long the audit log keeps what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.settings import load_settings
from features.errors import InvalidSetting


def test_nothing_is_opened_until_somebody_says_so(tmp_path: Path) -> None:
    security = load_settings(None, data=tmp_path).security
    assert (security.require_tokens, security.allow_open, security.open_metrics) == (False, False, False)


@pytest.mark.parametrize(("days", "seconds"), [(90.0, 7_776_000.0), (0.5, 43_200.0), (3650.0, 315_360_000.0)])
def test_days_of_the_audit_log_are_seconds_of_its_store(days: float, seconds: float, tmp_path: Path) -> None:
    assert load_settings(None, data=tmp_path, **{"security.audit_days": days}).security.audit_s == seconds


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("audit_days", 0.0, r"security\.audit_days: .*greater than 0, got 0"),
        ("audit_days", 3651.0, r"security\.audit_days: .*less than or equal to 3650, got 3651"),
        ("session_hours", 0.05, r"security\.session_hours: .*greater than or equal to 0\.1, got 0\.05"),
        ("session_hours", 721.0, r"security\.session_hours: .*less than or equal to 720, got 721"),
    ],
)
def test_a_value_beyond_its_bound_is_named_with_it(name: str, value: float, words: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match=words):
        load_settings(None, data=tmp_path, **{f"security.{name}": value})
