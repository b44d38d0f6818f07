"""Checkpoints in SQLite beside appends: one writer, and a refused commit costs nobody else anything."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from app.settings import StoreSettings
from app.store.contract import Output
from app.store.sqlite import open_store
from features.errors import Fenced
from tests.contracts.stores import Clock


def test_commits_of_a_zombie_beside_appends_change_nothing(tmp_path: Path) -> None:
    settings = StoreSettings.model_validate({"partitions": 2})
    with open_store(tmp_path, settings=settings, max_in_flight_bytes=10**6, now=Clock()) as store:
        zombie = store.checkpoints.acquire(0, "zombie")
        owner = store.checkpoints.acquire(0, "owner")

        def commit_as_zombie() -> int:
            refused = 0
            for n in range(50):
                try:
                    store.checkpoints.commit(0, zombie.token, n, {"a": b"zombie"}, [Output("predictions", "k", b"zombie")])
                except Fenced:
                    refused += 1
            return refused

        def commit_as_owner() -> int:
            token = owner.token
            for n in range(50):
                token = store.checkpoints.commit(0, token, n, {"a": b"%d" % n}, [Output("predictions", "k", b"%d" % n)])
            return token

        with ThreadPoolExecutor(3) as pool:
            refused, last = pool.submit(commit_as_zombie), pool.submit(commit_as_owner)
            offsets = pool.submit(lambda: [store.log.append(1, "x", b"%d" % n) for n in range(50)])
            assert refused.result() == 50
            assert last.result() == owner.token + 50
            assert offsets.result() == list(range(1, 51))
        head = store.checkpoints.acquire(0, "reader")
        document = store.documents.get("predictions", "k")
        assert (head.offset, dict(head.state)) == (49, {"a": b"49"})
        assert document is not None
        assert document.value == b"49"
