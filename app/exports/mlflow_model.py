"""A version of the registry as an MLflow model, and how MLflow loads one: only what is signed with a key that the recipient was given.

`foreshock models export` (`app.commands.models_command`) writes one. MLflow imports this module, which the model names as its loader, out of
an installed Foreshock; the folder holds the artifact's bytes and its entry of the manifest, signed anew with a key for this purpose, and no
code. The artifact is unpickled by `models.registry.Registry.load` alone, after the same checks as in the service.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from app.store.folder import write_whole
from features.errors import InvalidSetting, InvalidValue, UntrustedArtifact
from features.extract import SCHEMA
from models.ensemble import Ensemble
from models.hazard import cumulate
from models.registry import BUCKET, BlobStore, Registry, Stored
from models.signature import KEY_BYTES, signed
from models.version import ModelVersion

__all__ = ["KEY_VARIABLE", "ExportedModel", "export_model", "key_of"]

KEY_VARIABLE = "FORESHOCK_EXPORT_KEY"
"""Names the file of the key, in the environment of a process that loads an exported model."""

_ENTRY, _ARTIFACT = "entry.json", "artifact.joblib"
_TENANT = "exported"
"""What the signature of an export is for, so that an entry of one is none of a registry, whatever its tenant."""

_PINNED = ("numpy", "scipy", "scikit-learn", "river", "joblib", "threadpoolctl", "pandas")
"""What an artifact is unpickled and asked with."""

_QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}


class ExportedModel:
    """What MLflow asks: the probabilities of an ensemble for rows that are named columns.

    Parameters
    ----------
    ensemble : Ensemble
        From a registry.

    Examples
    --------
    >>> ExportedModel.columns(["5min", "60min"])
    ['5min', '60min', '5min_lower', '60min_lower', '5min_upper', '60min_upper']
    """

    def __init__(self, ensemble: Ensemble) -> None:
        self.ensemble = ensemble

    @staticmethod
    def columns(horizons: Sequence[str]) -> list[str]:
        """Return what is predicted: by horizon the probability, then its lower and upper bound."""
        return [*horizons, *(f"{name}_lower" for name in horizons), *(f"{name}_upper" for name in horizons)]

    def predict(self, model_input: pd.DataFrame, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Return the probability that an incident begins within each horizon, with its interval of 90 %.

        Parameters
        ----------
        model_input : DataFrame
            The columns of ``features.extract.SCHEMA`` by name, in any order; finite.
        params : mapping, optional
            None are known.

        Raises
        ------
        InvalidValue
            When a column is missing or a value is not finite.
        """
        missing = [name for name in SCHEMA.names if name not in model_input.columns]
        if missing:
            raise InvalidValue(
                f"rows must have the {len(SCHEMA.names)} columns of the feature schema, {len(missing)} are missing: {missing[:5]}"
            )
        x = model_input[list(SCHEMA.names)].to_numpy(np.float32)
        if not np.isfinite(x).all():
            raise InvalidValue(f"rows must be finite, got {int((~np.isfinite(x)).sum())} values that are not")
        p = cumulate(self.ensemble.hazards(x))
        said = np.concatenate([p, *self.ensemble.bounds(p)], axis=1)
        return pd.DataFrame(said, columns=self.columns(list(self.ensemble.horizons)), index=model_input.index)


def export_model(registry: Registry, blobs: BlobStore, version_id: str, destination: Path, key: bytes) -> ModelVersion:
    """Write a version as an MLflow model with signature, input example and pinned requirements.

    Parameters
    ----------
    registry : Registry
        Has the version, and checks it as for service.
    blobs : BlobStore
        Has its bytes.
    version_id : str
        Of the manifest.
    destination : Path
        A folder that is not there, or empty.
    key : bytes
        Signs the export; from `key_of`, not the node's.

    Raises
    ------
    InvalidSetting
        When MLflow is not installed.
    InvalidValue
        When there is something in the destination.
    UntrustedArtifact, SnapshotMismatch
        When the version would not be loaded here either.
    """
    if destination.exists() and (not destination.is_dir() or any(destination.iterdir())):
        raise InvalidValue(f"the destination must be a new or empty folder, got {destination}")
    ensemble = registry.load(version_id, SCHEMA)
    version = registry.version(version_id)
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own, of pandas and type hints
        models, pyfunc, types = _mlflow("mlflow.models"), _mlflow("mlflow.pyfunc"), _mlflow("mlflow.types")
        inputs = [types.ColSpec(types.DataType.float, name) for name in SCHEMA.names]
        outputs = [types.ColSpec(types.DataType.double, name) for name in ExportedModel.columns(list(ensemble.horizons))]
        data = Path(scratch) / "data"
        data.mkdir()
        (data / _ARTIFACT).write_bytes(blobs.get(version.sha256))
        (data / _ENTRY).write_bytes(signed(version.to_json(), key, _TENANT))
        _loaded(data, key)  # what would not be loaded there is not written
        pyfunc.save_model(
            str(destination),
            loader_module=__name__,
            data_path=str(data),
            signature=models.ModelSignature(types.Schema(inputs), types.Schema(outputs)),
            input_example=pd.DataFrame(ensemble.background_[None], columns=list(SCHEMA.names)),
            pip_requirements=[f"{name}=={version_of(name)}" for name in ("foreshock", "mlflow-skinny", *_PINNED)],
            metadata={"foreshock_model": version.id, "feature_schema": SCHEMA.sha256},
        )
    return version


