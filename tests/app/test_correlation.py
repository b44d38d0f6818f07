"""The groups of a tenant's incidents, as its home keeps them over a real store."""

from __future__ import annotations

import threading
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app import correlation as correlation_module
from app.cache.documents import decode_document, encode_document, tenant_key
from app.cache.group_records import GroupRecord
from app.cache.records import RecentErrors
from app.correlation import Correlation, CorrelationParts
from app.store.contract import Documents
from app.store.sqlite import SqliteStore
from app.telemetry import Telemetry
from features.errors import StoreFailed
from features.event import ErrorEvent
from features.series import WHOLE
from tests.api_builders import Clock, an_incident, put_errors, put_incident
from tests.contracts.stores import FAMILIES
from tests.group_builders import (
    a_group,
    a_verdict,
    at,
    correlation_of,
    put_cascade,
    put_edges,
    put_group,
    put_symptoms,
    put_verdict,
)
from tests.nodes import until


@pytest.fixture
def documents(tmp_path: Path) -> Generator[Documents]:
    store = FAMILIES["sqlite"](tmp_path, Clock())
    yield store.documents
    store.close()


def groups(documents: Documents) -> list[GroupRecord]:
    return [decode_document(one.value, GroupRecord) for one in documents.items("groups")]


def test_a_cascade_is_one_group_with_cause_order_and_plan(documents: Documents) -> None:
    ids = put_cascade(documents)
    correlation_of(documents).look_at_all()
    (found,) = groups(documents)
    assert (found.id, found.incidents, found.end) == ("g-payment", tuple(ids), None)
    assert [(one.service, one.order) for one in found.services] == [("payment", 1), ("cart", 2), ("web", 3)]
    assert found.causes[0].service == "payment"
    assert found.plan[0].service == "payment"
    assert found.kinds["payment"] == ("disk_full",)
    assert (found.blast_radius.requests_per_minute, found.blast_radius.failing_share) == (180.0, 0.5)
    assert found.categories == ("resource",)


def test_services_whose_errors_name_the_same_peer_that_they_cannot_reach_are_one_group(documents: Documents) -> None:
    def fails(service: str, message: str, category: str = "network") -> None:
        event = ErrorEvent(
            at(1),
            at(1),
            "default",
            service,
            WHOLE,
            category,
            "connection_refused",
            17,
            True,
            True,
            f"f-{service}",
            message=message,
        )
        put_incident(documents, an_incident(service, service, lasts=True))
        put_errors(documents, service, RecentErrors((), (event,)))

    fails("cart", "connection refused to db-1")
    fails("mail", "dial tcp db-1:5432: connect: connection refused")
    fails("search", "connection refused to db-2")
    fails("stock", "no such row in db-1:5432", "data")
    fails("ads", "connection refused")
    correlation_of(documents).look_at_all()
    assert sorted(found.incidents for found in groups(documents)) == [("ads",), ("cart", "mail"), ("search",), ("stock",)]


def test_a_second_look_writes_nothing_and_so_does_another_home(documents: Documents) -> None:
    put_cascade(documents)
    one, other = correlation_of(documents), correlation_of(documents)
    one.look_at_all()
    before = documents.items("groups")
    one.look_at_all()
    other.look_at_all()
    correlation_of(documents).look_at_all()  # after a crash
    assert documents.items("groups") == before


def test_a_group_keeps_its_name_and_what_it_showed_while_incidents_join_and_after_the_cause_recovered(
    documents: Documents,
) -> None:
    put_incident(documents, an_incident("p", lasts=True))
    put_symptoms(documents, "payment", 0, 2)
    correlation = correlation_of(documents)
    correlation.look_at_all()
    assert [one.id for one in groups(documents)] == ["g-p"]
    put_edges(documents, ("cart", "payment"))
    put_incident(documents, an_incident("c", "cart", start_s=240.0, lasts=True))
    put_symptoms(documents, "cart", 4, 8)
    documents.delete("symptoms", tenant_key("default", "payment"))
    correlation_of(documents).look_at_all()
    (found,) = groups(documents)
    assert (found.id, found.incidents) == ("g-p", ("p", "c"))
    assert found.causes[0].service == "payment"
    assert [one.service for one in found.services] == ["payment", "cart"]


