"""The log in SQLite: appending without blocking, bounds, and trimming beside appends."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.settings import StoreSettings
from app.store.sqlite import SqliteStore, open_store
from features.errors import InvalidValue, Overloaded


@pytest.fixture
def store(tmp_path: Path) -> Generator[SqliteStore]:
    settings = StoreSettings.model_validate({"partitions": 4})
    opened = open_store(tmp_path, settings=settings, max_in_flight_bytes=1000, now=lambda: datetime.now(UTC))
    yield opened
    opened.close()


def test_appending_later_answers_with_the_offsets(store: SqliteStore) -> None:
    answers = [store.log.append_later([(0, "x", b"%d" % n), (1, "y", b"%d" % n)]) for n in range(20)]
    assert [answer.result(60) for answer in answers] == [[n, n] for n in range(1, 21)]
    assert [entry.data for entry in store.log.read(1, 0)] == [b"%d" % n for n in range(20)]


def test_more_bytes_than_may_wait_are_refused_and_nothing_is_written(store: SqliteStore) -> None:
    accepted, refused = 0, 0
    for _ in range(2000):
        try:
            store.log.append_later([(0, "x", bytes(400))])
            accepted += 1
        except Overloaded:
            refused += 1
    store.log.append(1, "y", b"")  # an empty message is always let in, and comes after what waits
    assert refused > 0
    assert len(store.log.read(0, 0, 5000)) == accepted


def test_the_largest_trim_leaves_nothing_and_keeps_the_end(store: SqliteStore) -> None:
    offsets = store.log.append_many([(0, "x", b"1")] * 5000)
    store.log.trim(0, offsets[-1])
    assert store.log.read(0, 0) == []
    assert store.log.end(0) == 5000


def test_trimming_beside_appends_forgets_only_what_it_was_told(store: SqliteStore) -> None:
    store.log.append_many([(0, "x", b"old")] * 3000)
    with ThreadPoolExecutor(2) as pool:
        trimmed = pool.submit(store.log.trim, 0, 3000)
        appended = pool.submit(lambda: [store.log.append(0, "x", b"new") for _ in range(50)])
        trimmed.result()
        offsets = appended.result()
    assert [entry.offset for entry in store.log.read(0, 0)] == offsets == list(range(3001, 3051))


def test_a_partition_beyond_the_last_is_refused(store: SqliteStore) -> None:
    for use in (store.log.end, lambda n: store.log.read(n, 0), lambda n: store.log.trim(n, 1)):
        with pytest.raises(InvalidValue, match=r"\[0, 4\), got 4"):
            use(4)
