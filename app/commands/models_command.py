"""``foreshock models``: the versions in a data folder's registry."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any

from app.main import Node
from app.settings import Settings

__all__ = ["versions"]


def versions(settings: Settings, tenant: str) -> tuple[dict[str, Any], str]:
    """Return all versions of a tenant, newest first, and the same for a terminal."""
    node = Node(settings)
    with closing(node):
        found = node.registry(tenant).versions()
    rows = [
        f"{v.id}  {v.alias:10}  serves " + ", ".join(f"{name} at {horizon}" for horizon, name in v.record.serves.items())
        for v in found
    ]
    return {"items": [json.loads(v.to_json()) for v in found]}, "\n".join(rows) or "no model yet; the prior is served"
