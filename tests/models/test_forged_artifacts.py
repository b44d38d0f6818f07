"""Whatever somebody without the key does to models that are kept, nothing of it runs. On the embedded store, with files on the disk."""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import joblib
import pytest

from features.errors import InvalidValue, SnapshotMismatch, UntrustedArtifact
from features.extract import SCHEMA
from models.registry import BUCKET, Registry
from models.signature import signed
from models.version import ModelVersion
from tests.contracts.stores import FAMILIES, Clock, Store
from tests.ensembles import KEY, add_version
from tests.payloads import Touch, payload


class Forger:
    """What somebody can do who can write the store and the folder, and has no key."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.folder, self.store = folder, store
        self.registry = Registry(store.blobs, store.documents, KEY)
        self.versions = [self.registry.version(add_version(self.registry, hour)) for hour in range(2)]
        self.ran = folder / "it ran"

    def file(self, version: ModelVersion) -> Path:
        """Where the artifact lies."""
        (path,) = self.folder.rglob(version.sha256[2:])
        return path

    def entry(self, version: ModelVersion) -> bytes:
        """What the manifest says of a version."""
        document = self.store.documents.get(BUCKET, f"default/version/{version.id}")
        assert document is not None
        return document.value

    def enter(self, version_id: str, entry: bytes) -> None:
        """Write an entry of the manifest."""
        self.store.documents.put(BUCKET, f"default/version/{version_id}", entry)

    def payloads(self) -> list[bytes]:
        """Pickles that would leave a trace, as joblib and the standard library write them."""
        return [payload(self.ran), payload(self.ran, compress=3), pickle.dumps(Touch(self.ran))]

    def refused(self, version_id: str, words: str) -> None:
        """See that a version is refused, and that nothing ran."""
        with pytest.raises(UntrustedArtifact, match=words):
            self.registry.load(version_id, SCHEMA)
        assert not self.ran.exists()


@pytest.fixture
def forger(tmp_path: Path) -> Generator[Forger]:
    opened = FAMILIES["sqlite"](tmp_path, Clock())
    yield Forger(tmp_path, opened)
    opened.close()


def test_without_a_forgery_both_load_and_the_payload_would_run(forger: Forger) -> None:
    for version in forger.versions:
        assert forger.registry.load(version.id, SCHEMA).weights == {"linear": 1.0}
    for data in forger.payloads():
        joblib.load(io.BytesIO(data))
        assert forger.ran.exists(), "otherwise its absence shows nothing"
        forger.ran.unlink()


def test_a_flipped_bit_anywhere_is_refused(forger: Forger) -> None:
    version = forger.versions[0]
    path = forger.file(version)
    data = path.read_bytes()
    for place in (0, 1, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :])
        forger.refused(version.id, f"blob {version.sha256} holds {len(data)} other bytes")
    path.write_bytes(data)
    assert forger.registry.load(version.id, SCHEMA)


def test_a_flipped_bit_in_any_member_of_the_entry_is_refused(forger: Forger) -> None:
    version = forger.versions[0]
    entry = json.loads(forger.entry(version))
    for name in entry:
        if name == "record":
            continue
        forger.enter(version.id, json.dumps(entry | {name: f"{entry[name]}x"}).encode())
        forger.refused(version.id, "signature")
    for name, value in entry["record"].items():
        changed = value + 1 if isinstance(value, int) else {} if isinstance(value, dict) else f"{value} "
        forger.enter(version.id, json.dumps(entry | {"record": entry["record"] | {name: changed}}).encode())
        forger.refused(version.id, "signature")


def test_a_truncated_or_empty_artifact_is_refused(forger: Forger) -> None:
    version = forger.versions[0]
    path = forger.file(version)
    data = path.read_bytes()
    for length in (len(data) - 1, len(data) // 2, 1, 0):
        path.write_bytes(data[:length])
        forger.refused(version.id, f"holds {length} other bytes")
    path.unlink()
    forger.refused(version.id, "cannot be read")


def test_artifacts_and_entries_that_are_swapped_between_two_versions_are_refused(forger: Forger) -> None:
    first, second = forger.versions
    one, other = forger.file(first), forger.file(second)
    mine, theirs = one.read_bytes(), other.read_bytes()
    assert mine != theirs
    one.write_bytes(theirs)
    other.write_bytes(mine)
    for version in forger.versions:
        forger.refused(version.id, "other bytes")
    one.write_bytes(mine)
    other.write_bytes(theirs)
    mine, theirs = forger.entry(first), forger.entry(second)
    forger.enter(first.id, theirs)
    forger.refused(first.id, f"is that of '{second.id}'")
    forger.enter(first.id, json.dumps(json.loads(mine) | {"sha256": second.sha256}).encode())
    forger.refused(first.id, "signature")


def test_a_record_that_lies_about_the_hash_of_a_payload_is_refused_with_every_signature_that_a_forger_can_make(
    forger: Forger,
) -> None:
    version = forger.versions[0]
    entry = json.loads(forger.entry(version))
    for data in forger.payloads():
        lying = json.dumps(entry | {"sha256": forger.store.blobs.put(data)}).encode()
        unsigned = json.dumps({name: value for name, value in json.loads(lying).items() if name != "signature"}).encode()
        stolen = json.loads(forger.entry(forger.versions[1]))["signature"]
        for forged in (
            lying,
            unsigned,
            json.dumps(json.loads(unsigned) | {"signature": stolen}).encode(),
            signed(unsigned, bytes(32), "default"),
            signed(unsigned, KEY[::-1], "default"),
            signed(unsigned, KEY, "another"),
            signed(unsigned, KEY, "exported"),
        ):
            forger.enter(version.id, forged)
            forger.refused(version.id, "sign")


def test_a_payload_in_the_place_of_an_artifact_does_not_run(forger: Forger) -> None:
    version = forger.versions[0]
    for data in forger.payloads():
        forger.file(version).write_bytes(data)
        forger.refused(version.id, "other bytes")


@pytest.mark.parametrize(
    "version_id",
    [
        "../../../etc/passwd",
        "..%2f..%2fstore.db",
        "/etc/passwd",
        "a/../../b",
        "",
        ".",
        "..",
        "x\0y",
        "20260301T000000Z-../../",
        "*",
        "%",
    ],
)
def test_a_version_that_is_a_path_leads_nowhere(forger: Forger, version_id: str) -> None:
    before = sorted(forger.folder.rglob("*"))
    for ask in (forger.registry.version, forger.registry.promote, forger.registry.challenge):
        with pytest.raises((UntrustedArtifact, InvalidValue)):
            ask(version_id)
    forger.refused(version_id, "is not in the manifest")
    assert sorted(forger.folder.rglob("*")) == before


@pytest.mark.parametrize("sha256", ["../" * 21 + "a", "/" + "a" * 63, "a" * 62 + "/b", "A" * 64, "a" * 63, ""])
def test_a_hash_that_is_a_path_leads_nowhere_even_where_it_is_signed(forger: Forger, sha256: str) -> None:
    version = forger.versions[0]
    entry = json.dumps(json.loads(version.to_json()) | {"sha256": sha256}).encode()
    forger.enter(version.id, signed(entry, KEY, "default"))
    with pytest.raises((UntrustedArtifact, InvalidValue), match=r"64"):
        forger.registry.load(version.id, SCHEMA)


def test_an_entry_of_another_schema_is_refused_before_its_artifact_is_touched(forger: Forger) -> None:
    version = forger.versions[0]
    forger.file(version).write_bytes(forger.payloads()[0])
    other = replace(version, record=replace(version.record, schema_sha256="0" * 64))
    forger.enter(version.id, signed(other.to_json(), KEY, "default"))
    with pytest.raises(SnapshotMismatch, match="feature schema"):
        forger.registry.load(version.id, SCHEMA)
    assert not forger.ran.exists()
