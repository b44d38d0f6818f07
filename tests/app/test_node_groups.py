"""A cascade through a whole node: from spans on a socket to one group of incidents with its cause and plan over REST."""

from __future__ import annotations

from pathlib import Path

from app.api.group_schemas import GraphOut, GroupOut, IncidentDetailOut
from app.api.schemas import Items
from tests.cascades import CHAIN, a_minute
from tests.nodes import RunningNode, run_node

QUIET = 30


def play(running: RunningNode, numbers: range, failing: int = 0) -> None:
    for number in numbers:
        assert running.post("traces", a_minute(running.now_ns, number, failing)).status_code == 200
        running.tick()
    running.node.correlation.look_at_all()


def the_group(running: RunningNode) -> GroupOut:
    groups = Items[GroupOut].model_validate(running.get("/api/v1/groups")).items
    assert len(groups) == 1, [(one.id, [each.service for each in one.services]) for one in groups]
    return groups[0]


def test_a_cascade_becomes_one_group_whose_first_cause_is_where_it_began(tmp_path: Path) -> None:
    with run_node(tmp_path) as running:
        play(running, range(QUIET))
        play(running, range(QUIET, QUIET + 2), failing=1)
        first = the_group(running)
        play(running, range(QUIET + 2, QUIET + 4), failing=2)
        play(running, range(QUIET + 4, QUIET + 8), failing=3)
        group = the_group(running)
        assert group.id == first.id
        assert [one.service for one in group.services] == ["payment", "cart", "web"]
        assert group.causes[0].service == "payment"
        assert group.causes[0].reasons
        incidents = running.get("/api/v1/incidents")["items"]
        assert {one["service"] for one in incidents} == set(CHAIN)
        assert {one["group_id"] for one in incidents} == {group.id}
        assert sorted(group.incidents) == sorted(one["id"] for one in incidents)
        detail = IncidentDetailOut.model_validate(running.get(f"/api/v1/incidents/{incidents[0]['id']}"))
        assert detail.group is not None
        assert (detail.group.id, detail.group_id) == (group.id, group.id)
        assert detail.group.plan[0].service == "payment"
        assert "disk" in detail.group.plan[0].action or "space" in detail.group.plan[0].action
        assert ("cart", "payment") in [(one.circuit.caller, one.circuit.callee) for one in detail.group.plan if one.circuit]
        assert detail.group.blast_radius.services == 3
        assert detail.group.blast_radius.failing_share > 0.5
        assert {one.kind for one in group.timeline} >= {"symptom", "error", "incident", "detected"}
        assert [one.time for one in group.timeline] == sorted(one.time for one in group.timeline)
        graph = GraphOut.model_validate(running.get("/api/v1/graph"))
        assert {(one.caller, one.callee) for one in graph.edges} == {("web", "cart"), ("cart", "payment")}
        play(running, range(QUIET + 8, QUIET + 16))
        over = the_group(running)
        assert over.id == first.id
        assert over.end is not None
        assert over.causes[0].service == "payment"
        assert over.timeline[-1].kind == "over"
