"""Groups of incidents over REST, as the home of the tenant wrote them."""

from __future__ import annotations

from dataclasses import replace

from app.api.group_schemas import GroupedIncidentOut, GroupOut, IncidentDetailOut
from app.api.schemas import Items
from tests.api_builders import Api, an_incident, put_incident
from tests.group_builders import a_group, a_verdict, correlation_of, put_cascade, put_group, put_verdict

GROUPS, INCIDENTS = "/api/v1/groups", "/api/v1/incidents"


def ids(api: Api, query: str = "") -> list[str]:
    return [item.id for item in Items[GroupOut].model_validate_json(api.get(f"{GROUPS}?{query}").content).items]


def test_a_group_is_answered_with_all_that_was_found_and_nothing_that_is_not_meant_for_people(api: Api) -> None:
    put_cascade(api.documents, -60 * 24, name="before-", lasts=False)
    assert correlation_of(api.documents).look_at_all()
    put_verdict(api.documents, a_verdict("before-payment", "grew the volume"))
    put_cascade(api.documents)
    assert correlation_of(api.documents).look_at_all()
    group = GroupOut.model_validate_json(api.get(f"{GROUPS}/g-payment").content)
    assert [one.service for one in group.services] == ["payment", "cart", "web"]
    assert group.causes[0].service == "payment"
    assert group.similar[0].resolved_by == ["grew the volume"]
    assert group.recovery_seen == 1
    assert {one.lead_s for one in group.predicted_before} == {0.0}
    assert ids(api) == ["g-payment", "g-before-payment"]
    assert "evidence" not in api.get(f"{GROUPS}/g-payment").json()


def test_groups_are_filtered(api: Api) -> None:
    put_cascade(api.documents, -60 * 24, name="before-", lasts=False)
    put_cascade(api.documents)
    put_group(api.documents, a_group("g-other", lasts_min=5))
    correlation_of(api.documents).look_at_all()
    assert ids(api, "state=open") == ["g-payment"]
    assert ids(api, "state=ended") == ["g-other", "g-before-payment"]
    assert ids(api, "service=web&state=open") == ["g-payment"]
    assert ids(api, "since=2026-03-02T11:00:00Z") == ["g-other", "g-payment"]


def test_an_incident_names_its_group_and_is_answered_with_it(api: Api) -> None:
    first = put_cascade(api.documents)[0]
    put_incident(api.documents, an_incident("alone", "mail", start_s=86_400.0))
    before = IncidentDetailOut.model_validate_json(api.get(f"{INCIDENTS}/{first}").content)
    assert (before.group_id, before.group) == (None, None)
    correlation_of(api.documents).look_at_all()
    found = IncidentDetailOut.model_validate_json(api.get(f"{INCIDENTS}/{first}").content)
    assert found.group is not None
    assert found.group_id == found.group.id == "g-payment"
    listed = Items[GroupedIncidentOut].model_validate_json(api.get(INCIDENTS).content).items
    assert {one.id: one.group_id for one in listed} == dict.fromkeys(found.group.incidents, "g-payment") | {"alone": "g-alone"}


def test_the_id_of_a_group_that_turned_out_to_be_another_leads_to_that(api: Api) -> None:
    record = a_group("g-kept")
    put_group(api.documents, replace(record, merged=("g-gone",)))
    assert api.get(f"{GROUPS}/g-gone").json()["id"] == "g-kept"
    assert api.get(f"{GROUPS}/g-none").status_code == 404
    assert api.get(f"{GROUPS}/g-kept", {"X-Scope-OrgID": "other"}).status_code == 404


def test_of_a_storm_the_first_incidents_are_named_and_all_are_counted_and_can_be_listed(api: Api) -> None:
    names = tuple(f"i{n:03}" for n in range(250))
    for n, name in enumerate(names):
        put_incident(api.documents, an_incident(name, f"s{n:03}", start_s=60.0 * n))
    put_incident(api.documents, an_incident("alone", "mail"))
    put_group(api.documents, replace(a_group("g-storm", incidents=names), merged=("g-gone",)))
    shown = GroupOut.model_validate_json(api.get(f"{GROUPS}/g-storm").content)
    assert (tuple(shown.incidents), shown.incident_count) == (names[:200], 250)
    assert api.get(f"{INCIDENTS}/i249").json()["group_id"] == "g-storm"
    for name in ("g-storm", "g-gone"):
        listed = api.get(f"{INCIDENTS}?group_id={name}&limit=500").json()["items"]
        assert sorted(one["id"] for one in listed) == list(names)
    assert api.get(f"{INCIDENTS}?group_id=g-none").json()["items"] == []


def test_a_group_without_causes_says_why(api: Api) -> None:
    put_group(api.documents, a_group("g-known"))
    put_group(api.documents, a_group("g-late", causes=()))
    known, late = (GroupOut.model_validate_json(api.get(f"{GROUPS}/{name}").content) for name in ("g-known", "g-late"))
    assert known.no_causes is None
    assert late.no_causes is not None
    assert "telemetry of the past was caught up with" in late.no_causes
