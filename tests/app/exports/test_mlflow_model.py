"""An exported version forecasts in a process of its own what the service does, and nothing is unpickled that its key did not sign."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from app.commands.models_command import CHAMPION, export
from app.exports.mlflow_model import KEY_VARIABLE, ExportedModel, key_of
from app.main import Node
from app.store.signing import KEY_FILE, fingerprint
from features.errors import InvalidSetting, InvalidValue, UntrustedArtifact
from features.extract import SCHEMA
from models.registry import BUCKET, Registry
from models.signature import signed
from tests.app.ingest.requests import a_span, as_json, span_id, traces
from tests.ensembles import add_version, an_ensemble
from tests.nodes import run_node, settings_in
from tests.payloads import payload

LOADS = """
import json, os, socket, sys

def refused(*_):
    raise AssertionError("an export loads without a network")

socket.socket.connect = socket.getaddrinfo = refused
import mlflow.pyfunc, pandas as pd
rows, said, outcomes = pd.read_parquet(sys.argv[1]), sys.argv[2], []
for model, key in json.loads(sys.argv[3]):
    os.environ.pop("FORESHOCK_EXPORT_KEY", None)
    if key:
        os.environ["FORESHOCK_EXPORT_KEY"] = key
    try:
        mlflow.pyfunc.load_model(model).predict(rows).to_parquet(said)
        outcomes.append("loaded")
    except Exception as exc:
        outcomes.append(f"{type(exc).__name__}: {exc}")
