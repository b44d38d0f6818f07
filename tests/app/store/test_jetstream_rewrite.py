"""A stopped cluster is made anew without what goes; a kill between any two calls loses nothing, and the next call ends it."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Coroutine, Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from app.store.contract import Commit, Rewriting, State
from app.store.jetstream import JetStreamStore
from app.store.jetstream_answers import Draft
from app.store.jetstream_blank import ask
from app.store.jetstream_copy import NEXT, NUMBERED, ClusterRewriting
from app.store.jetstream_link import Link
from app.store.jetstream_rewrite import copy_cluster, finish, place, release
from features.errors import DataInUse, Fenced, InvalidSetting, InvalidValue, StoreFailed, UntrustedArtifact
from tests.app.store.jetstreams import PLAN, accounts, an_account, opened

pytestmark = pytest.mark.cluster

ASKED = "a tenant"


class Killed(BaseException):
    """The process is no more."""


@dataclass
class Dying:
    """A link that is gone after some calls."""

    link: Link
    left: int

    def call(self, work: Coroutine[Any, Any, Any]) -> object:
        """Do as the link does, or end."""
        if not self.left:
            work.close()
            raise Killed
        self.left -= 1
        return self.link.call(work)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.link, name)


@dataclass
class Held:
    """What a store holds, and hashes of its two blobs."""

    entries: list[tuple[int, bytes]] = field(default_factory=list[tuple[int, bytes]])
    states: list[tuple[int, dict[str, bytes]]] = field(default_factory=list[tuple[int, dict[str, bytes]]])
    documents: dict[str, bytes] = field(default_factory=dict[str, bytes])


def filled(store: JetStreamStore) -> tuple[str, str]:
    """Fill a store, the checkpoint of every other partition in the middle of its log, and return the hashes of a blob that goes and one that stays."""
    for partition in range(4):
        offsets = store.log.append_many([(partition, "", b"%s %d" % (b"secret" if n % 3 else b"plain", n)) for n in range(20)])
        if partition % 2:
            token = store.checkpoints.acquire(partition, "me").token
            state: dict[str, bytes | None] = {"a": b"secret", "b": b"plain" * 300_000, "c": b"", f"d{partition}": b"secret"}
            store.checkpoints.commit_all([Commit(partition, token, offsets[6], state)])
            store.log.trim(partition, offsets[2])
    for number in range(6):
        store.documents.put(
            "bucket", f"key {number}", b"secret" if number % 3 else b"plain", ttl_s=3600 if number > 2 else None
        )
        store.documents.put(
            "bucket", f"key {number}", b"secret" if number % 2 else b"plain", ttl_s=3600 if number > 2 else None
        )
    store.documents.put("bucket", "gone", b"plain")
    store.documents.delete("bucket", "gone")
    return store.blobs.put(b"secret" * 60_000), store.blobs.put(b"plain" * 60_000)


def held(store: JetStreamStore) -> Held:
    found = Held()
    for partition in range(4):
        head = store.checkpoints.acquire(partition, "reader")
        found.states.append((head.offset, dict(head.state)))
        after, n = head.offset, 0
        while page := store.log.read(partition, after, 3):
            found.entries += [(partition, entry.data) for entry in page]
            after, n = page[-1].offset, n + len(page)
        assert max(store.log.end(partition), head.offset) == after
        assert bool(store.log.waiting(partition, head.offset)) == bool(n)
    found.documents = {document.key: document.value for document in store.documents.items("bucket")}
    return found


def without(data: bytes) -> bytes | None:
    return None if b"secret" in data else data


def fewer(_partition: int, state: State) -> State:
    return {key: value for key, value in state.items() if value != b"secret"}


def rewriting(*blobs: str) -> ClusterRewriting:
    of = Rewriting(without, fewer, lambda _bucket, _key, value: without(value), lambda: frozenset(blobs))
    return ClusterRewriting(of, lambda _partition, _state, _data: None, ASKED)


def nothing() -> None:
    """Stand for history where there is none."""


def expected(before: Held) -> Held:
    documents = {key: value for key, value in before.documents.items() if b"secret" not in value}
    entries = [entry for entry in before.entries if b"secret" not in entry[1]]
    return Held(entries, [(offset, dict(fewer(0, state))) for offset, state in before.states], documents)


@contextmanager
def linked(account: Path) -> Generator[Link]:
    with closing(Link(accounts().connect(account))) as link:
        yield link


def test_what_goes_is_gone_and_the_rest_goes_on_above_all_offsets() -> None:
    account = an_account()
    with opened(account) as store:
        going, staying = filled(store)
        before = held(store)
        ends = [store.log.end(partition) for partition in range(4)]
        kept = store.checkpoints.acquire(1, "an owner that is gone")
        revision = max(document.revision for document in store.documents.items("bucket"))
        done = store.copy(rewriting(going))
    assert done == {"entries": 44, "state": 4, "documents": 3, "models": 1}
    with linked(account) as link:
        place(link)
        release(link)
    with opened(account, replace(PLAN, max_bytes=2**26)) as store:  # and streams can be given another bound
        with pytest.raises(Fenced):
            store.checkpoints.commit(1, kept.token, kept.offset, {})
        assert held(store) == expected(before)
        assert store.blobs.get(staying) == b"plain" * 60_000
        with pytest.raises(UntrustedArtifact, match="there is no blob"):
            store.blobs.get(going)
        assert store.blobs.put(b"secret" * 60_000) == going
        assert store.documents.get("bucket", "gone") is None
        assert store.documents.put("bucket", "gone", b"new") > revision
        for partition, end in enumerate(ends):
            new = store.log.append(partition, "", b"new")
            assert new > end
            entries = store.log.read(partition, 0)
            assert [entry.data for entry in entries][-1] == b"new"
            assert min(entry.offset for entry in entries) > end, "no offset is given twice"
        assert held(store).entries[-1] == (3, b"new")


@pytest.mark.slow
def test_a_kill_between_any_two_calls_loses_nothing_and_the_next_call_ends_it() -> None:
    n_calls = 0
    for n_calls in itertools.count():
        account = an_account()
        with opened(account) as store:
            going, staying = filled(store)
            before = held(store)
            with linked(account) as link:
                dying = cast("Link", Dying(link, n_calls))
                try:
                    copy_cluster(dying, store.log, store.checkpoints, rewriting(going), store.documents.now_s())
                    place(dying)
                    release(dying)
                    break
                except Killed:
                    pass
        with linked(account) as link:
            whole = finish(link, ASKED, nothing, 0.0)
        with opened(account) as store:
            now = held(store)
            assert now in (before, expected(before)), f"killed before call {n_calls}"
            assert whole or now == before
            store.copy(rewriting(going))
        with linked(account) as link:
            place(link)
            release(link)
        with opened(account) as store:
            assert held(store) == expected(before), f"killed before call {n_calls}"
            assert store.blobs.get(staying) == b"plain" * 60_000
            with pytest.raises(UntrustedArtifact):
                store.blobs.get(going)
    assert n_calls > 40


def test_between_the_copy_and_its_end_nothing_is_taken_in_and_after_a_kill_there_it_is_again() -> None:
    account = an_account()
    with opened(account) as store, linked(account) as link:
        filled(store)
        before = held(store)
        parked = 0

        class Parking(Dying):
            def api(self, name: str, asked: dict[str, Any] | None = None) -> Coroutine[Any, Any, dict[str, Any]]:
                nonlocal parked
                if parked == 3 and name.startswith("STREAM.INFO."):  # all three are parked, and are looked at for the last time
                    self.left = 0
                parked += name.startswith("STREAM.UPDATE.")
                return self.link.api(name, asked)

        dying = cast("Link", Parking(link, 10**6))
        with pytest.raises(Killed):
            copy_cluster(dying, store.log, store.checkpoints, rewriting(), store.documents.now_s())
        answer = link.call(link.api("STREAM.INFO.FS_STATE"))
        assert answer["config"]["subjects"] == ["fs.parked.FS_STATE.>"]
        assert finish(link, ASKED, nothing, 0.0)
    with opened(account) as store:
        assert held(store) == before
        assert store.log.append(0, "", b"new")
        assert store.documents.put("bucket", "new", b"new")


def test_nobody_opens_the_cluster_while_the_copy_is_there_nor_changes_it_twice() -> None:
    account = an_account()
    with opened(account) as store, linked(account) as link:
        filled(store)
        store.copy(rewriting())
        with pytest.raises(InvalidSetting, match="has begun and not ended"):
            opened(account)
        with pytest.raises(DataInUse, match="another `foreshock forget`"):
            store.copy(rewriting())
        release(link)  # not put back: it stays
        with pytest.raises(InvalidSetting, match="has begun and not ended"):
            opened(account)
        place(link)
        place(link)
        release(link)
        release(link)
        assert not finish(link, ASKED, nothing)
        link.call(link.api(f"STREAM.CREATE.{NEXT}", {"name": NEXT, "subjects": ["fs.next.>"]}))
        with pytest.raises(StoreFailed, match="no whole copy"):
            place(link)


def test_where_the_copy_cannot_be_undone_the_first_reason_is_told_and_the_next_call_undoes_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    account = an_account()
    with opened(account) as store, linked(account) as link:
        filled(store)
        before = held(store)
        failed = 0

        class Away(Dying):
            def call(self, work: Coroutine[Any, Any, Any]) -> object:
                nonlocal failed
                if self.left:
                    return self.link.call(work)
                work.close()
                failed += 1
                raise StoreFailed(f"no answer, number {failed}")

            def api(self, name: str, asked: dict[str, Any] | None = None) -> Coroutine[Any, Any, dict[str, Any]]:
                if name == "STREAM.UPDATE.FS_LOG_1":  # some are parked
                    self.left = 0
                return self.link.api(name, asked)

        away = cast("Link", Away(link, 1))
        with pytest.raises(StoreFailed, match=r"^no answer, number 1; .* until another call has undone it$"):
            copy_cluster(away, store.log, store.checkpoints, rewriting(), store.documents.now_s())
        assert "what was copied cannot be undone: no answer, number 2" in caplog.text
        assert finish(link, "another tenant", nothing, 0.0)
    with opened(account) as store:
        assert held(store) == before
        assert store.log.append(0, "", b"new")


@pytest.mark.parametrize("placed", [False, True])
def test_a_whole_copy_is_ended_by_who_asks_for_the_same_alone_and_not_before_the_rest_is_done(placed: bool) -> None:
    account = an_account()
    seen: list[str] = []

    def rest() -> None:
        with pytest.raises(InvalidSetting, match="has begun and not ended"):
            opened(account)
        seen.append("rest")

    with opened(account) as store, linked(account) as link:
        filled(store)
        before = held(store)
        store.copy(rewriting())
        if placed:
            place(link)
        for _ in range(2):
            with pytest.raises(DataInUse, match="for another tenant or value has not ended: call it again for that first"):
                finish(link, "another tenant", rest, 0.0)
            with pytest.raises(InvalidSetting, match="has begun and not ended"):
                opened(account)
        assert not seen
        assert finish(link, ASKED, rest, 0.0)
        assert seen == ["rest"]
        assert not finish(link, "another tenant", rest, 0.0)
    with opened(account) as store:
        assert held(store) == expected(before)


def test_a_copy_that_lacks_a_message_is_refused_before_anything_is_deleted() -> None:
    account = an_account()
    with opened(account) as store, linked(account) as link:
        filled(store)
        store.copy(rewriting())
        old = [link.call(link.api(f"STREAM.INFO.{name}")) for name in ("FS_STATE", "FS_LOG_0", "FS_LOG_1")]
        lacking = link.call(link.newest(NEXT, f"{NUMBERED}3"))
        assert lacking is not None
        ask(link, f"STREAM.MSG.DELETE.{NEXT}", {"seq": lacking.sequence})
        for _ in range(2):
            with pytest.raises(StoreFailed, match=f"message 3 of stream {NEXT} must be there, got {NUMBERED}4"):
                place(link)
        for before in old:
            now = link.call(link.api(f"STREAM.INFO.{before['config']['name']}"))
            assert (now["created"], now["state"]["messages"]) == (before["created"], before["state"]["messages"])
            assert now["state"]["messages"] > 0


def test_who_works_on_it_now_is_not_disturbed() -> None:
    account = an_account()
    with opened(account) as store, linked(account) as link, linked(account) as other:
        store.copy(rewriting())
        done = threading.Event()

        def works() -> None:
            for number in itertools.count(10_000):
                if done.is_set():
                    return
                other.call(other.publish(NEXT, Draft(f"{NUMBERED}{number}", b"")))

        thread = threading.Thread(target=works)
        thread.start()
        try:
            with pytest.raises(DataInUse, match="works on the cluster now"):
                finish(link, ASKED, nothing, 0.2)
        finally:
            done.set()
            thread.join()


@pytest.mark.parametrize("into", ["state", "log"])
def test_what_was_written_meanwhile_or_is_refused_changes_nothing(into: str) -> None:
    account = an_account()
    with opened(account) as store, opened(account) as other:
        going, _ = filled(store)
        before = held(store)

        def writes(_bucket: str, _key: str, value: bytes) -> bytes:
            if into == "state":
                other.documents.put("another", "key", b"")
            else:
                other.log.append(0, "", b"new")
            return value

        busy = rewriting(going)
        with pytest.raises(StoreFailed, match="was written to meanwhile"):
            store.copy(replace(busy, rewriting=replace(busy.rewriting, document=writes)))

        def refuses(partition: int, state: State, data: bytes) -> None:
            raise InvalidValue(f"{partition} {len(state)} {data.decode()}")

        with pytest.raises(InvalidValue, match="0 0 plain 0"):
            store.copy(replace(busy, refuse=refuses))
    with opened(account) as store:
        now = held(store)
        assert (now.states, now.documents) == (before.states, before.documents)
        assert [entry for entry in now.entries if entry != (0, b"new")] == before.entries
        assert store.blobs.get(going)
