"""Blobs as files: changed bytes are refused, unfinished files are swept."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.store.file_blobs import FileBlobs
from features.errors import StoreFailed, UntrustedArtifact


def test_changed_bytes_are_refused_and_put_right_by_the_next_put(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    name = blobs.put(b"model")
    (tmp_path / name[:2] / name[2:]).write_bytes(b"other")
    with pytest.raises(UntrustedArtifact, match="changed"):
        blobs.get(name)
    assert blobs.put(b"model") == name
    assert blobs.get(name) == b"model"


def test_what_was_removed_is_gone_and_what_is_not_there_is_told(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    name, other = blobs.put(b"model"), blobs.put(b"another")
    assert (blobs.remove(name), blobs.remove(name)) == (True, False)
    assert blobs.names() == [other]


def test_what_a_crash_left_unfinished_is_removed(tmp_path: Path) -> None:
    name = FileBlobs(tmp_path).put(b"model")
    left = tmp_path / name[:2] / ".unfinished-1"
    left.write_bytes(b"mod")
    assert FileBlobs(tmp_path).get(name) == b"model"
    assert not left.exists()


def test_a_disk_that_refuses_is_reported_and_nothing_is_there(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    name = FileBlobs(tmp_path / "elsewhere").put(b"model")
    (tmp_path / name[:2]).write_bytes(b"a file where the folder belongs")
    with pytest.raises(StoreFailed, match=name):
        blobs.put(b"model")
    with pytest.raises(UntrustedArtifact):
        blobs.get(name)
