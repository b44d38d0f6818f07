"""What is kept is what is loaded, and nothing else ever is. On the embedded store."""

from __future__ import annotations

import io
import json
from collections.abc import Generator
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import joblib
import numpy as np
import pytest

from features.errors import InvalidValue, SnapshotMismatch, UntrustedArtifact
from features.schema import Feature, FeatureSchema
from models.baseline import Rate
from models.categories import FLOOR, PRIOR, CategoryMixture
from models.ensemble import Ensemble
from models.linear import HazardLinear
from models.prediction import HORIZONS
from models.registry import BUCKET, Registry
from models.signature import signed
from models.version import ModelRecord, ModelVersion, ServingHistory
from tests.contracts.stores import FAMILIES, Clock, Store
from tests.ensembles import KEY
from tests.payloads import payload

SCHEMA = FeatureSchema(1, (Feature("incident_rate", "incident_history"), Feature("noise", "noise")))
AT = datetime(2026, 1, 5, tzinfo=UTC)
RECORD = ModelRecord(1, SCHEMA.sha256, AT, AT, "b" * 64, 0, dict.fromkeys(HORIZONS, "ensemble"), AT)


@pytest.fixture
def store(tmp_path: Path) -> Generator[Store]:
    opened = FAMILIES["sqlite"](tmp_path, Clock())
    yield opened
    opened.close()


def fitted(seed: int = 0) -> Ensemble:
    rng = np.random.default_rng(seed)
    x = rng.random((400, 2)).astype(np.float32)
    y = (rng.random((400, 3)) < x[:, [0]]).astype(float)
    at_risk = np.cumsum(y, axis=1) - y == 0
    member = HazardLinear().fit(x, y * at_risk, at_risk)
    rate = Rate(SCHEMA).fit(x, y * at_risk, at_risk)
    return Ensemble((("linear", member),), (("rate", rate),)).fit(x, y * at_risk, at_risk, n_events=50)


def test_a_loaded_ensemble_forecasts_to_the_same_bits(store: Store) -> None:
    registry, ensemble = Registry(store.blobs, store.documents, KEY), fitted()
    version = registry.add(ensemble, RECORD)
    x = np.random.default_rng(1).random((30, 2)).astype(np.float32)
    assert (registry.load(version.id, SCHEMA).hazards(x) == ensemble.hazards(x)).all()
    assert version.alias == "candidate"


def test_promote_retires_the_one_before_and_rollback_brings_it_back(store: Store) -> None:
    registry = Registry(store.blobs, store.documents, KEY)
    assert registry.champion() is None
    first = registry.add(fitted(0), RECORD)
    second = registry.add(fitted(1), replace(RECORD, created_at=AT.replace(hour=1)))
    assert registry.promote(first.id).alias == "champion"
    registry.promote(second.id)
    registry.promote(second.id)
    assert [(v.id, v.alias) for v in registry.versions()] == [(second.id, "champion"), (first.id, "retired")]
    assert registry.rollback().id == first.id
    champion = registry.champion()
    assert champion is not None
    assert champion.id == first.id
    with pytest.raises(InvalidValue, match="roll back"):
        registry.rollback()


def test_every_change_of_who_serves_is_a_step_and_no_version_is_pruned(store: Store) -> None:
    registry = Registry(store.blobs, store.documents, KEY)
    versions = [registry.add(fitted(n), replace(RECORD, created_at=AT.replace(hour=n))).id for n in range(4)]
    for n, version in enumerate(versions):
        registry.promote(version, who="ann", why=f"number {n}", at=AT.replace(hour=n))
    assert registry.earlier() == versions[2]
    registry.rollback(who="ben", why="worse", at=AT.replace(hour=9))
    assert [(s.action, s.version, s.before, s.who, s.why) for s in registry.steps()] == [
        *(("promoted", v, b, "ann", f"number {n}") for n, (v, b) in enumerate(zip(versions, [None, *versions], strict=False))),
        ("rolled_back", versions[2], versions[3], "ben", "worse"),
    ]
    assert registry.steps()[-1].at == AT.replace(hour=9)
    assert [v.id for v in registry.versions()] == versions[::-1]
    assert [v.alias for v in registry.versions()] == ["retired", "champion", "retired", "retired"]
    assert all(registry.load(version, SCHEMA) for version in versions)


