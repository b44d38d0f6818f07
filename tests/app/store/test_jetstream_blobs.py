"""Blobs of a cluster that someone tampered with."""

from __future__ import annotations

from hashlib import sha256

import pytest

from app.store import jetstream_blobs, jetstream_link
from app.store.jetstream import JetStreamStore
from app.store.jetstream_link import Link
from features.errors import StoreFailed, UntrustedArtifact
from tests.app.store.jetstreams import an_account, opened


def test_bytes_that_are_others_than_their_name_says_are_refused() -> None:
    store: JetStreamStore = opened(an_account())
    name = sha256(b"model").hexdigest()
    link: Link = store.blobs._link  # pyright: ignore[reportPrivateUsage]
    link.call(store.blobs._objects.put(name, b"forged"))  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(UntrustedArtifact, match="are others"):
        store.blobs.get(name)
    store.close()


def test_a_large_blob_comes_back() -> None:
    store = opened(an_account())
    data = bytes(range(256)) * 20_000
    assert store.blobs.get(store.blobs.put(data)) == data
    store.close()


def test_a_blob_whose_parts_are_gone_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jetstream_blobs, "_PART_S", 0.2)
    monkeypatch.setattr(jetstream_link, "_PATIENCE_S", 0.1)
    store = opened(an_account())
    name = store.blobs.put(b"model")
    link: Link = store.blobs._link  # pyright: ignore[reportPrivateUsage]
    link.call(link.api("STREAM.PURGE.OBJ_FS_BLOBS", {"filter": "$O.FS_BLOBS.C.>"}))
    with pytest.raises(StoreFailed, match=f"blob {name}"):
        store.blobs.get(name)
    store.close()
