"""What is shown of the nodes over REST."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from app.api.node_schemas import NodesOut
from app.cache.member_records import ALIVE, DEAD, LEAVING, WORKER, Member, Nodes, NodeState
from tests.api_builders import Api
from tests.nodes import run_node

NODES = "/api/v1/nodes"


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def test_each_is_shown_with_what_it_holds_and_what_nobody_holds(api: Api) -> None:
    a = Member("a", "x", "0.1.0", 60.0, (WORKER,), load=2.5, lag=3, tick=120.0, held=(1, 2), claimed=(3,), handovers=4)
    gone = Member("b", held=(0, 4))
    leaving = Member("c", held=(0,), leaving=True)
    api.nodes = Nodes(5, (NodeState(a, 0.25, ALIVE), NodeState(gone, 99.0, DEAD), NodeState(leaving, 0.5, LEAVING)))
    response = api.get(NODES)
    assert response.headers["Cache-Control"] == "no-store"
    answer = NodesOut.model_validate_json(response.content)
    assert (answer.leader, answer.partitions, answer.unheld) == ("c", 5, [3, 4])
    assert [(n.id, n.state, n.age_s, n.leader, n.leaving) for n in answer.items] == [
        ("a", "alive", 0.25, False, False),
        ("b", "dead", 99.0, False, False),
        ("c", "leaving", 0.5, True, True),
    ]
    first = answer.items[0]
    assert (first.partitions, first.taking, first.load, first.lag, first.as_of) == ([1, 2], [3], 2.5, 3, at(120))
    assert (first.handovers, first.version, first.started_at, first.roles) == (4, "0.1.0", at(60), ["worker"])


def test_nobody_leads_while_nobody_holds_the_first_partition(api: Api) -> None:
    api.nodes = Nodes(2, (NodeState(Member("a", held=(1,)), 0.0, ALIVE), NodeState(Member("b", held=(0,)), 9.0, DEAD)))
    body = api.get(NODES).json()
    assert (body["leader"], body["unheld"], [node["leader"] for node in body["items"]]) == (None, [0], [False, False])


def test_a_node_alone_answers_with_itself_and_all_partitions(tmp_path: Path) -> None:
    with run_node(tmp_path) as running:
        answer = NodesOut.model_validate(running.get(NODES))
        node = answer.items[0]
        assert (len(answer.items), answer.leader, answer.unheld) == (1, node.id, [])
        assert node.partitions == list(range(answer.partitions))
        assert node.id == (running.node.settings.data / "node").read_text().strip()
