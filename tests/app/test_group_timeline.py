"""The timeline of a group, and how early it had been predicted."""

from __future__ import annotations

from dataclasses import replace

from app.cache.error_heads import ErrorHeads, KindHead
from app.cache.group_records import Happening
from app.cache.records import EarlierForecast
from app.group_timeline import forewarnings, timeline, verdict_lines
from features.symptom import Symptom, Symptoms
from tests.api_builders import an_incident
from tests.group_builders import a_verdict, at


def shown(signal: str, minute: float, detail: str = "", strength: float = 9.0) -> Symptom:
    return Symptom(signal, int(at(minute).timestamp()), strength, 0.25, 0.01, detail=detail)


def test_what_happened_comes_by_time_in_words() -> None:
    errors = {"payment": ErrorHeads((KindHead("f", "timeout", "network", 3, at(-1), at(9), "no answer", "TimeoutError"),))}
    evidence = [
        Symptoms("default", "payment", 0, (shown("failed", -1), shown("version", -2, "1.3"), shown("logs", -1, "WARN")))
    ]
    lines = timeline([an_incident("i", start_s=0.0)], evidence, errors)
    assert [(one.kind, (one.time - at(0)).total_seconds() / 60) for one in lines] == [
        ("version", -2.0),
        ("symptom", -1.0),
        ("symptom", -1.0),
        ("error", -1.0),
        ("incident", 0.0),
        ("detected", 2.0),
        ("ended", 10.0),
        ("over", 10.0),
    ]
    assert [one.text for one in lines[:5]] == [
        "new version 1.3",
        "0.25 a minute of warnings, 0.01 expected",
        "25.0% of requests fail, 1.0% expected",
        "first TimeoutError: no answer",
        "incident begins (network, rule)",
    ]


def test_errors_that_are_kept_no_more_stay_in_the_timeline() -> None:
    before = [Happening(at(-1), "error", "payment", "first TimeoutError"), Happening(at(0), "symptom", "payment", "gone")]
    lines = timeline([an_incident(lasts=True)], [], {}, before)
    assert [one.kind for one in lines] == ["error", "incident", "detected"]


def test_errors_from_long_before_are_not_of_the_group() -> None:
    old = ErrorHeads(
        (KindHead("f", "timeout", "network", 3, at(-60), at(9)), KindHead("g", "timeout", "network", 3, at(60), at(61)))
    )
    assert "error" not in {one.kind for one in timeline([an_incident()], [], {"payment": old})}


def test_of_each_signal_the_first_symptom_is_told() -> None:
    one = Symptoms(
        "default",
        "payment",
        0,
        (shown("logs", 3, "f1", 30.0), shown("logs", 1, "f2"), shown("version", 1, "2"), shown("version", 2, "3")),
    )
    lines = timeline([an_incident(lasts=True)], [one], {})
    assert [line.text for line in lines if line.kind in ("symptom", "version")] == [
        "new version 2",
        "0.25 a minute of the errors f2, 0.01 expected",
        "new version 3",
    ]


def test_a_warning_counts_from_when_its_horizon_reached_the_start() -> None:
    def said(minute: float, p: float) -> EarlierForecast:
        return EarlierForecast(at(minute), {"5min": p / 4, "15min": p / 2, "60min": p})

    incident = replace(an_incident(), earlier=(said(-40, 0.3), said(-20, 0.6), said(-10, 0.3)))
    found = [(one.horizon, one.lead_s / 60, round(one.probability, 3)) for one in forewarnings([incident])]
    assert found == [("5min", 0.0, 0.1), ("15min", 10.0, 0.15), ("15min", 0.0, 0.2), ("60min", 40.0, 0.3), ("60min", 0.0, 0.4)]
    told = [one.text for one in timeline([incident], [], {}) if one.kind == "prediction"]
    assert told == ["30% within 60 minutes, 40 minutes before", "15% within 15 minutes, 10 minutes before"]


def test_of_a_service_its_first_incident_tells_and_that_of_the_whole_before_an_operations() -> None:
    operation = replace(an_incident("op", start_s=-60.0), operation="GET /", predicted={"5min": 0.9})
    found = forewarnings([operation, an_incident("whole"), replace(an_incident("m", "mail"), predicted=None)])
    assert {(one.service, one.as_of) for one in found} == {("payment", at(0))}


def test_verdicts_are_told_with_who_and_why() -> None:
    (line,) = verdict_lines(["i", "j"], {"i": [a_verdict("i", "grew the volume", "false_alarm")]})
    assert (line.text, line.kind) == ("ann: false alarm. grew the volume", "verdict")
