"""A manifest is believed only where nothing in it leads anywhere else, and no newer release wrote it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from app.manifest import LAYOUTS, MANIFEST_FILE, FileEntry, Manifest, entry_of, read_manifest, write_manifest
from app.node_id import software_version
from features.errors import InvalidValue, NewerVersion

ENTRY = {"sha256": "0" * 64, "n_bytes": 1}


def a_manifest(**changes: Any) -> dict[str, Any]:
    return {
        "made_at": "2026-11-29T12:00:00Z",
        "ends": [1],
        "history": {},
        "history_elsewhere": "",
        "files": {"store.db": ENTRY},
        "release": software_version(),
        "layouts": dict(LAYOUTS),
        "format": 1,
    } | changes


def put(folder: Path, said: object) -> Path:
    (folder / MANIFEST_FILE).write_text(said if isinstance(said, str) else json.dumps(said))
    return folder


def test_what_is_written_is_read_and_its_hash_tells_it_from_any_other(tmp_path: Path) -> None:
    made = Manifest(datetime(2026, 11, 29, tzinfo=UTC), [3, 4], {"windows": 2}, "", {"store.db": FileEntry("a" * 64, 1)})
    digest = write_manifest(tmp_path, made)
    assert read_manifest(tmp_path, digest.upper()) == made
    with pytest.raises(InvalidValue, match="another backup, or was changed"):
        read_manifest(tmp_path, "0" * 64)


@pytest.mark.parametrize(
    "path",
    [
        "../store.db", "a/../../b", "/etc/passwd", "a//b", "./a", "a/.", "", "..", "C:/a", "a\\..\\b", "a\0b", MANIFEST_FILE,
        ".unfinished-x/a",
    ],
)  # fmt: skip
def test_a_path_that_leads_out_of_the_backup_is_refused(path: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="every file must lie in the backup"):
        read_manifest(put(tmp_path, a_manifest(files={"store.db": ENTRY, path: ENTRY})))


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 2},
        *({"layouts": LAYOUTS | {name: version + 1}} for name, version in LAYOUTS.items()),
        {"layouts": {"tokens": 1}},
    ],
)
def test_what_a_newer_release_wrote_is_refused_by_name(changes: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(NewerVersion, match="upgrade first"):
        read_manifest(put(tmp_path, a_manifest(**changes)))


@pytest.mark.skipif(not software_version(), reason="runs from a checkout that is not installed")
def test_a_newer_release_is_refused_and_an_older_one_read(tmp_path: Path) -> None:
    with pytest.raises(NewerVersion, match=r"release 999\.0\.0"):
        read_manifest(put(tmp_path, a_manifest(release="999.0.0")))
    assert read_manifest(put(tmp_path, a_manifest(release="0.0.1"))).release == "0.0.1"


@pytest.mark.parametrize(
    "said",
    [
        "", "[]", "{", "null", "[" * 100_000, a_manifest(ends="x"), a_manifest(files={"store.db": {"sha256": "a"}}),
        a_manifest(files={"store.db": {"sha256": "z" * 64, "n_bytes": 1}}), a_manifest(files={"store.db": ENTRY | {"n_bytes": -1}}),
        a_manifest(files={}), {"format": 1},
    ],
)  # fmt: skip
def test_what_is_no_manifest_is_refused(said: object, tmp_path: Path) -> None:
    with pytest.raises(InvalidValue):
        read_manifest(put(tmp_path, said))


def test_a_folder_without_one_or_with_a_link_is_no_backup(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="must be a whole backup"):
        read_manifest(tmp_path)
    (tmp_path / "other").write_text(json.dumps(a_manifest()))
    (tmp_path / MANIFEST_FILE).symlink_to(tmp_path / "other")
    with pytest.raises(InvalidValue, match="must be a whole backup"):
        read_manifest(tmp_path)


def test_an_entry_has_the_hash_and_the_bytes_of_the_whole_file(tmp_path: Path) -> None:
    data = bytes(range(256)) * 20_000
    (tmp_path / "a").write_bytes(data)
    assert entry_of(tmp_path / "a") == FileEntry(sha256(data).hexdigest(), len(data))
