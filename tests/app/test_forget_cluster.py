"""What a stopped cluster is changed by, on one server; `tests/cluster/test_forget.py` has three and looks into their files."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app import forget
from app.forget import asked_tenant, asked_value, forget_asked
from app.forget_cluster import finish_earlier, rewritten_cluster
from app.history.delta import DeltaHistory
from app.ingest.codec import TickMessage, pack
from app.opening import open_alone
from app.settings import Settings
from app.store import jetstream_rewrite
from app.store.cluster import reach_cluster
from app.store.contract import Commit, Rewriting, State
from app.store.jetstream import JetStreamStore
from app.store.jetstream_copy import ClusterRewriting
from features.errors import DataInUse, InvalidSetting, InvalidValue, StoreFailed
from tests.families import a_cluster
from tests.forgetting import GONE, STAYS, VALUE, fed
from tests.nodes import settings_in

pytestmark = pytest.mark.cluster


def same(_partition: int, state: State) -> State:
    return state


def without_secret(_bucket: str, _key: str, value: bytes) -> bytes | None:
    return None if value == b"secret" else value


def nothing() -> None:
    """Stand for history where there is none."""


REWRITING = Rewriting(lambda data: data, same, without_secret)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path, **a_cluster())


def put(settings: Settings, bucket: str, key: str, value: bytes) -> None:
    with closing(open_alone(settings)) as store:
        store.documents.put(bucket, key, value)


def keys(settings: Settings, bucket: str) -> list[str]:
    with closing(open_alone(settings)) as store:
        return [document.key for document in store.documents.items(bucket)]


def test_nodes_are_kept_out_until_the_end_of_the_block_whatever_comes_of_it(settings: Settings) -> None:
    put(settings, "bucket", "a", b"secret")
    put(settings, "bucket", "b", b"plain")
    with rewritten_cluster(settings, REWRITING, "") as done:
        assert done == {"entries": 0, "state": 0, "documents": 1, "models": 0}
        with pytest.raises(InvalidSetting, match="has begun and not ended"):
            open_alone(settings)
    assert keys(settings, "bucket") == ["b"]
    with pytest.raises(StoreFailed, match="history refused"), rewritten_cluster(settings, REWRITING, ""):
        raise StoreFailed("history refused")
    assert keys(settings, "bucket") == ["b"]
    assert not finish_earlier(settings, "", nothing)


def test_a_call_that_changes_history_for_long_is_seen_to_live(settings: Settings) -> None:
    put(settings, "bucket", "a", b"secret")
    with rewritten_cluster(settings, REWRITING, ""), closing(reach_cluster(settings)) as link:
        for _ in range(2):
            with pytest.raises(DataInUse, match="works on the cluster now"):
                jetstream_rewrite.finish(link, "", nothing, 5.0)
        with pytest.raises(InvalidSetting, match="has begun and not ended"):
            open_alone(settings)
    assert keys(settings, "bucket") == []


def test_who_is_a_member_is_named_and_holders_of_tokens_are_none(settings: Settings) -> None:
    put(settings, "members.tokens", "t", b"a token")
    put(settings, "members", "node-7", b"{}")
    with pytest.raises(DataInUse, match="got node-7: stop them first"), rewritten_cluster(settings, REWRITING, ""):
        pass
    with closing(open_alone(settings)) as store:
        store.documents.delete("members", "node-7")
    with rewritten_cluster(settings, REWRITING, ""):
        pass
    assert keys(settings, "members.tokens") == ["t"]


def test_a_tick_that_no_checkpoint_has_passed_is_refused_one_that_is_there_twice_not(settings: Settings) -> None:
    with closing(open_alone(settings)) as store:
        offset = store.log.append(3, "", pack(TickMessage(600)))
        token = store.checkpoints.acquire(3, "me").token
        store.checkpoints.commit_all([Commit(3, token, offset, {"worker/markers": json.dumps([(600, offset)]).encode()})])
        store.log.append(3, "", pack(TickMessage(600)))
        store.log.append(3, "", b"no message")
    with rewritten_cluster(settings, REWRITING, ""):
        pass
    with closing(open_alone(settings)) as store:
        assert len(store.log.read(3, 0)) == 2
        store.log.append(3, "", pack(TickMessage(660)))
    refused = "partition 3 must have no tick behind its checkpoint of 600, got one of 660"
    with pytest.raises(InvalidValue, match=refused), rewritten_cluster(settings, REWRITING, ""):
        pass
    with closing(open_alone(settings)) as store:
        assert len(store.log.read(3, 0)) == 3


def test_a_folder_that_was_moved_into_the_cluster_is_changed_with_it(tmp_path: Path) -> None:
    over: dict[str, Any] = a_cluster()
    fed(tmp_path)
    fed(tmp_path, **over)
    assert holding(tmp_path, GONE)
    done = forget_asked(
        settings_in(tmp_path, **over, store__partitions=3), asked_tenant(GONE)
    )  # its own number is not asked for any more
    assert done["models"] == 2, "one in the cluster, one in the folder"
    assert not holding(tmp_path, GONE)
    assert holding(tmp_path, STAYS)


def test_a_moved_folder_that_cannot_be_opened_is_told_before_the_cluster_is_changed(settings: Settings) -> None:
    put(settings, "errors", f"{GONE}/1", b"{}")
    (settings.data / "store.db").write_bytes(b"no database" * 1000)
    for forgotten in (forget_asked, forget.finish_earlier):
        with pytest.raises(StoreFailed, match=r"cannot open .*store\.db"):
            forgotten(settings, asked_tenant(GONE))
    assert keys(settings, "errors") == [f"{GONE}/1"]


def holding(folder: Path, text: str) -> list[Path]:
    return [file for file in folder.glob("store.db*") if text.encode() in file.read_bytes()]


def test_what_was_killed_before_history_is_ended_by_the_same_call_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jetstream_rewrite, "WATCH_S", 1.0)  # nobody else is at it here
    over: dict[str, Any] = a_cluster()
    fed(tmp_path, **over)
    settings, asked = settings_in(tmp_path, **over), asked_tenant(GONE)
    with closing(open_alone(settings)) as store:
        assert isinstance(store, JetStreamStore)
        store.copy(ClusterRewriting(asked.rewriting(settings), lambda _partition, _state, _data: None, asked.fingerprint))
    for other in (asked_tenant(STAYS), asked_value("user.id", VALUE)):
        with pytest.raises(DataInUse, match="for another tenant or value has not ended: call it again for that first"):
            forget_asked(settings, other)
    assert rows(tmp_path, GONE)
    stays = rows(tmp_path, STAYS)
    assert forget.finish_earlier(settings, asked)
    assert (rows(tmp_path, GONE), rows(tmp_path, STAYS)) == (0, stays)
    assert not forget.finish_earlier(settings, asked_tenant(STAYS))
    assert forget_asked(settings, asked).total() == 0


def rows(folder: Path, tenant: str) -> int:
    return sum(DeltaHistory(folder / "history").read(name, tenant=tenant).num_rows for name in ("windows", "facts", "errors"))
