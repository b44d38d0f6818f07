"""The account of a group out of a scene; `tests/app/test_correlation.py` has whole cascades."""

from __future__ import annotations

from dataclasses import replace

from app.cache.error_heads import ErrorHeads, EventHead, KindHead
from app.cache.group_records import GroupRecord
from app.cache.records import IncidentRecord, ServiceSummary
from app.cache.symptom_records import SymptomsRecord
from app.group_account import account, with_verdicts
from app.scene import Scene
from features.groups import Group, Seen
from features.symptom import Edge, Symptom
from tests.api_builders import NOON, an_incident
from tests.group_builders import a_verdict, at


def shows(service: str, since: float, as_of: float, bits: float = 20.0) -> SymptomsRecord:
    symptom = Symptom("errors", int(at(since).timestamp()), bits, 9.0, 0.1)
    return SymptomsRecord("default", service, int(at(as_of).timestamp()), (symptom,), (1, 2))


def a_scene(*incidents: IncidentRecord, as_of: float = 4, **symptoms: SymptomsRecord) -> Scene:
    edges = [
        Edge("default", "web", "cart", 9.0),
        Edge("default", "cart", "payment", 9.0),
        Edge("default", "payment", "db", 9.0),
    ]
    return Scene("default", at(as_of), {one.id: one for one in incidents}, symptoms=symptoms, edges=edges)


def told(scene: Scene, before: GroupRecord | None = None) -> GroupRecord:
    seen = tuple(Seen(one.id, one.service, int(one.start.timestamp())) for one in scene.incidents.values())
    return account(Group("g-1", seen), before, scene)


def test_services_without_an_incident_that_show_symptoms_around_it_are_part_of_it() -> None:
    scene = a_scene(
        an_incident("c", "cart", lasts=True), cart=shows("cart", 0, 4), db=shows("db", -1, 4), payment=shows("payment", -1, 4)
    )
    found = told(scene)
    assert [one.service for one in found.services] == ["db", "payment", "cart"]
    assert found.causes[0].service == "db"
    chronic = replace(scene, symptoms={**scene.symptoms, "payment": shows("payment", -300, 4)})
    assert [one.service for one in told(chronic).services] == ["cart"], "another trouble lies in between"


def test_a_symptom_is_told_since_it_showed_first_and_as_strong_as_it_was() -> None:
    incident = an_incident("c", "cart", lasts=True)
    first = told(a_scene(incident, cart=shows("cart", -1, 2, 30.0)))
    later = told(a_scene(incident, as_of=9, cart=shows("cart", 3, 9, 12.0)), first)
    (shown,) = later.evidence
    assert (shown.symptoms[0].since_s, shown.symptoms[0].strength) == (int(at(-1).timestamp()), 30.0)
    gone = told(a_scene(incident, as_of=12), later)
    assert (gone.causes, gone.services) == (later.causes, later.services)


def test_what_passed_while_others_went_on_is_behind_them_and_stays_there_when_all_is_over() -> None:
    last = an_incident("c", "cart", lasts=True)
    first = told(a_scene(last, cart=shows("cart", 0, 2, 12.0), web=shows("web", 0, 2, 30.0)))
    later = told(a_scene(last, as_of=6, cart=shows("cart", 0, 6, 12.0)), first)
    assert [(one.service, one.symptoms[0].over) for one in later.evidence] == [("cart", False), ("web", True)]
    ended = told(a_scene(an_incident("c", "cart"), as_of=12), later)
    assert ended.end is not None
    assert (ended.evidence, ended.causes) == (later.evidence, later.causes)


