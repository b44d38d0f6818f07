"""The families of stores that whole nodes are tested over: a data folder, and a cluster of a real server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.app.store.jetstreams import accounts, an_account

__all__ = ["FAMILIES", "a_cluster", "in_the_folder"]


def in_the_folder() -> dict[str, Any]:
    """Return what a node needs that keeps everything in its data folder."""
    return {}


def a_cluster() -> dict[str, Any]:
    """Return what nodes need that share a cluster in which nothing is yet, as `settings_in` takes it."""
    connect = accounts().connect(an_account())
    server = str(connect["servers"]).removeprefix("nats://")
    return {
        "nats_url": f"nats://{connect['user']}:{connect['password']}@{server}",
        "cluster__allow_unsynced": True,
        "cluster__replicas": 1,
        "cluster__partitions": 8,
        "cluster__streams": 2,
        "store__log_max_bytes": 2**26,  # which the server sets aside, for each of the many clusters of the tests
    }


FAMILIES: list[Callable[[], dict[str, Any]]] = [
    pytest.param(in_the_folder, id="folder"),  # pyright: ignore[reportAssignmentType]
    pytest.param(a_cluster, id="cluster", marks=pytest.mark.cluster),  # pyright: ignore[reportAssignmentType]
]
"""Each returns settings of a store in which nothing is yet; for the `params` of a fixture."""
