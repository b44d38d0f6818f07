"""What every `Blobs` promises."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.errors import UntrustedArtifact
from tests.contracts.stores import Clock, OpenFamily, Store


@given(data=st.binary(max_size=2000))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_bytes_come_back_by_their_hash(store: Store, data: bytes) -> None:
    name = store.blobs.put(data)
    assert name == sha256(data).hexdigest()
    assert store.blobs.get(name) == data


def test_putting_twice_is_fine(store: Store) -> None:
    assert store.blobs.put(b"model") == store.blobs.put(b"model")


def test_an_unknown_hash_is_refused(store: Store) -> None:
    with pytest.raises(UntrustedArtifact, match="0000"):
        store.blobs.get("0" * 64)


@pytest.mark.parametrize("name", ["", "../../../etc/passwd", "A" * 64, "0" * 63 + "\n", "/" * 64])
def test_what_is_no_hash_is_refused(store: Store, name: str) -> None:
    with pytest.raises(UntrustedArtifact):
        store.blobs.get(name)


def test_one_blob_put_by_many_at_once_is_whole(store: Store) -> None:
    data = bytes(range(256)) * 2000
    with ThreadPoolExecutor(8) as pool:
        names = set(pool.map(lambda _: store.blobs.put(data), range(16)))
    assert [store.blobs.get(name) == data for name in names] == [True]


def test_blobs_are_there_after_reopening(family: OpenFamily, tmp_path: Path, clock: Clock) -> None:
    store = family(tmp_path, clock)
    name = store.blobs.put(b"model")
    store.close()
    store = family(tmp_path, clock)
    assert store.blobs.get(name) == b"model"
    store.close()
