"""One failure: as it was reported, and once it is classified."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from features.errors import InvalidValue
from features.event import ErrorEvent
from tests.telemetry import a_record

AT = datetime(2026, 1, 1, tzinfo=UTC)
EVENT = ErrorEvent(AT, AT, "default", "web", "GET /", "network", "timeout", 17, True, True, "f1")


@pytest.mark.parametrize("name", ["time", "received_at"])
def test_time_without_a_zone_is_refused(name: str) -> None:
    with pytest.raises(InvalidValue, match="time and received_at must be aware"):
        replace(EVENT, **{name: datetime(2026, 1, 1)})


def test_same_instant_in_another_zone_is_the_same_event() -> None:
    assert replace(EVENT, time=AT.astimezone(timezone(timedelta(hours=2)))) == EVENT


def test_events_do_not_share_attributes_and_stand_for_one_failure() -> None:
    one, other = a_record("web"), a_record("web")
    assert one == other
    assert one.attributes is not other.attributes
    assert EVENT.weight == one.weight == 1.0
