"""Error groups, error events and the classification of one error over REST."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from app.api.schemas import ClassificationOut, ErrorEventOut, ErrorGroupOut, Items
from app.cache.records import RecentErrors
from features.classify import classify_event
from features.event import ErrorRecord
from features.fingerprint import Templates
from tests.api_builders import NOON, Api, a_service_summary, an_error_event, an_error_group, put_errors, put_service

ERRORS = "/api/v1/errors"


def fingerprints(api: Api, query: str = "") -> list[str]:
    response = api.get(f"{ERRORS}?{query}")
    return [item.fingerprint for item in Items[ErrorGroupOut].model_validate_json(response.content).items]


def shop(api: Api) -> None:
    groups = (an_error_group("f1", seen_s=1.0), an_error_group("f2", category="security", seen_s=3.0))
    events = tuple(an_error_event("payment", at_s=at_s) for at_s in (1.0, 1.0, 3.0))
    put_errors(api.documents, "payment", RecentErrors(groups, events))
    put_errors(api.documents, "shop/cart", RecentErrors((an_error_group("f1", seen_s=2.0),), (an_error_event("shop/cart"),)))


def test_groups_come_newest_first_with_their_service(api: Api) -> None:
    shop(api)
    items = api.get(ERRORS).json()["items"]
    assert [(item["service"], item["fingerprint"]) for item in items] == [
        ("payment", "f2"),
        ("shop/cart", "f1"),
        ("payment", "f1"),
    ]
    assert items[0]["advice"]["retry"]["safe"] == "if_idempotent"


def test_groups_are_filtered_by_service_category_and_time(api: Api) -> None:
    shop(api)
    assert fingerprints(api, "service=payment") == ["f2", "f1"]
    assert fingerprints(api, "service=shop/cart") == ["f1"]
    assert fingerprints(api, "service=nobody") == []
    assert fingerprints(api, "category=security") == ["f2"]
    assert fingerprints(api, "since=2026-03-02T12:00:02Z") == ["f2", "f1"]


def test_time_without_a_zone_is_refused(api: Api) -> None:
    response = api.get(f"{ERRORS}?since=2026-03-02T12:00:02")
    assert response.status_code == 422
    assert "timezone" in response.json()["detail"]


def test_events_come_newest_first_and_equal_ones_are_each_listed(api: Api) -> None:
    shop(api)
    page = Items[ErrorEventOut].model_validate_json(api.get(f"{ERRORS}?view=events").content)
    assert [event.time.second for event in page.items] == [3, 1, 1, 0]
    seen: list[str] = []
    cursor, body = "", {"next": ""}
    for _ in range(4):
        body = api.get(f"{ERRORS}?view=events&limit=1{cursor}").json()
        seen += [item["time"] for item in body["items"]]
        cursor = f"&cursor={body['next']}"
    assert [time[17:19] for time in seen] == ["03", "01", "01", "00"]
    assert body["next"] is None


def test_cursor_of_groups_is_no_cursor_of_events(api: Api) -> None:
    shop(api)
    cursor = api.get(f"{ERRORS}?limit=1").json()["next"]
    assert api.get(f"{ERRORS}?view=events&cursor={cursor}").status_code == 400


def test_one_tenant_never_sees_anothers_errors(api: Api) -> None:
    put_errors(api.documents, "payment", RecentErrors((an_error_group(),), (an_error_event(tenant="a"),)), tenant="a")
    for view in ("groups", "events"):
        for query in (f"view={view}", f"view={view}&service=payment"):
            assert len(api.get(f"{ERRORS}?{query}", {"X-Scope-OrgID": "a"}).json()["items"]) == 1
            assert api.get(f"{ERRORS}?{query}", {"X-Scope-OrgID": "b"}).json()["items"] == []


def classified(api: Api, **body: object) -> ClassificationOut:
    response = api.post(f"{ERRORS}:classify", body)
    assert response.status_code == 200, response.text
    return ClassificationOut.model_validate_json(response.content)


def test_error_is_classified_with_rule_and_advice(api: Api) -> None:
    found = classified(
        api, exception_type="java.net.UnknownHostException", message="db-7: Name or service not known", service="cart"
    )
    assert (found.kind, found.category, found.by) == ("dns", "network", "exception.type")
    assert found.rule == "exception.type=java.net.UnknownHostException"
    assert found.advice.kind == "dns"
    assert found.advice.check


def test_attributes_may_be_numbers_and_say_how_long_to_wait(api: Api) -> None:
    found = classified(api, attributes={"http.response.status_code": 429, "http.response.header.retry-after": "7"})
    assert (found.kind, found.by, found.advice.retry.first_s) == ("rate_limited", "http", 7.0)
    later = classified(
        api, attributes={"http.response.status_code": 429, "http.response.header.retry-after": "soon", "x": True}
    )
    assert later.advice.retry.first_s != 7.0


def test_severity_is_the_senders_or_the_kinds(api: Api) -> None:
    kinds, senders = (
        classified(api, message="java.lang.OutOfMemoryError: Java heap space", **more) for more in ({}, {"severity": 17})
    )
    assert (kinds.kind, kinds.severity, senders.severity) == ("out_of_memory", 21, 17)


def test_error_that_nothing_tells_apart_is_unknown(api: Api) -> None:
    found = classified(api, message="zxqv")
    assert (found.kind, found.category, found.by) == ("unknown", "unknown", "unknown")


def test_fingerprint_is_the_one_that_ingest_gives(api: Api) -> None:
    record = ErrorRecord("log", "cart", "*", 0, exception_type="TimeoutError", message="no answer from 10.0.0.7 in 3000 ms")
    event = classify_event(record, tenant="default", time=NOON, received_at=NOON, templates=Templates())
    found = classified(api, exception_type="TimeoutError", message="no answer from 10.0.0.9 in 40 ms", service="cart")
    assert found.fingerprint == event.fingerprint


@pytest.mark.parametrize("body", [{}, {"service": "cart"}, {"message": "x", "severity": 25}, {"message": "x", "colour": "red"}])
def test_body_that_says_nothing_or_too_much_is_refused(api: Api, body: dict[str, object]) -> None:
    assert api.post(f"{ERRORS}:classify", body).status_code == 422


def test_groups_that_are_new_or_back_say_so_and_since_when(api: Api) -> None:
    put_service(api.documents, a_service_summary())
    born = NOON - timedelta(days=1)
    groups = {
        "new": replace(an_error_group("new"), first_seen=NOON - timedelta(hours=2)),
        "back": replace(an_error_group("back"), first_seen=born, returned_at=NOON - timedelta(hours=1)),
        "old": replace(an_error_group("old"), first_seen=born + timedelta(minutes=59)),
        "long back": replace(an_error_group("long back"), first_seen=born, returned_at=NOON - timedelta(hours=25)),
    }
    put_errors(api.documents, "payment", RecentErrors(tuple(groups.values())))
    put_errors(api.documents, "stranger", RecentErrors((groups["new"],)))

    def flagged(query: str = "") -> dict[str, tuple[bool, bool, object]]:
        found = Items[ErrorGroupOut].model_validate_json(api.get(f"/api/v1/errors?{query}").content).items
        return {f"{one.service} {one.fingerprint}": (one.new, one.regressed, one.since) for one in found}

    new, back = (
        {"payment new": (True, False, NOON - timedelta(hours=2))},
        {"payment back": (False, True, NOON - timedelta(hours=1))},
    )
    assert flagged() == {
        **new,
        **back,
        "payment old": (False, False, None),
        "payment long back": (False, False, None),
        "stranger new": (False, False, None),
    }
    assert flagged("only=new") == new
    assert flagged("only=regressed") == back
