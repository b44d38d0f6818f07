"""The runbook's settings are checked at the start, and its secrets are never shown."""

from __future__ import annotations

import pytest

from app.settings import load_settings
from features.errors import InvalidSetting

SECRET = "a secret of sixteen"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"runbook.url": "ftp://token-1234@host"}, "http://"),
        ({"runbook.url": "https://host:99999/token-1234", "runbook.secret": SECRET}, "http://"),
        ({"runbook.url": "https://host/token-1234"}, "16 characters"),
        ({"runbook.url": "https://host/token-1234", "runbook.secret": "short"}, "16 characters"),
        ({"runbook.timeout_s": 0}, "greater than 0"),
    ],
)
def test_what_cannot_work_stops_the_start_without_telling_secrets(values: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidSetting, match=message) as raised:
        load_settings(None, **values)
    assert "token-1234" not in str(raised.value)
    assert "short" not in str(raised.value)


def test_printed_settings_hold_neither_address_nor_secret() -> None:
    settings = load_settings(None, **{"runbook.url": "https://host/token-1234", "runbook.secret": SECRET})
    shown = settings.model_dump_json()
    assert "token-1234" not in shown
    assert SECRET not in shown
