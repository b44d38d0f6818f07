"""What services show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from features.batch import Batch, Presence
from features.memory import Memory
from features.series import WHOLE
from features.symptom import Symptom
from features.symptoms import symptoms_of
from tests.telemetry import T0, a_batch, a_record

BEFORE, TROUBLE = 40, 2

Counts = Mapping[str, float]
USUAL: Counts = {"total": 40.0, "inner": 160.0, "logs": 120.0, "errors": 0.0}


def followed(*, trouble: Counts = USUAL, service: str = "cart", levels: tuple[float, float] | None = None) -> Memory:
    """Return a Memory of three services, one of which is otherwise in the newest two windows."""
    memory, rng = Memory(), np.random.default_rng(0)
    for tick in range(T0, T0 + BEFORE + TROUBLE):
        late = tick >= T0 + BEFORE
        groups = []
        for name in ("web", "cart", "db"):
            counts = trouble if late and name == service else USUAL
            scale = float(rng.poisson(50) / 50.0)
            groups.append((name, "GET /", tick, {key: np.round(value * scale) for key, value in counts.items()}))
        values = () if levels is None else ((service, "cpu.utilization", tick, levels[late] + float(rng.normal(0.0, 0.01))),)
        send(memory, tick, a_batch(*groups, levels=values))
        memory.advance(tick + 1)
    return memory


def send(memory: Memory, tick: int, batch: Batch) -> None:
    memory.begin(tick)
    memory.add("a", 0, batch)


def shown(memory: Memory, service: str = "cart") -> dict[str, Symptom]:
    """Return the symptoms of a service by signal, or by signal and detail where it has one."""
    return {
        f"{symptom.signal} {symptom.detail}".strip(): symptom
        for one in symptoms_of(memory)
        if one.service == service
        for symptom in one.symptoms
    }


def test_services_that_are_as_usual_show_nothing() -> None:
    assert symptoms_of(followed()) == []


def test_failures_show_where_and_since_when() -> None:
    found = shown(followed(trouble={**USUAL, "failed": 20.0, "errors": 20.0}))
    for name in ("errors", "failed"):
        assert found[name].since_s == (T0 + BEFORE) * 60
        assert found[name].operation == "GET /"
        assert found[name].strength > 10.0
    assert 0.4 < found["failed"].value < 0.6


def test_log_records_that_requests_imply_and_that_do_not_come_show() -> None:
    found = shown(followed(trouble={**USUAL, "logs": 40.0}))
    assert list(found) == ["logs"]  # of the first of two windows: the newest is not judged yet
    assert found["logs"].value < 0.5 * found["logs"].expected
    assert found["logs"].since_s == (T0 + BEFORE) * 60


def test_calls_that_a_service_does_not_make_any_more_show_as_its_own() -> None:
    found = shown(followed(trouble={**USUAL, "inner": 40.0, "logs": 0.0}))
    assert found["traffic inner"].value < 0.5 * found["traffic inner"].expected


def test_a_service_that_is_called_no_more_shows_in_its_traffic() -> None:
    found = shown(followed(trouble={"total": 0.0}))
    assert found["traffic"].value == 0.0
    assert found["traffic"].expected > 20.0


def test_slow_requests_show_with_their_duration() -> None:
    memory = followed()
    histogram = np.zeros((1, 16))
    histogram[0, 9] = 40.0
    for tick in range(T0 + BEFORE + TROUBLE, T0 + BEFORE + TROUBLE + 2):
        batch = a_batch(*((name, "GET /", tick, USUAL) for name in ("web", "cart", "db")))
        slow = batch.histogram.copy()
        slow[1] = histogram[0]
        send(memory, tick, replace(batch, histogram=slow))
        memory.advance(tick + 1)
    latency = shown(memory)["latency"]
    assert 0.1 < latency.value < 0.4
    assert 0.005 < latency.expected < 0.02
    assert shown(memory, "db") == {}


def test_the_group_of_errors_that_is_new_shows_with_its_traces() -> None:
    memory = followed()
    tick = memory.tick
    send(
        memory,
        tick,
        a_batch(*((name, "GET /", tick, {**USUAL, "errors": 30.0 * (name == "cart")}) for name in ("web", "cart", "db"))),
    )
    row = memory.row("a", "cart", WHOLE, 0)
    for number in range(30):
        memory.add_error(row, a_record("cart", tick, trace_id=f"{number:032x}"), "data", None, "f7" if number < 20 else "rarer")
    memory.advance(tick + 1)
    assert shown(memory)["logs f7"].value == 20.0
    assert len(next(one for one in symptoms_of(memory) if one.service == "cart").traces) == 30


def test_the_level_shows_that_rose_most() -> None:
    memory, rng = Memory(), np.random.default_rng(0)
    for tick in range(T0, T0 + BEFORE + TROUBLE):
        noise = float(rng.normal(0.0, 0.05))
        full, fuller = (0.7, 0.95) if tick >= T0 + BEFORE else (0.2, 0.2)
        levels = [
            ("cart", "queue", tick, full + noise),
            ("cart", "heap", tick, fuller + noise),
            ("cart", "price", tick, 9.0 * fuller),
        ]
        send(memory, tick, a_batch(("cart", "GET /", tick, USUAL), levels=levels))
        memory.advance(tick + 1)
    assert [name for name in shown(memory) if name.startswith("saturation")] == ["saturation heap"]


def test_a_level_shows_by_its_name_unless_its_machine_is_meant() -> None:
    found = shown(followed(levels=(0.2, 0.95)))
    assert found["saturation cpu.utilization"].value > 0.9
    shared = Memory()
    rng = np.random.default_rng(0)
    for tick in range(T0, T0 + BEFORE + TROUBLE):
        value = 0.95 if tick >= T0 + BEFORE else 0.2 + float(rng.normal(0.0, 0.01))
        names = [f"s{number}" for number in range(8)]
        send(
            shared,
            tick,
            a_batch(*((name, "GET /", tick, USUAL) for name in names), levels=[(n, "node.cpu", tick, value) for n in names]),
        )
        shared.advance(tick + 1)
    assert symptoms_of(shared) == []


def test_a_new_version_shows_for_ten_minutes() -> None:
    memory = followed()
    tick = memory.tick
    for number, version in enumerate(("6", "7")):
        batch = a_batch(*((name, "GET /", tick + number, USUAL) for name in ("web", "cart", "db")))
        send(memory, tick + number, replace(batch, presences=(Presence("cart", "i", version),)))
        memory.advance(tick + number + 1)
    assert shown(memory)["version 7"].since_s == (tick + 1) * 60


def test_a_service_that_only_logs_has_errors_by_the_minute() -> None:
    memory = Memory()
    for tick in range(T0, T0 + BEFORE):
        errors = 30.0 if tick == T0 + BEFORE - 1 else 1.0
        send(memory, tick, a_batch(("job", "*", tick, {"logs": 50.0, "errors": errors})))
        memory.advance(tick + 1)
    assert shown(memory, "job")["errors"].value == 30.0


NAMES = tuple((tenant, f"s{number}") for tenant in ("a", "b") for number in range(7))


@cache
def troubled(seed: int) -> Memory:
    """Return a Memory of services of two tenants, some of which are otherwise in the newest windows, each in its own way."""
    memory, rng = Memory(), np.random.default_rng(seed)
    ways: tuple[Counts, ...] = (USUAL, {**USUAL, "failed": 20.0, "errors": 20.0}, {"total": 0.0}, {**USUAL, "logs": 400.0})
    chosen = {name: ways[rng.integers(len(ways))] for name in NAMES}
    for tick in range(T0, T0 + BEFORE + TROUBLE):
        late = tick >= T0 + BEFORE
        memory.begin(tick)
        for tenant in ("a", "b"):
            names = [service for one, service in NAMES if one == tenant]
            scales = rng.poisson(50, len(names)) / 50.0
            groups = [
                (n, "GET /", tick, {key: np.round(v * scale) for key, v in (chosen[tenant, n] if late else USUAL).items()})
                for n, scale in zip(names, scales.tolist(), strict=True)
            ]
            level = 0.95 if late else 0.2
            levels = [(n, "cpu.load", tick, level + float(rng.normal(0.0, 0.01)) * (n != "s0")) for n in names[:4]]
            batch = a_batch(*groups, levels=levels)
            memory.add(tenant, 0, replace(batch, presences=(Presence("s5", "i", "2" if late else "1"),)))
            for number in range(9 if late else 1):
                row = memory.row(tenant, "s6", WHOLE, 0)
                memory.add_error(row, a_record("s6", tick, trace_id=f"{number:032x}"), "data", None, f"f{late}")
        memory.advance(tick + 1)
    return memory


@given(st.integers(0, 3), st.sets(st.sampled_from(NAMES)))
def test_what_a_service_shows_does_not_depend_on_which_others_are_looked_at(seed: int, names: set[tuple[str, str]]) -> None:
    memory = troubled(seed)
    services = memory.services()
    rows = np.array(sorted(services[name] for name in names), np.int64)
    whole = symptoms_of(memory)
    assert whole != []
    assert symptoms_of(memory, rows) == [one for one in whole if (one.tenant, one.service) in names]
