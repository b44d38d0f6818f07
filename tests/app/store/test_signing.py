"""The key of a folder: made once, for this user alone, and the same after a restart."""

from __future__ import annotations

import logging
import stat
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.settings import StoreSettings
from app.store.signing import KEY_FILE, check_signing, fingerprint, signing_key
from app.store.sqlite import open_store
from features.errors import InvalidSetting


def test_the_key_is_made_once_and_only_its_user_reads_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    key = signing_key(tmp_path)
    assert (len(key), signing_key(tmp_path)) == (32, key)
    assert sorted(path.name for path in tmp_path.iterdir()) == [KEY_FILE]
    assert caplog.records == []
    (tmp_path / "other").mkdir()
    assert signing_key(tmp_path / "other") != key
    if sys.platform != "win32":
        assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600


@pytest.mark.skipif(sys.platform == "win32", reason="files have no such mode there")
def test_a_key_that_others_can_read_is_used_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    key = signing_key(tmp_path)
    (tmp_path / KEY_FILE).chmod(0o644)
    with caplog.at_level(logging.WARNING):
        assert signing_key(tmp_path) == key
    assert "mode 644" in caplog.text
    assert key.hex() not in caplog.text


def test_a_broken_key_stops_the_start_with_what_to_do_and_lets_go_of_the_folder(tmp_path: Path) -> None:
    def store() -> None:
        open_store(tmp_path, settings=StoreSettings(), max_in_flight_bytes=2**20, now=lambda: datetime.now(UTC)).close()

    (tmp_path / KEY_FILE).write_bytes(b"short")
    with pytest.raises(InvalidSetting, match=r"signing\.key must hold 32 bytes, got 5; put the key of your backup there"):
        store()
    (tmp_path / KEY_FILE).unlink()
    store()


def test_a_key_that_the_settings_name_is_used_and_never_made(tmp_path: Path) -> None:
    named, data = tmp_path / "secret" / "key", tmp_path / "data"
    data.mkdir()
    with pytest.raises(InvalidSetting, match=r"setting signing_key: .*key: No such file"):
        signing_key(data, named)
    assert list(data.iterdir()) == []
    named.parent.mkdir()
    named.write_bytes(bytes(range(32)))
    named.chmod(0o600)
    over = {"settings": StoreSettings(), "max_in_flight_bytes": 2**20, "now": lambda: datetime.now(UTC)}
    with open_store(data, key_file=named, **over) as store:  # pyright: ignore[reportArgumentType]
        assert store.signing_key == bytes(range(32))
    assert not (data / KEY_FILE).exists()


def test_members_with_another_key_are_named_by_fingerprints_that_tell_nothing_of_it() -> None:
    ours, theirs = bytes(32), bytes(31) + b"1"
    members = {"n1": fingerprint(ours), "n2": fingerprint(theirs), "of a release before": ""}
    check_signing(fingerprint(ours), {name: found for name, found in members.items() if name != "n2"})
    with pytest.raises(InvalidSetting, match=r"n0 signs models with the key .* but n2 with") as refused:
        check_signing(fingerprint(ours), members, "n0")
    assert fingerprint(theirs) in str(refused.value)
    assert theirs.hex()[:16] not in str(refused.value)
