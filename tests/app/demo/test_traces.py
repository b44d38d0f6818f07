"""Sampled traces have the rates of the topology, and failures climb where they are fatal."""

from __future__ import annotations

import numpy as np

from app.demo.effects import Effects
from app.demo.symptom import Symptom
from app.demo.topology import TOPOLOGY
from app.demo.traces import CALL, DEPEND, ENTRY, SpanTable, sample_traces

PAYMENT, CHECKOUT = TOPOLOGY.services.index("payment"), TOPOLOGY.services.index("checkout")


def many(now: Effects, load: float = 40.0) -> SpanTable:
    return sample_traces(np.random.default_rng(3), now, load)


def entries(table: SpanTable, service: int) -> np.ndarray:
    return np.flatnonzero(
        (table.role == ENTRY) & (TOPOLOGY.service[np.minimum(table.ref, len(TOPOLOGY.service) - 1)] == service)
    )


def test_roots_come_at_their_rates() -> None:
    table = many(Effects(1.0))
    roots = table.ref[table.parent < 0]
    assert np.allclose(np.bincount(roots, minlength=len(TOPOLOGY.rate)) / 40, TOPOLOGY.rate, atol=1.1)


def test_no_traffic_is_an_empty_table() -> None:
    assert len(sample_traces(np.random.default_rng(1), Effects(0.0), 0.0)) == 0


def test_a_dead_service_has_no_entry_and_refuses_its_callers() -> None:
    now = Effects(1.0)
    now.dead[PAYMENT] = True
    table = many(now)
    assert len(entries(table, PAYMENT)) == 0
    refused = table.symptom[(table.role == CALL) & (table.symptom == Symptom.REFUSED)]
    assert len(refused) > 40
    assert (table.symptom[entries(table, CHECKOUT)] == Symptom.UPSTREAM).mean() > 0.2


def test_a_failure_names_the_call_that_caused_it() -> None:
    now = Effects(1.0)
    now.error[TOPOLOGY.service == PAYMENT] = 0.9
    now.symptom[TOPOLOGY.service == PAYMENT] = Symptom.OUTAGE
    table = many(now)
    failed = np.flatnonzero((table.role == ENTRY) & (table.symptom == Symptom.UPSTREAM))
    assert len(failed) > 20
    assert (table.role[table.cause[failed]] == CALL).all()
    assert (table.parent[table.cause[failed]] == failed).all()
    assert (table.symptom[table.cause[failed]] != 0).all()
    assert ((table.role == DEPEND) & (table.symptom == Symptom.OUTAGE)).sum() > 100


def test_callers_that_do_not_relay_handle_the_failure() -> None:
    now = Effects(1.0)
    now.error[TOPOLOGY.service == PAYMENT] = 0.9
    now.symptom[TOPOLOGY.service == PAYMENT] = Symptom.POOL
    now.relay[:] = 0.0
    table = many(now)
    assert (table.symptom[entries(table, CHECKOUT)] == Symptom.UPSTREAM).sum() == 0
    assert (table.handled[entries(table, CHECKOUT)] == Symptom.FALLBACK).sum() > 20


def test_latency_factor_makes_entries_slower() -> None:
    slow = Effects(1.0)
    slow.latency *= 3.0
    one, other = many(Effects(1.0)), many(slow)
    assert np.median(other.end_ns - other.start_ns) > 2 * np.median(one.end_ns - one.start_ns)


def test_everything_lies_within_the_minute_even_when_all_is_slow() -> None:
    slow = Effects(1.0)
    slow.latency *= 500.0
    table = many(slow, 5.0)
    assert table.start_ns.min() >= 0
    assert np.quantile(table.end_ns, 0.95) <= 60e9


def test_failures_in_the_background_are_rare() -> None:
    table = many(Effects(1.0), 200.0)
    own = (table.role == ENTRY) & (table.symptom == Symptom.BLIP)
    assert 0.001 < own.sum() / (table.role == ENTRY).sum() < 0.005