def test_errors_are_counted_once_however_often_it_is_looked(documents: Documents) -> None:
    put_incident(documents, an_incident("p", lasts=True))
    correlation = correlation_of(documents)
    for minute in (2, 3, 3, 6):
        put_symptoms(documents, "payment", 0, minute)
        correlation.look_at_all()
    (found,) = groups(documents)
    assert found.services[0].errors == 6 * 9.0


def test_groups_that_turn_out_to_be_one_become_the_older(documents: Documents) -> None:
    put_incident(documents, an_incident("p", lasts=True))
    put_incident(documents, an_incident("c", "cart", start_s=120.0, lasts=True))
    put_symptoms(documents, "payment", 0, 4)
    put_symptoms(documents, "cart", 2, 4)
    correlation = correlation_of(documents)
    assert correlation.look_at_all()
    assert [one.id for one in groups(documents)] == ["g-c", "g-p"]
    documents.delete("symptoms", tenant_key("default", "cart"))
    put_edges(documents, ("cart", "payment"))
    correlation.look_at_all()
    (found,) = groups(documents)
    assert (found.id, found.merged) == ("g-p", ("g-c",))
    assert [(one.service, one.errors) for one in found.services] == [("payment", 36.0), ("cart", 18.0)]


def test_a_group_that_a_killed_home_had_merged_and_not_taken_away_goes(documents: Documents) -> None:
    put_incident(documents, an_incident("p", lasts=True))
    put_incident(documents, an_incident("c", "cart", start_s=120.0, lasts=True))
    put_symptoms(documents, "payment", 0, 4)
    correlation_of(documents).look_at_all()
    (left,) = (one for one in documents.items("groups") if one.key.endswith("g-c"))
    put_edges(documents, ("cart", "payment"))
    correlation_of(documents).look_at_all()
    documents.put("groups", left.key, left.value)
    put_symptoms(documents, "payment", 0, 5)
    correlation_of(documents).look_at_all()
    (found,) = groups(documents)
    assert (found.id, found.merged, found.incidents) == ("g-p", ("g-c",), ("p", "c"))


def test_a_group_stays_until_the_one_that_takes_it_in_is_written(documents: Documents, monkeypatch: pytest.MonkeyPatch) -> None:
    put_incident(documents, an_incident("p", lasts=True))
    put_incident(documents, an_incident("c", "cart", start_s=120.0, lasts=True))
    correlation, whole = correlation_of(documents), correlation_module.account
    correlation.look_at_all()
    put_edges(documents, ("cart", "payment"))

    def overtaken(*given: Any) -> GroupRecord:
        made = whole(*given)
        put_group(documents, replace(correlation_of(documents).sources.heads("default").groups[made.id], kinds={"x": ("y",)}))
        return made

    monkeypatch.setattr(correlation_module, "account", overtaken)
    assert not correlation.look_at_all()
    assert [one.id for one in groups(documents)] == ["g-c", "g-p"]
    monkeypatch.setattr(correlation_module, "account", whole)
    assert correlation.look_at_all()
    assert [(one.id, one.merged) for one in groups(documents)] == [("g-p", ("g-c",))]


def test_a_group_that_is_over_changes_by_verdicts_alone_and_helps_the_next_one(documents: Documents) -> None:
    ids = put_cascade(documents, lasts=False)
    correlation = correlation_of(documents)
    correlation.look_at_all()
    (over,) = groups(documents)
    assert over.end == at(14)
    put_verdict(documents, a_verdict(ids[0], "grew the volume"))
    again = put_cascade(documents, 24 * 60.0, name="next-")
    correlation.look_at_all()
    before, now = groups(documents)[::-1]
    assert (before.id, now.id) == (over.id, f"g-{again[0]}")
    assert before.timeline[-1].text == "ann: confirmed. grew the volume"
    assert now.similar[0].id == over.id
    assert now.similar[0].resolved_by == ("grew the volume",)
    assert now.plan[0].action == "Try what helped on 2026-03-02: grew the volume"
    assert (now.recovery_expected_at, now.recovery_seen) == (at(24 * 60 + 14), 1)


