"""A version that passed the gate runs in shadow, serves, is watched and is taken back: each a step that is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from app.api.parts import Health
from app.champion import Champion
from app.members import Members
from app.rivalry import Compared
from app.settings import StoreSettings
from app.store.sqlite import SqliteStore, open_store
from app.succession import Champions, Rivals, bring_in, succeed
from app.telemetry import Telemetry
from features.extract import SCHEMA
from features.schema import FeatureSchema
from models.ensemble import Ensemble
from models.linear import HazardLinear
from models.prediction import HORIZONS
from models.registry import Registry
from models.version import ModelRecord, ModelVersion
from training.shadow import AT_ONCE, Patience

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
PATIENT = Patience(6, 48)


def ensemble(seed: int) -> Ensemble:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(300, len(SCHEMA.features))).astype(np.float32)
    y = (rng.random((300, 3)) < 0.2).astype(np.float64)
    at_risk = np.ones((300, 3), dtype=np.bool_)
    return Ensemble((("linear", HazardLinear(seed=seed).fit(x, y, at_risk)),)).fit(x, y, at_risk, 0)


@dataclass
class Bench:
    store: SqliteStore
    registry: Registry

    def added(self, number: int) -> ModelVersion:
        at = NOW.replace(minute=number)
        serves = dict.fromkeys(HORIZONS, "ensemble")
        record = ModelRecord(SCHEMA.version, SCHEMA.sha256, at, at, "b" * 64, number, serves, at)
        return self.registry.add(ensemble(number), record)

    def unsign(self, version: ModelVersion) -> None:
        """Leave a version's entry as an earlier release wrote it."""
        self.store.documents.put("models", f"default/version/{version.id}", version.called("candidate").to_json())

    def actions(self) -> list[str]:
        return [step.action for step in self.registry.steps()]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with open_store(tmp_path, settings=StoreSettings(), max_in_flight_bytes=2**28, now=lambda: NOW) as store:
        yield Bench(store, Registry(store.blobs, store.documents, store.signing_key))


def compared(serves: ModelVersion, rival: ModelVersion, hours: int, verdict: str = "open") -> Compared:
    return Compared(serves.id, rival.id, hours, 0.01, None, verdict)  # pyright: ignore[reportArgumentType]


def test_the_first_model_serves_at_once_and_the_next_one_runs_in_shadow(bench: Bench) -> None:
    first, second = bench.added(1), bench.added(2)
    bring_in(bench.registry, first, None, PATIENT, NOW)
    assert bench.registry.rival() is None
    bring_in(bench.registry, second, first.id, PATIENT, NOW)
    assert bench.registry.rival() == (second.id, "challenger")
    assert [v.alias for v in bench.registry.versions()] == ["challenger", "champion"]
    assert succeed(bench.registry, compared(first, second, 5), PATIENT, NOW) == "wait"
    assert succeed(bench.registry, compared(first, second, 6), PATIENT, NOW) == "promote"
    assert [v.alias for v in bench.registry.versions()] == ["champion", "retired"]
    assert bench.registry.rival() == (first.id, "former")
    assert bench.actions() == ["promoted", "challenged", "promoted"]
    assert "after 6 h in shadow" in bench.registry.steps()[-1].why


def test_a_new_champion_that_is_worse_beyond_doubt_is_taken_back_and_one_that_is_not_is_kept(bench: Bench) -> None:
    versions = [bench.added(number) for number in (1, 2, 3)]
    bring_in(bench.registry, versions[0], None, PATIENT, NOW)
    bench.registry.promote(versions[1].id, watch=True)
    assert succeed(bench.registry, compared(versions[1], versions[0], 20), PATIENT, NOW) == "wait"
    assert succeed(bench.registry, compared(versions[1], versions[0], 20, "above"), PATIENT, NOW) == "rollback"
    champion = bench.registry.champion()
    assert champion is not None
    assert champion.id == versions[0].id
    assert bench.registry.rival() is None
    bench.registry.promote(versions[2].id, watch=True)
    assert succeed(bench.registry, compared(versions[2], versions[0], 48), PATIENT, NOW) == "keep"
    assert bench.registry.rival() is None
    assert bench.actions() == ["promoted", "promoted", "rolled_back", "promoted", "kept"]


def test_a_challenger_that_is_worse_is_rejected_and_is_a_candidate_again(bench: Bench) -> None:
    first, second = bench.added(1), bench.added(2)
    bring_in(bench.registry, first, None, PATIENT, NOW)
    bring_in(bench.registry, second, first.id, PATIENT, NOW)
    assert succeed(bench.registry, compared(first, second, 14, "below"), PATIENT, NOW) == "reject"
    assert [v.alias for v in bench.registry.versions()] == ["candidate", "champion"]
    assert bench.actions() == ["promoted", "challenged", "rejected"]


def test_a_comparison_of_other_versions_changes_nothing(bench: Bench) -> None:
    first, second, third = (bench.added(number) for number in (1, 2, 3))
    bring_in(bench.registry, first, None, PATIENT, NOW)
    bring_in(bench.registry, second, first.id, PATIENT, NOW)
    for other in (compared(first, third, 99), compared(third, second, 99), None):
        assert succeed(bench.registry, other, PATIENT, NOW) == "wait"


