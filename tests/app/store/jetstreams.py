"""Stores over one real server, each over an account of its own."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from app.store.jetstream import ClusterPlan, JetStreamStore, open_jetstream
from tests.cluster.servers import Accounts

__all__ = ["PLAN", "accounts", "an_account", "opened"]

PLAN = ClusterPlan(partitions=4, streams=2, replicas=1, window_s=0.001, max_in_flight_bytes=1_000_000)

_numbers = itertools.count()


@cache
def accounts() -> Accounts:
    """Return the server of this process."""
    return Accounts()


def an_account() -> Path:
    """Return a name for an account that nobody has used yet."""
    return Path(f"account {next(_numbers)}")


def opened(account: Path, plan: ClusterPlan = PLAN, **connect: object) -> JetStreamStore:
    """Open the store of an account."""
    return open_jetstream({**accounts().connect(account), **connect}, plan, lambda: datetime.now(UTC))
