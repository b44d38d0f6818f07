"""What a partition remembers of its errors is the same after a restart."""

from __future__ import annotations

from app.absorb import PartitionErrors
from features.event import ErrorRecord
from features.rules import Rules

SECOND = 10**9


def a_record(
    message: str = "no answer from 10.0.0.7 after 31 ms", *, span: str = "a", kind: str = "TimeoutError"
) -> ErrorRecord:
    return ErrorRecord("span", "payment", "POST /charge", 120 * SECOND, 17, "t", span, kind, message, "", {})


def test_an_error_is_classified_and_its_first_sight_is_told() -> None:
    errors = PartitionErrors(Rules())
    event, novel = errors.event("default", a_record(), 130 * SECOND)
    assert (event.kind, event.category, novel) == ("timeout", "network", True)
    assert (event.time.timestamp(), event.received_at.timestamp()) == (120.0, 130.0)
    again, novel = errors.event("default", a_record("no answer from 10.0.0.9 after 7 ms"), 130 * SECOND)
    assert (again.fingerprint, novel) == (event.fingerprint, False)
    _, novel = errors.event("other", a_record(), 130 * SECOND)
    assert novel, "tenants share nothing"


def test_a_new_partition_restores_to_nothing() -> None:
    errors = PartitionErrors(Rules())
    errors.restore({})
    assert errors.snapshot() == PartitionErrors(Rules()).snapshot()


def test_a_restored_partition_goes_on_as_the_other() -> None:
    one, other = PartitionErrors(Rules()), PartitionErrors(Rules())
    one.repeats.batch("b", 2)
    one.repeats.failure("default", a_record(), 2)
    for number in range(20):
        one.event("default", a_record(f"user {number} has no {'card' if number % 2 else 'address'}", kind=""), 130 * SECOND)
    other.restore(one.snapshot())
    assert other.snapshot() == one.snapshot()
    for errors in (one, other):
        assert errors.repeats.batch("b", 3)
        assert errors.repeats.failure("default", a_record(), 3)
    assert one.event("default", a_record("new words"), 0) == other.event("default", a_record("new words"), 0)
    assert other.snapshot() == one.snapshot()
