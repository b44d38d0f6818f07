"""What is left is read as a whole, and a folder that was moved says so; the way into real servers is in the tests of `foreshock migrate`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.settings import StoreSettings
from app.store.contract import Output
from app.store.moving import MOVED_FILE, refuse_half, refuse_moved, say_moved
from app.store.sqlite import SqliteStore, open_store
from features.errors import InvalidSetting

BEGIN = datetime(2026, 11, 29, tzinfo=UTC)


def opened(folder: Path, clock: list[datetime]) -> SqliteStore:
    return open_store(folder, settings=StoreSettings(), max_in_flight_bytes=2**20, now=lambda: clock[0])


def test_all_documents_of_a_folder_are_read_with_the_seconds_that_they_have_left(tmp_path: Path) -> None:
    clock = [BEGIN]
    with opened(tmp_path, clock) as store:
        store.documents.put("b", "for ever", b"1")
        store.documents.put("b", "long", b"2", ttl_s=100.0)
        store.documents.put("a", "short", b"3", ttl_s=10.0)
        clock[0] = BEGIN + timedelta(seconds=40)
        assert list(store.documents.everything()) == [Output("b", "for ever", b"1"), Output("b", "long", b"2", 60.0)]


def test_all_blobs_of_a_folder_are_named_and_what_a_crash_left_is_not(tmp_path: Path) -> None:
    with opened(tmp_path, [BEGIN]) as store:
        names = sorted(store.blobs.put(data) for data in (b"one", b"two"))
        (tmp_path / "blobs" / names[0][:2] / ".unfinished-x").touch()
        assert store.blobs.names() == names


def test_a_folder_that_was_moved_is_refused_until_the_mark_is_gone(tmp_path: Path) -> None:
    refuse_moved(tmp_path)
    say_moved(tmp_path, "nats://n1:4222", BEGIN)
    with pytest.raises(InvalidSetting, match=r"must name nats://n1:4222: .* was moved there at 2026-11-29T00:00:00\+00:00"):
        refuse_moved(tmp_path)
    (tmp_path / MOVED_FILE).unlink()
    refuse_moved(tmp_path)


def test_a_store_into_which_nothing_was_moved_in_part_is_taken(tmp_path: Path) -> None:
    with opened(tmp_path, [BEGIN]) as store:
        refuse_half(store.documents)
        store.documents.put("migration", "from", b'{"folder":"f","whole":true}')
        refuse_half(store.documents)
        store.documents.put("migration", "from", b'{"folder":"f","whole":false}')
        with pytest.raises(InvalidSetting, match="moved in part"):
            refuse_half(store.documents)
