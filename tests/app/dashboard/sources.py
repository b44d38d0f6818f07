"""What the pages read of a running node, for tests of their parts."""

from __future__ import annotations

from dataclasses import replace

from app.api.application import create_api
from app.dashboard.sources import Sources
from app.telemetry import Telemetry
from tests.nodes import RunningNode

__all__ = ["sources_of"]


def sources_of(shop: RunningNode) -> Sources:
    """Return the sources of a node, with a REST API of their own."""
    node = shop.node
    parts = replace(node._api_parts({}), telemetry=Telemetry())  # pyright: ignore[reportPrivateUsage]
    rest = create_api(parts)
    return Sources(rest, parts, rest.state.cache, node.history, node.plan.tick_s, shop.served.otlp_http, shop.served.otlp_grpc)
