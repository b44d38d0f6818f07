"""A cluster that is emptied goes on above the offsets that it is told of, and forgets what it held."""

from __future__ import annotations

from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.store.contract import Commit
from app.store.jetstream import ClusterPlan, JetStreamStore, open_jetstream
from tests.cluster.servers import Servers

pytestmark = pytest.mark.cluster


@pytest.fixture
def servers(tmp_path: Path) -> Generator[Servers]:
    started = Servers(tmp_path, 1)
    yield started
    started.close()


def opened(servers: Servers) -> JetStreamStore:
    plan = ClusterPlan(partitions=4, streams=2, replicas=1)
    return open_jetstream({"servers": servers.urls}, plan, lambda: datetime.now(UTC))


def test_the_log_goes_on_above_an_offset_in_every_partition_and_again_above_its_own(servers: Servers) -> None:
    with opened(servers) as store:
        assert store.messages() == 0
        base = store.empty(10_000_000)
        assert base >= 10_000_000
        offsets = [store.log.append(partition, "", b"entry") for partition in range(4)]
        assert min(offsets) > base
        token = store.checkpoints.acquire(0, "a test").token
        store.checkpoints.commit_all([Commit(0, token, base, {"state": b"old"})])
        store.documents.put("bucket", "key", b"value")
        assert store.messages() == 7  # four entries, a head, a part of state, a document
        again = store.empty(0)
        assert again >= max(offsets)
        assert store.messages() == 0
    with opened(servers) as later:
        assert later.documents.get("bucket", "key") is None
        assert later.checkpoints.acquire(0, "another").state == {}
        assert later.log.read(0, 0) == []
        assert later.log.append(0, "", b"new") > again