def key_of(path: Path) -> bytes:
    """Return the key of a file; where there is none, make one that only this user can read.

    Raises
    ------
    InvalidSetting
        When it is no key, or cannot be read or made.
    """
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, secrets.token_bytes(KEY_BYTES))
        key = path.read_bytes()
    except OSError as exc:
        raise InvalidSetting(f"the key of an export, {path}: {exc.strerror or exc}") from exc
    if len(key) != KEY_BYTES:
        raise InvalidSetting(f"the key of an export, {path}, must hold {KEY_BYTES} bytes, got {len(key)}")
    return key


def _load_pyfunc(path: str, model_config: Mapping[str, Any] | None = None) -> ExportedModel:  # pyright: ignore[reportUnusedFunction]
    """Load an exported model for MLflow, which looks for a function of this name."""
    named = os.environ.get(KEY_VARIABLE, "")
    if not named or not Path(named).is_file():
        raise InvalidSetting(
            f"{KEY_VARIABLE} must name the file of the key that the model was exported with, got {named!r}; who exported it has it"
        )
    return ExportedModel(_loaded(Path(path), key_of(Path(named))))


def _loaded(folder: Path, key: bytes) -> Ensemble:
    try:
        entry = (folder / _ENTRY).read_bytes()
        version_id = str(json.loads(entry)["id"])
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise UntrustedArtifact(f"{folder} holds no entry of an exported model: {exc!r}") from exc
    return Registry(_Carried(folder / _ARTIFACT), _Manifest(entry), key, _TENANT).load(version_id, SCHEMA)


class _Entry:
    """A document without a history."""

    def __init__(self, value: bytes) -> None:
        self.value = value
        self.revision = 1


class _Carried:
    """The one artifact of an export, whichever hash is asked for: `Registry.load` compares it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, sha256: str) -> bytes:
        """Return the bytes."""
        try:
            return self._path.read_bytes()
        except OSError as exc:
            raise UntrustedArtifact(f"the artifact {sha256} of an exported model cannot be read: {exc}") from exc

    def put(self, data: bytes) -> str:
        """Refuse: an export is read only."""
        raise UntrustedArtifact(f"an exported model takes nothing in, got {len(data)} bytes")


class _Manifest:
    """The one entry of an export, as the manifest that a registry reads."""

    def __init__(self, entry: bytes) -> None:
        self._entry = _Entry(entry)

    def get(self, bucket: str, key: str) -> Stored | None:
        """Return the entry, and nothing of who serves."""
        return self._entry if (bucket, key.rpartition("/")[0]) == (BUCKET, f"{_TENANT}/version") else None

    def put(self, bucket: str, key: str, value: bytes) -> int:
        """Refuse: an export is read only."""
        raise UntrustedArtifact(f"an exported model takes nothing in, got {len(value)} bytes for {bucket}/{key}")

    def swap(self, bucket: str, key: str, value: bytes, revision: int) -> int:
        """Refuse as `put` does, whatever the revision."""
        return self.put(bucket, f"{key}@{revision}", value)

    def items(self, bucket: str, prefix: str = "") -> Sequence[Stored]:
        """Return the entry, if it is asked for."""
        return [self._entry] if bucket == BUCKET and f"{_TENANT}/version/".startswith(prefix) else []


def _mlflow(name: str) -> Any:
    """Import a part of MLflow, which tells nobody that it was."""
    for variable, value in _QUIET.items():
        os.environ.setdefault(variable, value)
    try:
        found = import_module(name)
    except ImportError as exc:
        raise InvalidSetting("an export needs the package mlflow-skinny; pip install 'foreshock[mlflow]'") from exc
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    return found
