"""A version that is trained in plain Python is one like those of the service: listed, judged, compared, promoted and served alike."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from app.cache.documents import decode_document, tenant_key
from app.cache.records import TrainingRun
from app.folder import Folder, open_folder
from app.trained import run_job
from app.versions import compared, must_serve
from features.errors import DataInUse, InvalidValue
from models.version import ModelRecord
from tests.app.test_jobs import NOW, write_history
from tests.nodes import run_node, settings_in


def test_what_is_no_data_folder_is_not_made_one(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match=r"no data folder of Foreshock: there is no store\.db in it"):
        open_folder(tmp_path / "mistyped")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_held_until_it_is_closed(tmp_path: Path) -> None:
    Folder(settings_in(tmp_path)).close()
    with open_folder(tmp_path), pytest.raises(DataInUse, match=str(tmp_path)):
        open_folder(str(tmp_path))
    open_folder(tmp_path).close()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_version_from_a_notebook_is_one_like_those_of_the_service(tmp_path: Path) -> None:
    write_history(tmp_path / "history", 1000, 80)
    Folder(settings_in(tmp_path)).close()
    with open_folder(tmp_path) as folder:
        job = replace(folder.job(seed=3), stride=5)
        ours = folder.train(folder.dataset(job), seed=3)
        theirs = run_job(job, folder.history, None, NOW, lambda _share: None)
        assert (ours.report, ours.promote, ours.incidents) == (theirs.report, theirs.promote, theirs.incidents)
        assert replace(ours.record, created_at=NOW) == theirs.record
        x = np.random.default_rng(0).random((20, len(ours.ensemble.background_))).astype(np.float32)
        assert (ours.ensemble.hazards(x) == theirs.ensemble.hazards(x)).all()
        first = folder.register(replace(ours, promote=True), "an idea of ana's")
        second = folder.register(replace(ours, promote=True, record=replace(ours.record, created_at=NOW)), "another idea")
        assert (first.alias, second.alias) == ("champion", "challenger"), "it runs in shadow first, as the service's own do"
        assert [step.action for step in folder.registry.steps()] == ["promoted", "challenged"]
        assert compared(first, second)["same_data"]
        must_serve(folder.registry, second.id)
    with run_node(tmp_path) as running:
        runs = running.get("/api/v1/training-runs")["items"]
        assert {(run["reason"], run["model_version"], run["state"]) for run in runs} == {
            ("an idea of ana's", first.id, "succeeded"),
            ("another idea", second.id, "succeeded"),
        }
        listed = running.get("/api/v1/models")["items"]
        assert {item["id"]: item["alias"] for item in listed} == {first.id: "champion", second.id: "challenger"}
        assert {field.name for field in fields(ModelRecord)} <= set(listed[0])
        served = running.client.post(f"{running.served.api}/api/v1/models/{second.id}:promote", json={"who": "ana"})
        assert (served.status_code, served.json()["alias"]) == (200, "champion")
        champion = running.node.champions("default", "prior")
        assert champion is not None
        assert champion.version == second.id
        assert (champion.ensemble.hazards(x) == ours.ensemble.hazards(x)).all()
        document = running.node.store.documents.get("training-runs", tenant_key("default", runs[0]["id"]))
        assert document is not None
        assert decode_document(document.value, TrainingRun).progress == 1.0
