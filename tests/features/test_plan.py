"""The plan against a group of incidents."""

from __future__ import annotations

from features.plan import Circuit, Remedy, plan
from features.recovery import advise
from features.symptom import Cause, Edge, Reason

CALLS = [
    Edge("default", "web", "cart", 90.0, 9.0),
    Edge("default", "cart", "payment", 80.0, 20.0),
    Edge("default", "web", "mail", 5.0),
]


def test_who_is_depended_on_comes_first_though_another_is_likelier() -> None:
    causes = [Cause("cart", 0.5, ()), Cause("payment", 0.3, ()), Cause("web", 0.1, ())]
    steps = plan(causes, {"payment": ["disk_full"], "cart": ["dependency_unavailable"]}, CALLS)
    assert [(one.service, one.circuit) for one in steps] == [("payment", None), ("cart", None), ("web", Circuit("web", "cart"))]
    assert steps[0].action == advise("disk_full").now
    assert steps[0].retry == advise("disk_full").retry
    assert [one.step for one in steps] == [1, 2, 3]


def test_circuits_say_how_many_calls_fail_and_whether_to_retry() -> None:
    steps = plan([Cause("payment", 1.0, ())], {"payment": ["timeout"]}, CALLS)
    assert steps[-1].circuit == Circuit("cart", "payment")
    assert steps[-1].why == "20 traces lately failed at both"
    assert steps[-1].retry == advise("timeout").retry


def test_a_new_version_and_what_helped_before_come_first() -> None:
    reasons = (Reason("errors", "9 errors a minute", 9.0), Reason("version", "new version 1.3", 3.0, version="1.3"))
    steps = plan([Cause("payment", 1.0, reasons)], {}, [], [Remedy("restarted it", "2026-03-01")])
    assert [one.action for one in steps] == [
        "Try what helped on 2026-03-01: restarted it",
        "Roll payment back from version 1.3, or compare it with the version before.",
        advise("unknown").now,
    ]
    assert steps[2].why == "9 errors a minute"
    assert steps[2].retry is None


def test_a_service_that_is_slow_without_errors_gets_advice_about_that() -> None:
    steps = plan([Cause("db", 1.0, (Reason("latency", "requests took 900 ms", 5.0),))], {}, [])
    assert steps[0].action == advise("slow").now


def test_services_that_call_each_other_come_by_likelihood() -> None:
    circle = [Edge("default", "a", "b", 1.0), Edge("default", "b", "a", 1.0)]
    assert [one.service for one in plan([Cause("a", 0.6, ()), Cause("b", 0.4, ())], {}, circle)] == ["a", "b"]


def test_nothing_is_planned_without_a_cause() -> None:
    assert plan([], {}, CALLS) == ()
