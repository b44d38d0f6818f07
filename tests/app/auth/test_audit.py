"""What is done is written before and after, is never written over, and goes when its time is over."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.auth import AuditLog, Deed
from app.auth.audit import BUCKET
from app.store.contract import Documents
from features.errors import InvalidValue
from tests.api_builders import NOON, Clock

DAY_S = 86_400.0


@pytest.fixture
def audit(documents: Documents, clock: Clock) -> AuditLog:
    return AuditLog(documents, clock, 3 * DAY_S)


def a_deed(action: str = "model.promote", about: str = "/api/v1/models/v1:promote") -> Deed:
    return Deed(action, "ann", "shop", "192.0.2.7", about)


def test_a_deed_is_there_before_it_is_done_and_says_afterwards_what_became_of_it(audit: AuditLog, clock: Clock) -> None:
    begun = audit.begin(a_deed())
    assert list(audit.deeds()) == [begun]
    assert (begun.outcome, begun.at) == ("begun", NOON)
    clock.move(3)
    ended = audit.end(begun, "200", "/api/v1/models/v1")
    assert list(audit.deeds()) == [ended]
    assert (ended.outcome, ended.at, ended.object) == ("200", NOON, "/api/v1/models/v1")


def test_both_words_stay_as_they_were_written(audit: AuditLog, documents: Documents) -> None:
    audit.end(audit.begin(a_deed()), "200")
    kept = documents.items(BUCKET)
    assert len(kept) == 2
    with pytest.raises(Exception, match="revision"):
        documents.swap(BUCKET, kept[0].key, b"{}", 0)


def test_deeds_come_newest_first_over_days_and_within_an_interval(audit: AuditLog, clock: Clock) -> None:
    for number in range(5):
        audit.begin(a_deed(f"a{number}"))
        clock.move(DAY_S / 2)
    assert [deed.action for deed in audit.deeds()] == ["a4", "a3", "a2", "a1", "a0"]
    half = timedelta(days=0.5)
    assert [deed.action for deed in audit.deeds(NOON + half, NOON + 3 * half)] == ["a2", "a1"]


def test_a_deed_goes_when_its_time_is_over_and_no_earlier(audit: AuditLog, documents: Documents, clock: Clock) -> None:
    audit.begin(a_deed())
    clock.move(3 * DAY_S - 1)
    assert len(list(audit.deeds())) == 1
    clock.move(2)
    assert list(audit.deeds()) == []
    documents.purge()
    assert documents.items(BUCKET) == []


def test_no_token_and_no_endless_text_comes_into_the_log(audit: AuditLog) -> None:
    begun = audit.begin(a_deed(about="/api/v1/tokens/fsk_0123456789ab_" + "A" * 43 + "/" + "x" * 9999))
    assert begun.object.startswith("/api/v1/tokens/fsk_.../x")
    assert len(begun.object) == 512


def test_an_entry_that_cannot_be_read_is_not_passed_over(audit: AuditLog, documents: Documents) -> None:
    documents.put(BUCKET, "2026-03-02/120000000000-x", b"{}")
    with pytest.raises(InvalidValue, match="2026-03-02/120000000000-x"):
        list(audit.deeds())