def test_what_a_person_promotes_is_not_watched_and_ends_the_shadow(bench: Bench) -> None:
    first, second, third = (bench.added(number) for number in (1, 2, 3))
    bring_in(bench.registry, first, None, PATIENT, NOW)
    bring_in(bench.registry, second, first.id, PATIENT, NOW)
    bench.registry.promote(third.id, who="ana")
    assert bench.registry.rival() is None


def test_without_patience_a_version_serves_at_once_and_stays(bench: Bench) -> None:
    first, second = bench.added(1), bench.added(2)
    bring_in(bench.registry, first, None, AT_ONCE, NOW)
    bring_in(bench.registry, second, first.id, AT_ONCE, NOW)
    assert bench.actions() == ["promoted", "promoted"]
    assert bench.registry.rival() is None


def test_rivals_are_put_beside_the_champion_and_taken_away(bench: Bench) -> None:
    first, second = bench.added(1), bench.added(2)
    rivals, members = Rivals(lambda _: bench.registry, Telemetry()), Members()
    rivals("default", members)
    assert members.rivalry.rival is None
    bring_in(bench.registry, first, None, PATIENT, NOW)
    bring_in(bench.registry, second, first.id, PATIENT, NOW)
    rivals("default", members)
    assert members.rivalry.rival is None  # the champion has to be there first
    members.promote(Champion(first.id, ensemble(1)))
    for _ in range(2):
        rivals("default", members)
        assert members.rivalry.rival is not None
        assert (members.rivalry.rival.version, members.rivalry.serves) == (second.id, first.id)
    bench.registry.dismiss()
    rivals("default", members)
    assert members.rivalry.rival is None


def test_a_rival_that_cannot_be_loaded_is_dismissed_with_the_reason(bench: Bench) -> None:
    first, second = bench.added(1), bench.added(2)
    members = Members()
    members.promote(Champion(first.id, ensemble(1)))
    bring_in(bench.registry, first, None, PATIENT, NOW)
    bring_in(bench.registry, second, first.id, PATIENT, NOW)
    telemetry = Telemetry()
    bench.unsign(second)
    Rivals(lambda _: bench.registry, telemetry)("default", members)
    assert members.rivalry.rival is None
    assert bench.actions()[-1] == "rejected"
    assert "it cannot be compared: model" in bench.registry.steps()[-1].why
    assert telemetry.values("models_refused") == {"untrusted": 1}


def test_a_rival_that_another_node_cannot_load_is_left_to_the_home_of_the_tenant(bench: Bench) -> None:
    first, second = bench.added(1), bench.added(2)
    members, telemetry, homes = Members(), Telemetry(), set[str]()
    members.promote(Champion(first.id, ensemble(1)))
    bring_in(bench.registry, first, None, PATIENT, NOW)
    bring_in(bench.registry, second, first.id, PATIENT, NOW)
    bench.unsign(second)
    rivals = Rivals(lambda _: bench.registry, telemetry, homes.__contains__)
    for _ in range(3):
        rivals("default", members)
    assert (members.rivalry.rival, bench.actions()[-1]) == (None, "challenged")
    assert telemetry.values("models_refused") == {"untrusted": 1}, "it is tried once"
    homes.add("default")
    rivals("default", members)
    assert bench.actions()[-1] == "rejected", "it has become the home"


def test_a_champion_of_before_models_were_signed_is_refused_said_and_left_alone_for_ten_minutes(bench: Bench) -> None:
    first, second, telemetry, clock = bench.added(1), bench.added(2), Telemetry(), [0.0]
    champions = Champions(lambda _: bench.registry, telemetry, lambda: clock[0])
    bench.registry.promote(first.id)
    bench.unsign(first)
    assert [champions("default", "prior") for _ in range(3)] == [None] * 3
    assert telemetry.values("models_refused") == {"untrusted": 1}
    health = champions.health()
    assert health.ok
    assert f"tenant default is served without its champion: model {first.id!r} is not signed" in health.detail
    assert "train again from history with `foreshock train`" in health.detail
    clock[0] = 600.0
    assert champions("default", "prior") is None
    assert telemetry.values("models_refused") == {"untrusted": 2}
    bench.registry.promote(second.id)
    found = champions("default", "prior")
    assert found is not None
    assert found.version == second.id
    assert champions("default", second.id) is None
    assert champions.health() == Health(True, "every champion serves")


def test_a_champion_that_a_broken_disk_keeps_is_not_read_at_every_tick(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    version, reads = bench.added(1), list[str]()

    def broken(version_id: str, schema: FeatureSchema) -> Ensemble:
        reads.append(version_id)
        raise OSError(f"no space for {schema.version}")

    bench.registry.promote(version.id)
    monkeypatch.setattr(bench.registry, "load", broken)
    champions = Champions(lambda _: bench.registry, Telemetry(), lambda: 0.0)
    with pytest.raises(OSError, match="no space"):
        champions("default", "prior")
    assert [champions("default", "prior") for _ in range(3)] == [None] * 3
    assert reads == [version.id]