def test_history_of_an_earlier_release_has_no_steps_and_goes_on(store: Store) -> None:
    registry = Registry(store.blobs, store.documents, KEY)
    first, second = (registry.add(fitted(n), replace(RECORD, created_at=AT.replace(hour=n))).id for n in range(2))
    store.documents.put(BUCKET, "default/serving", json.dumps({"history": [first, second]}).encode())
    assert registry.steps() == ()
    assert registry.rollback().id == first
    assert [(s.action, s.at) for s in registry.steps()] == [("rolled_back", None)]


def test_what_another_registry_changed_is_seen_and_what_did_not_change_is_read_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = (Registry(store.blobs, store.documents, KEY) for _ in range(2))
    first, second = (one.add(fitted(n), replace(RECORD, created_at=AT.replace(hour=n))).id for n in range(2))
    for version in (first, second):
        other.promote(version)
        champion = one.champion()
        assert champion is not None
        assert champion.id == version
    reads: list[bytes] = []
    read = ServingHistory.from_json
    monkeypatch.setattr("models.registry.ServingHistory.from_json", lambda data: (reads.append(data), read(data))[1])
    assert [one.champion() == champion for _ in range(3)] == [True] * 3
    assert reads == []


def test_nothing_is_unpickled_that_the_manifest_does_not_name(store: Store) -> None:
    registry = Registry(store.blobs, store.documents, KEY)
    store.blobs.put(b"some pickle")
    with pytest.raises(UntrustedArtifact, match="manifest"):
        registry.load("20260105T000000Z-00000000", SCHEMA)
    with pytest.raises(UntrustedArtifact, match="manifest"):
        registry.promote("20260105T000000Z-00000000")


class Swapped:
    """A blob folder in which somebody replaced an artifact."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def put(self, data: bytes) -> str:
        return sha256(data).hexdigest()

    def get(self, sha256: str) -> bytes:
        assert sha256
        return self.data


def test_an_artifact_with_another_hash_is_refused_before_it_is_read(store: Store) -> None:
    registry = Registry(Swapped(b"not even a pickle"), store.documents, KEY)
    version = registry.add(fitted(), RECORD)
    with pytest.raises(UntrustedArtifact, match="roll back"):
        registry.load(version.id, SCHEMA)


def test_an_artifact_that_is_no_ensemble_is_refused(store: Store) -> None:
    registry = Registry(store.blobs, store.documents, KEY)
    version = registry.add(fitted(), RECORD)
    buffer = io.BytesIO()
    joblib.dump([1, 2], buffer)
    in_place_of(store, version, buffer.getvalue())
    with pytest.raises(UntrustedArtifact, match="expected an Ensemble"):
        registry.load(version.id, SCHEMA)


def in_place_of(store: Store, version: ModelVersion, data: bytes) -> None:
    """Let the manifest name other bytes, as if a version had been fitted so by somebody who has the key."""
    enter(store, replace(version, sha256=store.blobs.put(data)))


def enter(store: Store, version: ModelVersion) -> None:
    """Write a version's entry, signed as if it had been added so."""
    store.documents.put(BUCKET, f"default/version/{version.id}", signed(version.to_json(), KEY, "default"))


@pytest.mark.parametrize("data", [b"cmodels.gone\nEnsemble\n.", b"cmodels.ensemble\nGone\n.", b"\x80"])
def test_an_artifact_that_cannot_be_unpickled_here_is_refused_with_a_way_out(store: Store, data: bytes) -> None:
    registry = Registry(store.blobs, store.documents, KEY)
    version = registry.add(fitted(), RECORD)
    in_place_of(store, version, data)
    with pytest.raises(SnapshotMismatch, match=r"does not load here.*foreshock train"):
        registry.load(version.id, SCHEMA)


def test_an_ensemble_that_cannot_forecast_is_refused_before_it_serves(store: Store) -> None:
    registry = Registry(store.blobs, store.documents, KEY)
    version = registry.add(fitted(), RECORD)
    buffer = io.BytesIO()
    joblib.dump(Ensemble((("linear", HazardLinear()),), (("rate", Rate(SCHEMA)),)), buffer)
    in_place_of(store, version, buffer.getvalue())
    with pytest.raises(SnapshotMismatch, match=r"does not forecast here.*foreshock train"):
        registry.load(version.id, SCHEMA)


