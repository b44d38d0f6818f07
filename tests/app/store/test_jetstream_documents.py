"""What is particular to the documents of a cluster: others change them too."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator

import pytest

from app.store.contract import Output
from app.store.jetstream import JetStreamStore
from app.store.jetstream_answers import Draft, Stored
from app.store.jetstream_documents import drafts_of, lasting, redrafted
from features.errors import InvalidValue
from tests.app.store.jetstreams import an_account, opened


@pytest.fixture
def pair() -> Generator[tuple[JetStreamStore, JetStreamStore]]:
    account = an_account()
    one, other = opened(account), opened(account)
    yield one, other
    one.close()
    other.close()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20.0
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_watch_follows_what_another_process_writes_and_deletes(pair: tuple[JetStreamStore, JetStreamStore]) -> None:
    one, other = pair
    watch = other.documents.watch("members")
    for n in range(50):
        one.documents.put("members", f"k{n % 7}", b"%d" % n)
        if n % 5 == 0:
            one.documents.delete("members", f"k{(n + 3) % 7}")
    until(lambda: list(watch.items()) == one.documents.items("members"))


def test_a_watch_never_goes_back_behind_a_write_of_its_own_process(pair: tuple[JetStreamStore, JetStreamStore]) -> None:
    one, other = pair
    watch = one.documents.watch("members")
    for n in range(100):
        other.documents.put("members", "k", b"other")
        revision = one.documents.put("members", "k", b"%d" % n)
        there = watch.get("k")
        assert there is not None
        assert there.revision >= revision


def test_a_large_bucket_is_read_page_by_page(pair: tuple[JetStreamStore, JetStreamStore]) -> None:
    one, other = pair
    for n in range(3):
        one.documents.add_all("errors", {f"{n}/{i}": bytes(100) for i in range(900)})
    assert len(other.documents.items("errors")) == 2700
    assert len(other.documents.items("errors", "1/")) == 900
    assert len(list(other.documents.watch("errors").items())) == 2700


def test_a_unit_larger_than_a_batch_is_refused(pair: tuple[JetStreamStore, JetStreamStore]) -> None:
    with pytest.raises(InvalidValue, match="at most 1000, got 1001"):
        pair[0].documents.add_all("errors", {str(i): b"" for i in range(1001)})


def test_of_two_threads_that_wrote_the_later_write_counts_whoever_is_told_first(
    pair: tuple[JetStreamStore, JetStreamStore],
) -> None:
    documents = pair[0].documents
    watch = documents.watch("members")
    far = 2**40  # what is followed never comes so far
    for sequence in (far + 1, far):
        documents.written([Output("members", "k", b"%d" % sequence)], 0.0, [sequence])
    there = watch.get("k")
    assert there is not None
    assert there.revision == far + 1


def test_a_message_that_is_no_document_hides_nothing_that_comes_after_it(pair: tuple[JetStreamStore, JetStreamStore]) -> None:
    one, other = pair
    watch = other.documents.watch("members")
    link = one.documents._link  # pyright: ignore[reportPrivateUsage]
    link.call(link.publish("FS_STATE", Draft("fs.doc.members.foreign", b"\xc1")))
    one.documents.put("members", "k", b"1")
    until(lambda: watch.get("k") is not None)


def stored(output: Output, now_s: float) -> Stored:
    ((_, draft),) = drafts_of([output], now_s)
    return Stored(draft.subject, 7, draft.data, draft.headers)


def test_a_document_is_written_again_with_the_time_that_it_has_left() -> None:
    kept = stored(Output("errors", "key", b"secret", ttl_s=100.0), 1_000.0)
    seen: list[tuple[str, str, bytes]] = []

    def changed(bucket: str, key: str, value: bytes) -> bytes:
        seen.append((bucket, key, value))
        return b"*"

    draft, differs = redrafted(kept, 1_040.0, changed)
    assert draft is not None
    assert (draft.subject, draft.headers, differs, seen) == (kept.subject, {}, True, [("errors", "key", b"secret")])
    again = lasting(draft, 1_040.0)
    assert again == Draft(kept.subject, draft.data, {"Nats-TTL": "120s"})
    assert b"secret" not in draft.data
    assert lasting(draft, 1_100.0) is None
    forever = stored(Output("errors", "key", b"value"), 1_000.0)
    same, differs = redrafted(forever, 10.0**9, lambda _bucket, _key, value: value)
    assert same is not None
    assert (same.data, differs, lasting(same, 10.0**9)) == (forever.data, False, same)


@pytest.mark.parametrize(
    "gone",
    [
        stored(Output("errors", "key", None), 1_000.0),
        stored(Output("errors", "key", b"secret", ttl_s=10.0), 1_000.0),
        Stored("fs.doc.errors.abc", 7, b"no document", {}),
    ],
)
def test_what_nobody_reads_any_more_is_not_written_again_and_is_no_change(gone: Stored) -> None:
    assert redrafted(gone, 1_040.0, lambda _bucket, _key, value: value) == (None, False)


def test_a_document_that_goes_is_a_change() -> None:
    assert redrafted(stored(Output("errors", "key", b"a"), 0.0), 0.0, lambda _bucket, _key, _value: None) == (None, True)
