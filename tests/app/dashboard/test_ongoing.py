"""What goes on is said before what may come."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.dashboard.ongoing import abnormal, by_service, foretold, status_of
from models.prediction import AnomalyScore
from tests.dashboard_night import an_incident

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def test_the_whole_service_s_incident_comes_before_its_operations_and_the_older_before_the_younger() -> None:
    whole = an_incident(NOON)
    older = replace(whole, id="n0", start=NOON - timedelta(minutes=3), source="alertmanager")
    of_one = replace(whole, id="n2", operation="POST /charge", start=NOON - timedelta(minutes=9))
    over = replace(whole, id="n3", service="cart", end=NOON)
    other = replace(of_one, id="n4", service="web")
    found = by_service([whole, of_one, older, over, other])
    assert {name: one.id for name, one in found.items()} == {"payment": "n0", "web": "n4"}
    assert by_service([of_one, replace(of_one, id="n1", start=NOON)])["payment"].id == "n2"


@pytest.mark.parametrize(
    ("status", "operation", "said"),
    [("ok", None, True), ("ok", "POST /charge", True), ("ok", "*", False), ("in_incident", None, False), ("prior", "*", False)],
)
def test_a_chance_says_nothing_while_an_incident_of_the_whole_service_is_open(
    status: str, operation: str | None, said: bool
) -> None:
    incident = None if operation is None else replace(an_incident(NOON), operation=operation)
    assert foretold(status, incident) is said
    assert status_of(status, incident, stale=False) == (status if said else "in_incident")
    assert status_of(status, incident, stale=True) == "stale"


@pytest.mark.parametrize(
    ("signal", "value", "lower", "upper", "words"),
    [
        ("errors", 4.0, 0.0, 0.0, "unusual: errors of 8/min, normal is 0/min"),
        ("failed", 0.3, 0.0, 0.02, "unusual: failed share of 30 %, normal is 0 % to 2.0 %"),
        ("latency", 1.2, 0.1, 0.4, "unusual: mean duration of 1.2 s, normal is 100 ms to 400 ms"),
        ("traffic", 0.0, 40.0, 60.0, "unusual: traffic of 0/min, normal is 80 to 120/min"),
        ("combination", 9.0, 0.0, 4.0, "unusual: errors, failures, durations and traffic together of 9 bits, normal is 0 bits to 4 bits"),
    ],
)  # fmt: skip
def test_what_is_unusual_is_said_with_its_unit(signal: str, value: float, lower: float, upper: float, words: str) -> None:
    assert abnormal(AnomalyScore(0.9999, value, lower, lower, upper, None, signal), 30.0) == words


def test_an_anomaly_that_is_calm_by_now_is_one_of_the_last_hour() -> None:
    found = AnomalyScore(0.2, 1.0, 0.5, 0.0, 2.0, NOON)
    assert abnormal(found, 60.0) == "an anomaly within the last hour, by now errors of 1/min, normal is 0 to 2/min"
    assert abnormal(replace(found, since=None), 60.0) == ""
