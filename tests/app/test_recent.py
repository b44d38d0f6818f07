"""Recent errors: grouped by fingerprint, bounded, and the same after a restart."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app import recent as recent_module
from app.cache.documents import decode_document
from app.cache.records import RecentErrors
from app.recent import Recent
from tests.api_builders import NOON, an_error_event


def test_like_errors_are_one_group_with_first_and_last_time() -> None:
    recent = Recent()
    assert recent.add(an_error_event(at_s=60.0))
    assert not recent.add(replace(an_error_event(), operation="GET /b", message="later words"))
    changed = recent.take_changed()
    (group,) = decode_document(changed["default", "payment"], RecentErrors).groups
    assert (group.count, group.first_seen, (group.last_seen - NOON).total_seconds()) == (2, NOON, 60.0)
    assert (group.message, group.operations) == ("later words", ("*", "GET /b"))
    assert group.advice is not None
    assert recent.take_changed() == {}


def test_groups_events_and_operations_are_bounded_and_the_least_recent_makes_room() -> None:
    recent = Recent()
    for number in range(300):
        recent.add(replace(an_error_event(), fingerprint=f"f{number}", operation=f"op{number}"))
    for number in range(40):
        recent.add(replace(an_error_event(), fingerprint="f299", operation=f"more{number}"))
    record = decode_document(recent.take_changed()["default", "payment"], RecentErrors)
    assert [group.fingerprint for group in record.groups] == [f"f{n}" for n in range(100, 300)]
    assert len(record.events) == 50
    assert len(record.groups[-1].operations) == 16
    assert recent.add(replace(an_error_event(), fingerprint="f0")), "what was forgotten is new again"


def test_the_kinds_shown_last_come_first() -> None:
    recent = Recent()
    for kind in ("timeout", "dns", "timeout", "out_of_memory"):
        recent.add(replace(an_error_event(), kind=kind, fingerprint=kind))
    assert recent.kinds("default", "payment") == ("out_of_memory", "timeout", "dns")
    assert recent.kinds("default", "payment", most=1) == ("out_of_memory",)
    assert recent.kinds("other", "payment") == ()


def test_a_restored_one_goes_on_as_the_other() -> None:
    one, other = Recent(), Recent()
    for number in range(5):
        one.add(replace(an_error_event(service=f"s{number % 2}"), fingerprint=f"f{number}"))
    other.restore(one.snapshot())
    assert other.snapshot() == one.snapshot()
    assert other.take_changed() == {}
    assert one.add(an_error_event(service="s0")) == other.add(an_error_event(service="s0"))
    assert other.snapshot() == one.snapshot()


def test_services_are_bounded_and_the_least_recent_makes_room_after_a_restart_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent_module, "_MAX_SERVICES", 3)
    recent, again = Recent(), Recent()
    for service in ("c", "b", "a", "c"):
        recent.add(an_error_event(service=service))
    again.restore(recent.snapshot())
    for one in (recent, again):
        assert one.add(an_error_event(service="d"))
        assert [key.split("\0")[1] for key in one.snapshot()] == ["a", "c", "d"]
    assert {service for _, service in recent.take_changed()} == {"a", "c", "d"}


def test_stacks_and_attributes_are_cut_but_not_those_of_the_event_itself() -> None:
    recent = Recent()
    event = replace(an_error_event(), stack="s" * 5000, attributes={f"k{n}": "v" * 5000 for n in range(40)})
    recent.add(event)
    (kept,) = decode_document(recent.take_changed()["default", "payment"], RecentErrors).events
    assert (kept.stack, len(kept.attributes)) == ("s" * 1024, 16)
    assert kept.attributes["k0"] == "v" * 1024
    assert len(event.stack) == 5000


def test_what_is_kept_compressed_says_the_same() -> None:
    packed, loose = Recent(), Recent()
    for number in range(150):
        event = replace(an_error_event(), fingerprint=f"f{number * number % 31}", message=f"order {number} not paid")
        assert packed.add(event) == loose.add(event)
        packed.cut()
    assert packed.snapshot() == loose.snapshot()
    assert packed.kinds("default", "payment") == loose.kinds("default", "payment")
    assert packed.take_changed() == loose.take_changed()


def test_what_is_back_after_two_days_says_since_when() -> None:
    recent = Recent()
    for hours in (0, 24, 72, 73):
        recent.add(an_error_event(at_s=hours * 3600.0))
    (group,) = decode_document(recent.take_changed()["default", "payment"], RecentErrors).groups
    assert group.returned_at is not None
    assert (group.returned_at - NOON).total_seconds() == 72 * 3600
    restored = Recent()
    restored.restore(recent.snapshot())
    restored.add(an_error_event(at_s=74 * 3600.0))
    (again,) = decode_document(restored.take_changed()["default", "payment"], RecentErrors).groups
    assert again.returned_at == group.returned_at