print(json.dumps(outcomes))
"""


def loads(wanted: Sequence[tuple[Path, Path | None]], rows: pd.DataFrame, scratch: Path) -> list[str]:
    """Load models with MLflow, each with a key, in one process that has never seen a data folder; return what came of each."""
    rows.to_parquet(scratch / "rows.parquet")
    pairs = json.dumps([(str(model), str(key) if key else "") for model, key in wanted])
    command = [sys.executable, "-c", LOADS, str(scratch / "rows.parquet"), str(scratch / "said.parquet"), pairs]
    environment = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"}
    answer = subprocess.run(command, env=environment, cwd=scratch, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout.splitlines()[-1])


def some_rows(n: int = 5) -> pd.DataFrame:
    x = np.random.default_rng(3).random((n, len(SCHEMA.features))).astype(np.float32)
    return pd.DataFrame(x, columns=list(SCHEMA.names))


def an_export(tmp_path: Path) -> tuple[Path, Path, str]:
    """Return the folder of an export, its key, and its version."""
    with closing(Node(settings_in(tmp_path / "data"))) as node:
        version = add_version(node.registry("default"))
    report, _ = export(settings_in(tmp_path / "data"), "default", version, tmp_path / "model", None)
    return Path(report["path"]), Path(report["key"]), version


@pytest.mark.slow
def test_a_fresh_process_forecasts_what_the_service_serves(tmp_path: Path) -> None:
    with run_node(tmp_path / "data") as node:
        registry = node.node.registry("default")
        version = registry.promote(add_version(registry, 2)).id
        for tick in range(20):
            for service in ("cart", "web") if tick else ():
                spans = [
                    a_span(
                        traceId=f"{1000 * tick + n:032x}",
                        spanId=span_id(1000 * tick + n),
                        startTimeUnixNano=str(node.now_ns - 10**9),
                        endTimeUnixNano=str(node.now_ns - 10**8),
                        status={"code": 2 if n % 7 == 0 else 1},
                    )
                    for n in range(tick)
                ]
                assert node.post("traces", as_json(traces(*spans, service=service))).status_code == 200
            node.tick()
        served = {one["service"]: one for one in node.get("/api/v1/predictions?operations=whole")["items"]}
        latest: Any = vars(node.node.worker.flow)["_latest"]
        keys = node.node.worker.flow.memory.directory.keys
        places = {key.service: row for row, key in enumerate(keys) if key.operation == "*"}
        rows = pd.DataFrame(latest.x[list(places.values())], columns=list(SCHEMA.names))
    assert {one["model_version"] for one in served.values()} == {version}
    report, words = export(
        settings_in(tmp_path / "data"), "default", CHAMPION, tmp_path / "model", tmp_path / "secrets" / "key"
    )
    assert (report["version"], report["key"]) == (version, str(tmp_path / "secrets" / "key"))
    assert f"{KEY_VARIABLE}=FILE" in words
    assert loads([(tmp_path / "model", Path(report["key"]))], rows, tmp_path) == ["loaded"]
    said = pd.read_parquet(tmp_path / "said.parquet")
    assert len(said) == len(served) == 2
    for row, service in zip(said.to_dict("records"), places, strict=True):
        for horizon, chance in served[service]["horizons"].items():
            expected = chance["probability"], chance["lower"], chance["upper"]
            assert (row[horizon], row[f"{horizon}_lower"], row[f"{horizon}_upper"]) == pytest.approx(expected, abs=1e-6)
        assert row["5min"] < row["15min"] < row["60min"]


def test_the_folder_holds_signature_example_pins_and_no_code_or_key(tmp_path: Path) -> None:
    model, key, version = an_export(tmp_path)
    described = (model / "MLmodel").read_text(encoding="utf-8")
    assert "loader_module: app.exports.mlflow_model" in described
    assert version in described
    assert all(f'"name": "{name}"' in " ".join(described.split()) for name in (*SCHEMA.names, "5min", "60min_upper"))
    example = json.loads((model / "input_example.json").read_text(encoding="utf-8"))
    assert (tuple(example["columns"]), len(example["data"])) == (SCHEMA.names, 1)
    pins = (model / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert {pin.partition("==")[0] for pin in pins} >= {"foreshock", "mlflow-skinny", "numpy", "river", "scikit-learn"}
    assert all("==" in pin for pin in pins)
    held = {path.name: path for path in model.rglob("*") if path.is_file()}
    assert not {name for name in held if name.endswith((".py", ".pkl", ".key"))}
    secrets = {key.read_bytes(), (tmp_path / "data" / KEY_FILE).read_bytes()}
    assert len(secrets) == 2, "the node's key does not leave it"
    assert not any(secret in path.read_bytes() for path in held.values() for secret in secrets)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


FORGED: dict[str, tuple[str, Callable[[bytes, Path], bytes], str]] = {
    "payload": ("artifact.joblib", lambda data, ran: payload(ran), "UntrustedArtifact: artifact of model"),
    "flipped": ("artifact.joblib", lambda data, ran: flipped(data), "UntrustedArtifact: artifact of model"),
    "truncated": ("artifact.joblib", lambda data, ran: data[:-100], "UntrustedArtifact: artifact of model"),
    "record": ("entry.json", lambda data, ran: data.replace(b'"seed": 0', b'"seed": 1'), "UntrustedArtifact: the signature"),
    "zeros": ("entry.json", lambda data, ran: signed(data, bytes(32), "exported"), "UntrustedArtifact: the signature"),
    "no entry": ("entry.json", lambda data, ran: b"[]", "UntrustedArtifact: "),
}


@pytest.mark.slow
def test_what_was_changed_on_the_way_or_has_no_key_is_refused_before_it_is_unpickled(tmp_path: Path) -> None:
    model, key, _ = an_export(tmp_path)
    wanted: list[tuple[Path, Path | None]] = []
    for name, (file, forge, _) in FORGED.items():
        shutil.copytree(model, tmp_path / name)
        (path,) = (tmp_path / name).rglob(file)
        path.write_bytes(forge(path.read_bytes(), tmp_path / "ran"))
        wanted.append((tmp_path / name, key))
    wanted += [(model, None), (model, tmp_path / "gone"), (model, tmp_path / "data" / KEY_FILE), (model, key)]
    *forged, without, gone, other, right = loads(wanted, some_rows(), tmp_path)
    assert [words for words, (*_, start) in zip(forged, FORGED.values(), strict=True) if not words.startswith(start)] == []
    for words, named in ((without, "''"), (gone, repr(str(tmp_path / "gone")))):
        assert words.startswith(f"InvalidSetting: {KEY_VARIABLE} must name the file of the key that")
        assert named in words
    assert other.startswith("UntrustedArtifact: the signature")
    assert right == "loaded"
    assert not (tmp_path / "ran").exists()


def test_an_export_is_no_entry_of_a_registry_whoever_holds_its_key(tmp_path: Path) -> None:
    model, key, version = an_export(tmp_path)
    (entry,) = model.rglob("entry.json")
    with closing(Node(settings_in(tmp_path / "other"))) as node:
        store = node.store
        store.documents.put(BUCKET, f"default/version/{version}", entry.read_bytes())
        with pytest.raises(UntrustedArtifact, match="signature"):
            Registry(store.blobs, store.documents, key.read_bytes(), "default").load(version, SCHEMA)


def test_what_cannot_be_exported_says_why_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_in(tmp_path / "data")
    with closing(Node(settings)) as node:
        version = add_version(node.registry("default"))
    there = tmp_path / "model"
    with pytest.raises(InvalidValue, match="no version serves yet"):
        export(settings, "default", CHAMPION, there, None)
    with pytest.raises(UntrustedArtifact, match="'gone' is not in the manifest"):
        export(settings, "default", "gone", there, None)
    with pytest.raises(InvalidValue, match="must not travel with the model"):
        export(settings, "default", version, there, there / "key")
    with pytest.raises(InvalidValue, match="needs a key of its own"):
        export(settings, "default", version, there, tmp_path / "data" / KEY_FILE)
    (tmp_path / "short").write_bytes(b"short")
    with pytest.raises(InvalidSetting, match=r"short, must hold 32 bytes, got 5"):
        export(settings, "default", version, there, tmp_path / "short")
    (tmp_path / "full" / "of").mkdir(parents=True)
    with pytest.raises(InvalidValue, match=r"must be a new or empty folder, got .*full"):
        export(settings, "default", version, tmp_path / "full", None)
    monkeypatch.setitem(sys.modules, "mlflow.models", None)  # as where it is not installed
    with pytest.raises(InvalidSetting, match=r"pip install 'foreshock\[mlflow\]'"):
        export(settings, "default", version, there, None)
    assert not there.exists()


def test_a_key_is_made_once(tmp_path: Path) -> None:
    key = key_of(tmp_path / "new" / "key")
    assert (len(key), key_of(tmp_path / "new" / "key")) == (32, key)
    assert fingerprint(key) != fingerprint(key_of(tmp_path / "other"))


def test_rows_that_do_not_fit_are_refused_with_what_is_wrong() -> None:
    model, rows = ExportedModel(an_ensemble()), some_rows(3)
    mixed = model.predict(rows.reindex(columns=list(reversed(SCHEMA.names))))
    assert mixed.equals(model.predict(rows))
    lower, p, upper = (mixed[name].to_numpy(float) for name in ("60min_lower", "60min", "60min_upper"))
    assert (lower <= p).all()
    assert (p <= upper).all()
    with pytest.raises(InvalidValue, match=r"1 are missing: \['whole_service'\]"):
        model.predict(rows.drop(columns="whole_service"))
    rows.iloc[1, 4] = np.nan
    with pytest.raises(InvalidValue, match="rows must be finite, got 1 values"):
        model.predict(rows)
