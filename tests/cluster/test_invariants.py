"""The checker finds what it is there to find: each test does one wrong thing to a sound history."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.cluster.invariants import Evidence, Failure, Gain, Sent, check, summary
from tests.cluster.ledger import Event, span_of

TICK_S, TICKS, PER_TICK = 2, 5, 4
SERVICES = ("svc-0", "svc-1")


def sound() -> tuple[Sent, Evidence]:
    events = [
        Event(service, tick * PER_TICK + n, "GET /cart", tick * TICK_S, failed=n % 2 == 0)
        for service in SERVICES
        for tick in range(TICKS)
        for n in range(PER_TICK)
    ]
    ends = [(tick + 1) * TICK_S for tick in range(TICKS)]
    gains = [
        Gain(service, operation, end - TICK_S, end, PER_TICK, PER_TICK // 2)
        for service in SERVICES
        for operation in ("*", "GET /cart")
        for end in ends
    ]
    failures = [
        Failure(e.service, e.span_id, e.window * 10**6 + e.number, (e.window // TICK_S + 1) * 4096) for e in events if e.failed
    ]
    return Sent(events), Evidence(
        gains,
        failures,
        [(partition, end) for partition in range(2) for end in ends],
        [(service, "*", end) for service in SERVICES for end in ends],
        {"svc-0": 0, "svc-1": 1},
        {0: ends, 1: ends},
        {service: [e.number for e in events if e.service == service] for service in SERVICES},
    )


def kinds(sent: Sent, evidence: Evidence) -> set[str]:
    return {violation.what for violation in check(sent, evidence)}


def test_a_sound_history_is_found_sound() -> None:
    assert check(*sound()) == []
    assert summary(check(*sound())) == ""


def swapped(e: Evidence) -> Evidence:
    one, other, *rest = e.failures
    return replace(e, failures=[replace(one, received_at_us=other.received_at_us + 1), other, *rest])


def counted(e: Evidence, more: int) -> Evidence:
    return replace(e, gains=[replace(e.gains[0], total=e.gains[0].total + more), *e.gains[1:]])


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (lambda e: replace(e, failures=e.failures[1:]), "lost"),
        (lambda e: replace(e, failures=[*e.failures, e.failures[0]]), "doubled"),
        (lambda e: replace(e, failures=[*e.failures, Failure("svc-1", span_of("svc-1", 999), 10**9, 10**6)]), "never sent"),
        (lambda e: counted(e, 1), "miscounted"),
        (lambda e: counted(e, -1), "miscounted"),
        (lambda e: replace(e, gains=e.gains[1:]), "miscounted"),
        (lambda e: replace(e, gains=[*e.gains, e.gains[0]]), "row twice in windows"),
        (lambda e: replace(e, gains=[*e.gains, Gain("svc-0", "*", 900, 902, 1, 0)]), "miscounted"),
        (lambda e: replace(e, predictions=[*e.predictions, e.predictions[0]]), "row twice in predictions"),
        (lambda e: replace(e, predictions=[*e.predictions[:1], *e.predictions[2:]]), "hole in predictions"),
        (lambda e: replace(e, ticks=[*e.ticks, e.ticks[0]]), "row twice in ticks"),
        (lambda e: replace(e, ticks=[*e.ticks[:1], *e.ticks[2:]]), "hole in ticks"),
        (lambda e: replace(e, ticks=[*e.ticks, (0, 3)]), "tick of nobody"),
        (swapped, "order"),
        (lambda e: replace(e, failures=[replace(e.failures[0], offset=10**9), *e.failures[1:]]), "order"),
        (lambda e: replace(e, log={**e.log, "svc-0": [4, 5, 0, 1]}), "order in the log"),
    ],
)
def test_what_is_wrong_is_found(spoil: Callable[[Evidence], Evidence], found: str) -> None:
    sent, evidence = sound()
    assert found in kinds(sent, spoil(evidence))


def test_a_marker_of_the_tick_in_which_a_partition_began_closes_nothing() -> None:
    sent, evidence = sound()
    partition, tick = min(evidence.ticks, key=lambda closed: closed[::-1])
    spoilt = replace(evidence, ticks=[closed for closed in evidence.ticks if closed != (partition, tick)])
    assert "hole in ticks" in kinds(sent, spoilt)
    assert "hole in ticks" not in kinds(sent, replace(spoilt, begun={partition: tick}))


def test_what_nobody_knows_of_may_be_there_or_not_but_not_twice() -> None:
    sent, evidence = sound()
    last = [e for e in sent.acknowledged if e.service == "svc-1" and e.window == (TICKS - 1) * TICK_S]
    unsure = Sent([e for e in sent.acknowledged if e not in last], last)
    assert check(unsure, evidence) == []
    without = replace(
        evidence,
        gains=[g for g in evidence.gains if (g.service, g.window) != ("svc-1", (TICKS - 1) * TICK_S)],
        failures=[f for f in evidence.failures if f.span_id not in {e.span_id for e in last}],
    )
    assert check(unsure, without) == []
    assert "miscounted" in kinds(unsure, replace(evidence, gains=[*evidence.gains, replace(evidence.gains[9], received=99)]))


def test_a_repeat_in_the_log_is_no_disorder() -> None:
    sent, evidence = sound()
    log = {**evidence.log, "svc-0": [*evidence.log["svc-0"], *evidence.log["svc-0"][:PER_TICK]]}
    assert check(sent, replace(evidence, log=log)) == []


def test_the_summary_says_how_many_of_each_kind_and_shows_some() -> None:
    sent, evidence = sound()
    text = summary(check(sent, replace(evidence, failures=[])), most=1)
    assert text.splitlines() == [f"lost: {len(evidence.failures)}", "  svc-0 0"]
