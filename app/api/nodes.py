"""The route of the nodes: who works, what each holds, how far behind it is, and what nobody holds.

`app.main` hands in what the node knows of the others; nothing is asked for an answer.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast

from anyio import to_thread
from fastapi import APIRouter, Request, Response

from app.api.node_schemas import NodesOut
from app.api.parts import PREFIX, ApiParts, answer
from app.cache.member_records import DEAD, Nodes, NodeState

__all__ = ["router"]

router = APIRouter(prefix=PREFIX, tags=["health"])


@router.get("/nodes", response_model=NodesOut, summary="The nodes, what each holds, and how far behind it is")
async def list_nodes(request: Request) -> Response:
    """List the nodes as the one that is asked sees them."""
    nodes = await to_thread.run_sync(cast("ApiParts", request.app.state.parts).nodes)
    return answer(_shown(nodes), headers={"Cache-Control": "no-store"})


def _shown(nodes: Nodes) -> dict[str, object]:
    items = [_node(each, nodes.leader) for each in nodes.states]
    return {"items": items, "leader": nodes.leader, "partitions": nodes.n_partitions, "unheld": nodes.unheld}


def _node(state: NodeState, leader: str | None) -> dict[str, object]:
    member = state.member
    return {
        "id": member.id,
        "state": state.state,
        "age_s": state.age_s,
        "leader": member.id == leader and state.state != DEAD,
        "leaving": member.leaving,
        "listening": member.listening,
        "version": member.version,
        "started_at": datetime.fromtimestamp(member.started_at, UTC),
        "roles": member.roles,
        "weight": member.weight,
        "load": member.load,
        "lag": member.lag,
        "as_of": None if member.tick is None else datetime.fromtimestamp(member.tick, UTC),
        "partitions": member.held,
        "taking": member.claimed,
        "handovers": member.handovers,
        "api": member.api,
    }
