"""What is done with model versions, over REST and on the command line alike."""

from __future__ import annotations

import math
from typing import Any

from features.errors import InvalidValue, SnapshotMismatch, UntrustedArtifact
from features.extract import SCHEMA
from models.registry import Registry
from models.version import ModelVersion

__all__ = ["compared", "must_serve"]


def must_serve(registry: Registry, version_id: str) -> None:
    """Load a version as a worker would, so that what cannot serve is refused here and not noticed at the next tick.

    Raises
    ------
    InvalidValue
        When it cannot serve, with the reason.
    """
    try:
        registry.load(version_id, SCHEMA)
    except (SnapshotMismatch, UntrustedArtifact) as exc:
        raise InvalidValue(f"model {version_id!r} cannot serve: {exc}") from exc


def compared(one: ModelVersion, other: ModelVersion) -> dict[str, Any]:
    """Return what tells two versions apart.

    Parameters
    ----------
    one, other : ModelVersion
        Of one tenant.

    Returns
    -------
    dict
        Scores of both with the difference of the second from the first. Each was measured on the last third of its own data.
    """
    names = sorted({*one.record.scores, *other.record.scores})
    scores = {name: _pair(one.record.scores.get(name), other.record.scores.get(name)) for name in names}
    same_data = one.record.data_sha256 == other.record.data_sha256
    return {
        "one": one.id,
        "other": other.id,
        "same_data": same_data,
        "same_schema": one.record.schema_sha256 == other.record.schema_sha256,
        "serves": {
            horizon: {"one": serves, "other": other.record.serves.get(horizon)} for horizon, serves in one.record.serves.items()
        },
        "scores": scores,
        "note": "both were scored on the same held-out time"
        if same_data
        else "each was scored on the last part of its own data, so that a difference may be one of the times",
    }


def _pair(one: float | None, other: float | None) -> dict[str, float | None]:
    known = [None if value is None or math.isnan(value) else value for value in (one, other)]
    difference = None if known[0] is None or known[1] is None else known[1] - known[0]
    return {"one": known[0], "other": known[1], "difference": difference}