def test_what_began_after_a_group_that_is_found_late_is_not_to_blame_for_it() -> None:
    past = an_incident("c", "cart")  # of the first ten minutes, found while old telemetry is caught up with
    during = shows("cart", 5, 40, 9.0)
    later = Symptom("latency", int(at(30).timestamp()), 20.0)
    record = replace(during, symptoms=(later, *during.symptoms), errors=tuple(float(n) for n in range(60)))
    found = told(a_scene(past, as_of=40, cart=record, web=shows("web", 30, 40, 30.0)))
    assert [(one.service, [s.signal for s in one.symptoms]) for one in found.evidence] == [("cart", ["errors"])]
    assert [cause.service for cause in found.causes] == ["cart"]
    # Windows 20 to 30 of the sixty: from the start of the incident to the window in which it ended.
    assert found.services[0].errors == sum(range(20, 31))
    assert told(a_scene(past, as_of=40, web=shows("web", 30, 40, 30.0))).causes == ()


def test_the_blast_radius_is_that_of_the_worst_moment() -> None:
    incident = an_incident("c", "cart", lasts=True)

    def serving(share: float) -> Scene:
        summary = ServiceSummary("default", "cart", (), NOON, NOON, 100.0, share)
        return replace(a_scene(incident, cart=shows("cart", 0, 4)), services={"cart": summary})

    worst = told(serving(0.8), told(serving(0.3)))
    after = told(serving(0.1), worst)
    assert worst.blast_radius.failing_share == after.blast_radius.failing_share == 0.8


def test_kinds_come_by_how_many_errors_of_them_fell_into_it() -> None:
    old = KindHead("f-old", "timeout", "network", 5000, at(-999), at(3))
    new, over = (
        KindHead("f-new", "disk_full", "resource", 9, at(1), at(3)),
        KindHead("f-over", "dns", "network", 99, at(-99), at(-50)),
    )
    events = tuple(EventHead(at(2), "timeout", "network", "f-old") for _ in range(3))
    scene = replace(a_scene(an_incident("c", "cart", lasts=True)), errors={"cart": ErrorHeads((old, new, over), events)})
    found = told(scene)
    assert found.kinds == {"cart": ("disk_full", "timeout")}
    assert found.fingerprints == ("f-new", "f-old")
    assert found.categories == ("network", "resource")


def test_what_is_over_is_left_as_it_is_but_for_verdicts() -> None:
    scene = a_scene(an_incident("c", "cart"), cart=shows("cart", 0, 4))
    over = told(scene)
    assert over.end == at(10)
    later = replace(scene, symptoms={"cart": shows("cart", 0, 9, 39.0)}, verdicts={"c": [a_verdict("c", "so it was")]})
    again = told(later, over)
    assert again.evidence == over.evidence
    assert again == with_verdicts(over, later)
    assert again.timeline[-1].text == "ann: confirmed. so it was"
    assert with_verdicts(again, scene) == over, "taken back"


def test_a_storm_is_told_of_in_a_bounded_document() -> None:
    incidents = [an_incident(f"i{n:04}", f"s{n:04}", lasts=True) for n in range(500)]
    symptoms = {one.service: shows(one.service, 0, 4) for one in incidents}
    found = told(replace(a_scene(*incidents), symptoms=symptoms))
    assert (len(found.incidents), len(found.services), len(found.evidence), len(found.timeline)) == (500, 200, 200, 200)
    predicted = [replace(one, predicted={"5min": 0.1, "15min": 0.2, "60min": 0.3}) for one in incidents]
    assert len({one.service for one in told(a_scene(*predicted)).predicted_before}) == 200


def test_neighbours_that_come_and_go_in_a_long_one_leave_a_bounded_document_in_which_its_own_services_stay() -> None:
    incident, found = an_incident("c", "cart", lasts=True), None
    edges = [Edge("default", "cart", f"s{n:03}", 9.0) for n in range(300)]
    for turn in range(3):
        names = ["cart", *(f"s{n:03}" for n in range(turn * 100, turn * 100 + 100))]
        shown = {name: shows(name, 0.0 if name == "cart" else -1.0, 4.0 + turn) for name in names}
        found = told(replace(a_scene(incident, as_of=4 + turn, **shown), edges=edges), found)
    assert found is not None
    assert len(found.evidence) == 200
    assert {one.service for one in found.evidence} == {"cart", *(f"s{n:03}" for n in range(199))}
