"""What is copied is stored in few units, read to its end, and gathered as the log gathers."""

from __future__ import annotations

from contextlib import closing
from itertools import islice

import pytest

from app.store.contract import Entry, Rewriting, State
from app.store.jetstream_answers import Draft, Refused
from app.store.jetstream_copy import NEXT, NUMBERED, OF, Batches, ClusterRewriting, messages
from app.store.jetstream_documents import STREAM
from app.store.jetstream_link import Link
from app.store.jetstream_rewrite import place, release
from tests.app.store.jetstreams import accounts, an_account, opened

pytestmark = pytest.mark.cluster


def unchanged(_partition: int, state: State) -> State:
    return state


SAME = Rewriting(lambda data: data, unchanged, lambda _bucket, _key, value: value)


def test_messages_are_stored_in_units_that_are_there_once_and_read_in_their_order() -> None:
    account = an_account()
    with opened(account), closing(Link(accounts().connect(account))) as link:
        batches = Batches(link, STREAM)
        for number in range(1203):
            batches.add(Draft(f"fs.doc.bucket.{number}", b"%d" % number + b"x" * (2**20 if number % 100 == 0 else 0)))
        batches.flush()
        batches.flush()
        found = [stored.subject for stored in islice(messages(link, STREAM, "fs.doc.bucket.>"), 1203)]
        assert found == [f"fs.doc.bucket.{number}" for number in range(1203)]
        batches.add(Draft("fs.doc.bucket.7", b"again"))
        with pytest.raises(Refused):
            batches.flush()


def test_what_no_checkpoint_has_passed_is_gathered_anew_as_large_as_the_log_gathers() -> None:
    account = an_account()
    sizes = [0] * 5000 + [2_000_000, 10, 900_000, 900_000]
    with opened(account) as store, closing(Link(accounts().connect(account))) as link:
        store.log.append_many([(1, "", bytes(size)) for size in sizes[:5000]])
        for size in sizes[5000:]:
            store.log.append(1, "", bytes(size))
        before = all_of(store.log.read(1, 0, 10_000))
        seen: list[int] = []
        store.copy(ClusterRewriting(SAME, lambda partition, _state, _data: seen.append(partition), ""))
        assert seen == [1] * len(sizes)
        of_log = [s for s in islice(messages(link, NEXT, f"{NUMBERED}>"), 5) if s.headers[OF] == "FS_LOG_1"]
        assert len(of_log) == 5
        place(link)
        release(link)
    with opened(account) as store:
        assert all_of(store.log.read(1, 0, 10_000)) == before


def all_of(entries: list[Entry]) -> list[int]:
    return [len(entry.data) for entry in entries]
