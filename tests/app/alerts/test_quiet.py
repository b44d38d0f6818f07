"""Silences, and maintenance windows that come again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.alerts.quiet import in_force, silence_of, silenced_by
from app.cache.alert_records import MatcherRecord, SilenceRecord
from features.errors import InvalidValue
from tests.alert_builders import at

PAY = (MatcherRecord("service", "pay*"),)
HOUR = SilenceRecord("s1", "default", PAY, at(0), at(3600), "ann", "deploy", at(0))


def test_a_silence_is_in_force_from_its_start_up_to_but_without_its_end() -> None:
    assert [in_force(HOUR, at(s)) for s in (-1, 0, 3599, 3600)] == [False, True, True, False]


def test_one_that_somebody_ended_is_in_force_no_longer_but_was() -> None:
    ended = replace(HOUR, ended_at=at(600), ended_by="bob")
    assert [in_force(ended, at(s)) for s in (599, 600, 1200)] == [True, False, False]


def test_a_maintenance_window_keeps_its_local_time_and_ends_at_its_last() -> None:
    start = datetime(2026, 3, 25, 2, 0, tzinfo=UTC)  # three in the morning in Berlin, whose clocks go forward on the 29th
    weekly = SilenceRecord(
        "w",
        "default",
        PAY,
        start,
        start + timedelta(hours=1),
        "ann",
        "",
        start,
        "week",
        "Europe/Berlin",
        start + timedelta(weeks=3),
    )
    next_time = start + timedelta(weeks=1, hours=-1)
    assert [in_force(weekly, next_time + timedelta(minutes=m)) for m in (-1, 0, 59, 60)] == [False, True, True, False]
    assert not in_force(weekly, start + timedelta(days=1))
    assert not in_force(weekly, start + timedelta(weeks=4, hours=-1))


def test_over_midnight_it_is_one_window() -> None:
    late = datetime(2026, 1, 5, 23, 0, tzinfo=UTC)
    nightly = SilenceRecord("n", "default", PAY, late, late + timedelta(hours=3), "ann", "", late, "day")
    assert [in_force(nightly, late + timedelta(days=9, hours=h)) for h in (-1, 0, 2, 3)] == [False, True, True, False]


def test_of_several_the_first_name_is_given_and_labels_decide() -> None:
    silences = silenced_by([replace(HOUR, id="s2"), HOUR], at(10))
    assert [silence.id for silence in silences] == ["s1", "s2"]
    assert silence_of(silences, {"service": "payment"}) == "s1"
    assert silence_of(silences, {"service": "cart"}) is None


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"end": at(0)}, "end must be after start"),
        ({"end": at(367 * 86_400.0)}, "a year later at most"),
        ({"start": datetime(1, 1, 1, tzinfo=UTC), "end": datetime(1, 1, 2, tzinfo=UTC)}, "in the years 1900 to 2999"),
        ({"repeats": "month"}, "repeats must be"),
        ({"matchers": ()}, "at least one label"),
    ],
)
def test_a_silence_that_cannot_be_is_refused(changed: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        replace(HOUR, **changed)  # pyright: ignore[reportArgumentType]
