"""Every kind of fault leaves the signature that its truth claims, in what ingest reads from the rendered bodies."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache

import numpy as np
import pytest

from app.demo.faults import KINDS, Fault
from app.demo.render import requests
from app.demo.simulate import Shop
from app.ingest.otlp import decode
from app.ingest.signals import SIGNALS
from features.batch import Batch, channel
from features.event import ErrorRecord

START = datetime(2026, 1, 5, tzinfo=UTC)
TRIES = 4
"""Faults of a kind that are looked at together, so that chance does not decide."""


@pytest.fixture(scope="module")
def shop() -> Shop:
    return Shop(11, 12.0, 14.0, START)


@dataclass
class Seen:
    """What one service reported over some minutes."""

    minutes: int = 0
    total: float = 0.0
    failed: float = 0.0
    warnings: float = 0.0
    seconds: float = 0.0
    errors: list[ErrorRecord] = field(default_factory=list)
    levels: dict[str, list[float]] = field(default_factory=dict)
    instances: set[str] = field(default_factory=set)
    silent: int = 0

    @property
    def failing(self) -> float:
        return self.failed / max(self.total, 1.0)

    @property
    def warning_rate(self) -> float:
        return self.warnings / max(self.minutes, 1)

    @property
    def mean_s(self) -> float:
        return self.seconds / max(self.total, 1.0)


def _minutes(shop: Shop, since: datetime, until: datetime, shift: tuple[int, int] = (0, 0)) -> range:
    low, high = ((at - shop.start).total_seconds() // 60 for at in (since, until))
    return range(max(int(low) + shift[0], 0), int(high) + shift[1])


@lru_cache(maxsize=4096)
def _batches(shop: Shop, number: int) -> tuple[Batch, ...]:
    """What ingest reads from a minute; several tests look at the same ones."""
    bodies = dict(requests(shop.minute(number)))
    return tuple(decode(bodies[signal], signal, "protobuf") for signal in SIGNALS)


def _look(shop: Shop, service: str, numbers: Iterable[int], seen: Seen | None = None) -> Seen:
    seen = seen or Seen()
    for number in numbers:
        seen.minutes += 1
        before = seen.total
        for batch in _batches(shop, number):
            mine = np.array([name == service for name, _ in batch.series], np.bool_)
            if len(batch.group_series):
                counts = batch.counts[mine[batch.group_series]].sum(axis=0)
                seen.total += counts[channel("total")]
                seen.failed += counts[channel("failed")]
                seen.warnings += counts[channel("warnings")]
                seen.seconds += counts[channel("duration_sum_s")]
            seen.errors += [record for record in batch.errors if record.service == service]
            seen.instances |= {p.instance for p in batch.presences if p.service == service and p.instance}
            for level in batch.levels:
                if level.service == service:
                    seen.levels.setdefault(level.name, []).append(level.value)
        seen.silent += seen.total == before
    return seen


def _of_kind(shop: Shop, kind: str, *, warned: bool | None = None) -> list[Fault]:
    found = [f for f in shop.truth() if f.kind == kind and warned in (None, f.has_warning)]
    clear = [f for f in found if not _disturbed(shop, f)]
    assert len(clear) >= 2, f"{len(found)} of kind {kind}, {len(clear)} undisturbed"
    return clear[:TRIES]


def _disturbed(shop: Shop, fault: Fault) -> bool:
    """Whether errors of another fault reach its service in the time that is looked at."""
    return any(
        other != fault and fault.service in other.affected and other.start <= fault.end and fault.onset <= other.end
        for other in shop.truth()
    ) or any(d.service == fault.service and d.onset <= fault.end and fault.onset <= d.end for d in shop.decoys())


def _around(shop: Shop, faults: list[Fault]) -> tuple[Seen, Seen, Seen]:
    """What is seen before the onset, between onset and start, and within the errors."""
    before, lead, within = Seen(), Seen(), Seen()
    for fault in faults:
        _look(shop, fault.service, _minutes(shop, fault.onset, fault.onset, (-8, 0)), before)
        _look(shop, fault.service, list(_minutes(shop, fault.onset, fault.start))[-25:], lead)
        _look(shop, fault.service, _minutes(shop, fault.start, fault.end), within)
    return before, lead, within


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS])
def test_errors_lie_between_start_and_end(shop: Shop, kind: str) -> None:
    faults = _of_kind(shop, kind)
    before, lead, within = _around(shop, faults)
    after = Seen()
    for fault in faults:
        _look(shop, fault.service, _minutes(shop, fault.end, fault.end, (0, 6)), after)
    assert before.failing < 0.03
    assert lead.failing < 0.03
    assert after.failing < 0.04
    assert within.failing > 0.08
    assert len(within.errors) > 5 * len(faults)


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS if kind.warned])
def test_warnings_rise_before_a_fault_that_announces_itself(shop: Shop, kind: str) -> None:
    before, lead, _ = _around(shop, _of_kind(shop, kind, warned=True))
    assert lead.minutes > 0
    assert lead.warning_rate > before.warning_rate + 0.3


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS if kind.warned < 1])
def test_no_warning_comes_before_a_fault_that_does_not_announce_itself(shop: Shop, kind: str) -> None:
    faults = _of_kind(shop, kind, warned=False)
    seen = Seen()
    for fault in faults:
        _look(shop, fault.service, _minutes(shop, fault.onset, fault.start, (-10, 0)), seen)
        assert kind == "bad_deploy" or fault.onset == fault.start
    assert seen.warning_rate < 0.6
    assert seen.failing < 0.03


def test_a_leak_climbs_to_the_top_crashes_and_restarts(shop: Shop) -> None:
    heaps = ("jvm.memory.used", "go.memory.used", "cpython.memory.heap.used", "v8js.memory.heap.used")
    heaps += ("dotnet.gc.last_collection.heap.size", "process.allocator.heap.used")
    silent = told = 0
    for fault in _of_kind(shop, "memory_leak"):
        before, lead, within = _around(shop, [fault])
        name = next(name for name in heaps if name in lead.levels)
        assert np.mean(lead.levels[name][-6:]) > 1.25 * np.mean(before.levels[name])
        assert len(within.instances) > len(lead.instances)
        told += sum("emory" in record.message or "eap space" in record.message for record in within.errors)
        silent += within.silent
    assert silent > 0
    assert told > 0


def test_a_pool_runs_dry_and_callers_follow_in_order_upstream(shop: Shop) -> None:
    for fault in _of_kind(shop, "pool_exhaustion"):
        before, lead, within = _around(shop, [fault])
        used = "db.client.connection.count"
        assert np.mean(lead.levels[used][-6:]) > 1.5 * np.mean(before.levels[used])
        assert lead.mean_s > before.mean_s
        assert np.mean(within.levels["db.client.connection.pending_requests"]) > 5
    chains = [f for f in shop.truth() if f.kind == "pool_exhaustion" and f.affected[-2:] == ("checkout", "web")]
    episodes = {(e.kind, shop.time(e.start)): e for e in shop.episodes}
    for fault in chains:
        minutes = [minute for _, minute in episodes[fault.kind, fault.start].spread]
        assert minutes == sorted(minutes)
        assert shop.time(minutes[0]) > fault.start
    seen = Seen()
    for fault in chains[:TRIES]:
        _look(shop, "checkout", _minutes(shop, fault.start, fault.end, (5, 0)), seen)
    assert chains
    assert seen.failing > 0.05


def test_a_disk_fills_in_a_line_and_then_writes_fail(shop: Shop) -> None:
    for fault in _of_kind(shop, "disk_full"):
        seen = _look(shop, fault.service, list(_minutes(shop, fault.onset, fault.start))[::6])
        level = np.array(seen.levels["system.filesystem.utilization"])[::2]
        assert np.corrcoef(level, np.arange(len(level)))[0, 1] > 0.9
        within = _look(shop, fault.service, _minutes(shop, fault.start, fault.end))
        assert max(within.levels["system.filesystem.utilization"]) > 0.99
        assert any("space left" in record.message or "os error 28" in record.message for record in within.errors)


def test_a_bad_deploy_is_a_new_version_some_minutes_before_its_errors(shop: Shop) -> None:
    for fault in _of_kind(shop, "bad_deploy"):
        assert 1 <= (fault.start - fault.onset).total_seconds() / 60 <= 15
        around = _minutes(shop, fault.onset, fault.onset, (-1, 1))
        assert len({shop.minute(m).identities for m in around}) == 2


def test_a_rate_limit_shows_as_429_first_handled_then_failing(shop: Shop) -> None:
    faults = _of_kind(shop, "rate_limit")
    _, lead, within = _around(shop, faults)
    assert lead.warning_rate > 0.5
    assert any(record.attributes.get("http.response.status_code") == "429" for record in within.errors)
    assert not any("429" in record.message for record in lead.errors)


def test_flapping_is_on_and_off(shop: Shop) -> None:
    for fault in _of_kind(shop, "flapping"):
        failing = [_look(shop, fault.service, [m]).failing for m in _minutes(shop, fault.start, fault.end)]
        assert failing[0] > 0 or failing[1] > 0
        assert sum(value == 0 for value in failing) > 0


def test_a_partition_fails_its_callers(shop: Shop) -> None:
    seen = Seen()
    faults = _of_kind(shop, "partition")
    for fault in faults:
        for caller in fault.affected[1:2] or ("web",):
            _look(shop, caller, _minutes(shop, fault.start, fault.end), seen)
    assert any(record.attributes.get("error.type") == "timeout" for record in seen.errors)


@pytest.mark.parametrize(
    "kind", ["traffic_spike", "harmless_deploy", "memory_decoy", "pool_decoy", "throttle_decoy", "warning_burst"]
)
def test_a_decoy_brings_no_error(shop: Shop, kind: str) -> None:
    seen, before = Seen(), Seen()
    decoys = [d for d in shop.decoys() if d.kind == kind]
    clear = [d for d in decoys if not any(f.start <= d.end and d.onset <= f.end for f in shop.truth())][:TRIES]
    assert clear
    for decoy in clear:
        _look(shop, decoy.service, _minutes(shop, decoy.onset, decoy.end), seen)
        _look(shop, decoy.service, _minutes(shop, decoy.onset, decoy.onset, (-10, 0)), before)
    assert seen.failing < 0.02
    if kind == "traffic_spike":
        assert seen.total / seen.minutes > 1.5 * before.total / before.minutes
    elif kind != "harmless_deploy":
        assert seen.warning_rate > before.warning_rate


def test_a_quiet_shop_fails_now_and_then() -> None:
    quiet = Shop(2, 1.0, 0.01, START)
    total = failed = 0.0
    for service in ("web", "orders"):
        seen = _look(quiet, service, range(0, 1440, 4))
        total, failed = total + seen.total, failed + seen.failed
    assert 0.001 < failed / total < 0.02
