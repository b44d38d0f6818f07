"""Every node of a cluster learns of tokens made and revoked elsewhere, also one that only ingests and follows next to nothing."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.auth import ANYONE, Doorkeeper, NotAuthenticated, Scope, Tokens, Wanted
from app.auth.tokens import BUCKET
from app.store.jetstream import JetStreamStore
from tests.contracts.stores import FAMILIES
from tests.nodes import until

pytestmark = pytest.mark.cluster

WITHIN_S = 1.0


def now() -> datetime:
    return datetime.now(UTC)


@pytest.mark.parametrize("only", [None, "members"])
def test_a_token_opens_and_closes_on_other_nodes_within_a_second(tmp_path: Path, only: str | None) -> None:
    here, there = (FAMILIES["jetstream"](tmp_path, now) for _ in range(2))
    try:
        assert isinstance(there, JetStreamStore)
        there.documents.only = only
        tokens, door = Tokens(here.documents, now), Doorkeeper(there.documents.watch(BUCKET), now)
        header = f"Bearer {tokens.add(Wanted('collector', [Scope.INGEST], ['shop']), ANYONE).text}"

        def opens() -> bool:
            try:
                return door.principal(header).name == "collector"
            except NotAuthenticated:
                return False

        until(opens, "the token")
        took_s: list[float] = []
        for _ in range(5):
            tokens.revoke("collector", ANYONE)
            since_s = time.monotonic()
            until(lambda: not opens(), "the revocation")
            took_s.append(time.monotonic() - since_s)
            header = f"Bearer {tokens.add(Wanted('collector', [Scope.INGEST], ['shop']), ANYONE).text}"
            until(opens, "the token")
        assert sorted(took_s)[2] < WITHIN_S, took_s
    finally:
        here.close()
        there.close()
