"""Live copies of buckets: in order, by prefix, without the expired, and safe to read while they change."""

from __future__ import annotations

import threading

from app.store.contract import Document
from app.store.watched import Change, WatchedBuckets


def put(key: str, revision: int, expires: float | None = None, bucket: str = "errors") -> Change:
    return Change(bucket, key, Document(key, b"", revision), expires)


def test_only_the_bucket_that_is_followed_is_taken_over() -> None:
    buckets = WatchedBuckets(lambda: 0.0)
    buckets.apply([put("before", 1)])
    watch = buckets.make("errors")
    buckets.open(watch, [put("b", 2)])
    buckets.apply([put("a", 3), put("x", 4, bucket="members"), put("b", 5), Change("errors", "never", None, None)])
    assert [(document.key, document.revision) for document in watch.items()] == [("a", 3), ("b", 5)]


def test_a_watch_closed_before_it_was_warm_follows_nothing() -> None:
    buckets = WatchedBuckets(lambda: 0.0)
    watch = buckets.make("errors")
    watch.close()
    buckets.open(watch, [])
    buckets.apply([put("a", 1)])
    assert list(watch.items()) == []


def test_what_has_expired_is_unseen_at_once_and_dropped_by_a_purge() -> None:
    now = [0.0]
    buckets = WatchedBuckets(lambda: now[0])
    watch = buckets.make("errors")
    buckets.open(watch, [put("a", 1, expires=10.0), put("b", 2, expires=20.0), put("c", 3)])
    now[0] = 10.0
    assert [document.key for document in watch.items()] == ["b", "c"]
    buckets.purge(10.0)
    now[0] = 0.0
    assert [document.key for document in watch.items()] == ["b", "c"]
    buckets.purge(0.0)
    assert [document.key for document in watch.items()] == ["b", "c"]


def test_reading_while_keys_come_and_go_sees_order_and_what_stays() -> None:
    buckets = WatchedBuckets(lambda: 0.0)
    watch = buckets.make("errors")
    buckets.open(watch, [put(f"stays/{n:03}", n) for n in range(100)])

    def churn() -> None:
        for n in range(300):
            buckets.apply([put(f"goes/{n}", n)])
            buckets.apply([Change("errors", f"goes/{n}", None, None)])

    writer = threading.Thread(target=churn)
    writer.start()
    while writer.is_alive():
        keys = [document.key for document in watch.items()]
        assert keys == sorted(keys)
        assert keys[-100:] == [f"stays/{n:03}" for n in range(100)]
    writer.join()
    assert [document.key for document in watch.items("goes/")] == []
