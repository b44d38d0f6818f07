"""What a partition remembers of its errors is the same after a restart."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from app import absorb as absorb_module
from app.absorb import PartitionErrors
from app.flow import Flow, FlowPlan
from app.ingest.codec import BatchMessage
from app.telemetry import Telemetry
from features.batch import Batch
from features.event import ErrorRecord
from features.memory import MemoryPlan
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


@pytest.mark.parametrize(("tick_s", "hour", "quarter"), [(60, 60, 15), (10, 360, 90), (3600, 1, 1)])
def test_an_hour_is_an_hour_whatever_the_tick(tick_s: int, hour: int, quarter: int) -> None:
    repeats = PartitionErrors(Rules(), tick_s).repeats
    assert [repeats.batch("b", tick) for tick in (0, hour, hour + 1)] == [False, True, False]
    assert [repeats.failure("default", a_record(), tick) for tick in (0, quarter, quarter + 1)] == [False, True, False]


def test_templates_are_kept_for_a_bounded_number_of_tenants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(absorb_module, "_MAX_TENANTS", 2)
    errors = PartitionErrors(Rules())
    for tenant in ("red", "blue", "red", "green"):
        errors.event(tenant, a_record("user 7 has no card", kind=""), 0)
    assert list(msgspec.msgpack.decode(errors.snapshot()["errors/templates"])) == ["red", "green"]


def test_errors_of_a_service_that_the_directory_refused_are_counted_and_leave_nothing() -> None:
    flow = Flow(FlowPlan(MemoryPlan(max_series_per_tenant=2)), Telemetry())
    for number in range(50):
        record = replace(a_record(span=f"s{number}"), service=f"name-{number}")
        batch = Batch("logs", errors=(record,))
        flow.absorb(0, BatchMessage("default", f"b{number}", 130 * SECOND, batch))
    assert flow.telemetry.value("limited", reason="series_refused") == 48
    assert flow.telemetry.value("errors", category="network") == 2
    assert {service for _, service in flow.errors_of(0).recent.take_changed()} == {"name-0", "name-1"}
