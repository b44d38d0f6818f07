"""Alerts, notices and thresholds as they are kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.cache.alert_records import AlertRecord, DeliveryRecord, NoticeRecord, ThresholdRecord, ThresholdStep
from app.cache.documents import decode_document, encode_document
from features.errors import InvalidValue
from tests.alert_builders import an_alert, at


def test_an_alert_comes_back_as_it_was_written() -> None:
    alert = an_alert(state="acknowledged", acknowledged_by="ann", acknowledged_at=at(9))
    assert decode_document(encode_document(alert), AlertRecord) == alert


def test_a_state_that_there_is_not_is_refused() -> None:
    with pytest.raises(InvalidValue, match="state must be one of"):
        an_alert(state="asleep")


def test_an_alert_is_active_once_it_fired_until_it_is_over() -> None:
    states = ("pending", "firing", "acknowledged", "silenced", "inhibited", "resolved")
    assert [an_alert(state=state).active for state in states] == [False, True, True, True, True, False]
    assert [an_alert(state=state).over for state in states] == [False] * 5 + [True]


def test_a_notice_is_settled_once_all_have_the_last_word() -> None:
    told = {"post": DeliveryRecord(2, at(0)), "mail": DeliveryRecord(1, at(0))}
    notice = NoticeRecord("a-1", "default", "a-1", ("post", "mail"), 2, False, {}, {}, at(0), at(60), delivered=told)
    assert not notice.settled
    assert not replace(notice, firing=True, seq=1).settled
    assert replace(notice, delivered=told | {"mail": DeliveryRecord(2, at(0))}).settled


def test_the_threshold_of_a_time_is_the_last_before_it() -> None:
    steps = (ThresholdStep(at(0), 0.5, "default"), ThresholdStep(at(60), 0.4, "history"))
    record = ThresholdRecord("default", "pages", 2.0, 0.4, 0.28, "history", at(60), steps=steps)
    assert [record.at(at(s)) for s in (-1, 0, 59, 60)] == [None, steps[0], steps[0], steps[1]]
