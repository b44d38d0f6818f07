"""What Alertmanager sends is checked where it is used, and left alone where it is not."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.api.alertmanager import AlertIn, AlertmanagerIn

ALERT = {"status": "firing", "labels": {"service": "cart"}, "startsAt": "2026-03-02T13:00:00+01:00", "novelty": {"a": 1}}


def test_times_are_utc_to_the_microsecond_and_what_is_new_is_passed_over() -> None:
    alert = AlertIn.model_validate(
        ALERT | {"startsAt": "2026-03-02T13:00:00.123456789+01:00", "endsAt": "0001-01-01T00:00:00Z"}
    )
    assert alert.starts_at == datetime(2026, 3, 2, 12, 0, 0, 123456, UTC)
    assert AlertmanagerIn.model_validate({"version": "4", "alerts": [ALERT], "receiver": "x"}).alerts[0].fingerprint == ""


@pytest.mark.parametrize("ends_at", [None, "0001-01-01T00:00:00Z", "2026-03-02T11:59:59Z"])
def test_resolved_alert_needs_an_end_after_its_start(ends_at: str | None) -> None:
    with pytest.raises(ValidationError, match="must not be before startsAt 2026-03-02T12:00:00"):
        AlertIn.model_validate(ALERT | {"status": "resolved", "endsAt": ends_at})
    assert AlertIn.model_validate(ALERT | {"endsAt": ends_at}).status == "firing"


_NAMES = st.sampled_from(["version", "alerts", "status", "labels", "startsAt", "endsAt", "service"])
_VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=8) | st.sampled_from(["4", "firing", "resolved", "2026-03-02T13:00:00Z"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(_VALUES)
def test_no_body_breaks_the_reader(body: object) -> None:
    with suppress(ValidationError):
        AlertmanagerIn.model_validate(body)