def test_the_mixture_for_categories_is_kept_and_is_the_prior_where_none_was_fitted(store: Store) -> None:
    registry = Registry(store.blobs, store.documents, KEY)
    told = CategoryMixture({"own": 0.7, FLOOR: 0.3})
    without, with_it = registry.add(fitted(), RECORD), registry.add(fitted().telling(told), RECORD)
    assert registry.load(without.id, SCHEMA).categories_ == PRIOR
    assert registry.load(with_it.id, SCHEMA).categories_ == told
    assert fitted().telling(told).serving(dict.fromkeys(HORIZONS, "rate")).categories_ == told


def test_a_mixture_of_sources_that_this_release_lacks_is_refused_with_a_way_out(store: Store) -> None:
    registry = Registry(store.blobs, store.documents, KEY)
    told = CategoryMixture({"own": 0.7, FLOOR: 0.3})
    object.__setattr__(told, "weights", {"moon": 0.7, FLOOR: 0.3})
    version = registry.add(fitted().telling(told), RECORD)
    with pytest.raises(SnapshotMismatch, match=r"does not forecast here.*foreshock train"):
        registry.load(version.id, SCHEMA)


def test_another_schema_or_library_is_refused_with_a_way_out(store: Store) -> None:
    registry = Registry(store.blobs, store.documents, KEY)
    version = registry.add(fitted(), RECORD)
    with pytest.raises(SnapshotMismatch, match="foreshock train"):
        registry.load(version.id, FeatureSchema(2, SCHEMA.features))
    for changed, words in (
        (replace(version, sklearn="0.1"), r"scikit-learn 0\.1"),
        (replace(version, river="0.2"), r"river 0\.2"),
    ):
        enter(store, changed)
        with pytest.raises(SnapshotMismatch, match=f"{words}.*foreshock train"):
            registry.load(version.id, SCHEMA)


def forged(entry: bytes, sha256: str) -> dict[str, bytes]:
    """Return what somebody without the key could write in place of an entry."""
    told = json.loads(entry) | {"sha256": sha256}
    unsigned = {name: value for name, value in told.items() if name != "signature"}
    stolen = json.dumps(unsigned).encode()
    return {
        "of before": stolen,
        "tampered": json.dumps(told).encode(),
        "empty": json.dumps(told | {"signature": ""}).encode(),
        "no text": json.dumps(told | {"signature": None}).encode(),
        "other key": signed(stolen, bytes(32), "default"),
        "other tenant": signed(stolen, KEY, "other"),
    }


def test_a_pickle_whose_entry_was_not_signed_with_the_key_never_runs(store: Store, tmp_path: Path) -> None:
    registry, ran = Registry(store.blobs, store.documents, KEY), tmp_path / "it ran"
    version = registry.add(fitted(), RECORD)
    entry = store.documents.get(BUCKET, f"default/version/{version.id}")
    assert entry is not None
    touching = payload(ran)
    for how, data in forged(entry.value, store.blobs.put(touching)).items():
        store.documents.put(BUCKET, f"default/version/{version.id}", data)
        with pytest.raises(UntrustedArtifact, match=r"sign.*train again from history with `foreshock train`"):
            registry.load(version.id, SCHEMA)
        assert not ran.exists(), how
    in_place_of(store, version, touching)
    with pytest.raises(UntrustedArtifact, match="expected an Ensemble"):
        registry.load(version.id, SCHEMA)
    assert ran.exists(), "with the key it runs, so the signature is what kept it from running"


def test_an_entry_under_the_name_of_another_version_is_refused(store: Store) -> None:
    registry = Registry(store.blobs, store.documents, KEY)
    first, second = (registry.add(fitted(n), replace(RECORD, created_at=AT.replace(hour=n))).id for n in range(2))
    entry = store.documents.get(BUCKET, f"default/version/{first}")
    assert entry is not None
    store.documents.put(BUCKET, f"default/version/{second}", entry.value)
    with pytest.raises(UntrustedArtifact, match=f"{second}.*is that of.*{first}"):
        registry.load(second, SCHEMA)


def test_what_one_node_signed_another_with_the_same_key_loads(store: Store) -> None:
    version = Registry(store.blobs, store.documents, KEY).add(fitted(), RECORD)
    assert Registry(store.blobs, store.documents, bytes(KEY)).load(version.id, SCHEMA)


def test_models_never_cross_tenants(store: Store) -> None:
    mine, other = (Registry(store.blobs, store.documents, KEY, name) for name in ("mine", "other"))
    version = mine.add(fitted(), RECORD)
    mine.promote(version.id)
    assert other.versions() == ()
    assert other.champion() is None
    with pytest.raises(UntrustedArtifact):
        other.load(version.id, SCHEMA)