def test_what_began_long_after_all_was_over_is_another_group(documents: Documents) -> None:
    put_incident(documents, an_incident("old"))
    put_group(documents, a_group("g-old", lasts_min=10, incidents=("old",)))
    put_incident(documents, an_incident("new", start_s=4 * 3600.0))
    correlation_of(documents).look_at_all()
    assert [one.id for one in groups(documents)] == ["g-new", "g-old"]


def test_only_tenants_whose_home_is_here_are_looked_at(documents: Documents) -> None:
    for tenant in ("red", "blue"):
        put_cascade(documents, tenant=tenant)
    Correlation(CorrelationParts(documents, lambda tenant: tenant == "red"), Telemetry()).look_at_all()
    assert [one.tenant for one in groups(documents)] == ["red"]


def test_a_home_that_cannot_be_told_is_counted_and_holds_no_other_up(documents: Documents) -> None:
    for tenant in ("blue", "red"):
        put_cascade(documents, tenant=tenant)

    def home(tenant: str) -> bool:
        if tenant == "blue":
            raise StoreFailed("no server leads")
        return True

    telemetry = Telemetry()
    assert not Correlation(CorrelationParts(documents, home), telemetry).look_at_all()
    assert [one.tenant for one in groups(documents)] == ["red"]
    assert telemetry.value("faults", place="groups") == 1.0


def test_a_document_that_cannot_be_read_is_left_out(documents: Documents, caplog: pytest.LogCaptureFixture) -> None:
    put_cascade(documents)
    documents.put("symptoms", tenant_key("default", "web"), encode_document({"tenant": 1}))
    correlation_of(documents).look_at_all()
    assert len(groups(documents)) == 1
    assert "default/web is left out" in caplog.text


def test_what_another_home_wrote_meanwhile_is_not_written_over(documents: Documents, monkeypatch: pytest.MonkeyPatch) -> None:
    put_cascade(documents)
    correlation, whole = correlation_of(documents), correlation_module.account

    def overtaken(*given: Any) -> GroupRecord:
        put_group(documents, a_group("g-payment"))
        return whole(*given)

    monkeypatch.setattr(correlation_module, "account", overtaken)
    assert not correlation.look_at_all()
    assert groups(documents) == [a_group("g-payment")]
    monkeypatch.setattr(correlation_module, "account", whole)
    assert correlation.look_at_all()
    assert [one.incidents for one in groups(documents)] == [("payment", "cart", "web")]


def test_a_node_that_becomes_home_looks_also_where_nothing_comes(documents: Documents, monkeypatch: pytest.MonkeyPatch) -> None:
    put_cascade(documents)
    asked: list[bool] = []

    def home(_: str) -> bool:
        asked.append(len(asked) > 2)
        return asked[-1]

    monkeypatch.setattr("app.correlation._EVERY_S", 0.001)
    monkeypatch.setattr("app.correlation._ANYWAY_S", 0.002)
    stop = threading.Event()
    thread = threading.Thread(target=Correlation(CorrelationParts(documents, home), Telemetry()).run, args=(stop,))
    thread.start()
    try:
        until(lambda: groups(documents) != [], "a group")
    finally:
        stop.set()
        thread.join()


def test_whatever_fails_is_counted_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FAMILIES["sqlite"](tmp_path, Clock())
    assert isinstance(store, SqliteStore)
    put_cascade(store.documents)
    telemetry = Telemetry()
    correlation = Correlation(CorrelationParts(store.documents), telemetry)
    refused = [StoreFailed("no server leads"), RuntimeError("unforeseen")]
    swap = store.documents.swap

    def unlucky(bucket: str, key: str, value: bytes, revision: int, *, ttl_s: float | None = None) -> int:
        if refused:
            raise refused.pop(0)
        return swap(bucket, key, value, revision, ttl_s=ttl_s)

    monkeypatch.setattr(store.documents, "swap", unlucky)
    monkeypatch.setattr("app.correlation._EVERY_S", 0.01)
    stop = threading.Event()
    thread = threading.Thread(target=correlation.run, args=(stop,))
    thread.start()
    try:
        for _ in range(1000):
            if store.documents.items("groups"):
                break
            stop.wait(0.01)
    finally:
        stop.set()
        thread.join()
    assert telemetry.value("faults", place="groups") == 2
    assert len(groups(store.documents)) == 1
    store.close()
