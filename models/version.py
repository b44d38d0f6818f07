"""The record of a fitted ensemble: what it is, what it was fitted on, and how well it did.

`training.retrain` fills a `ModelRecord`; `models.registry` adds what the artifact itself says and keeps it
as JSON; the API lists it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime

from features.errors import InvalidValue
from models.prediction import HORIZONS

__all__ = ["ACTIONS", "ALIASES", "ModelRecord", "ModelVersion", "ServingHistory", "Step"]

ALIASES = ("candidate", "challenger", "champion", "retired")
"""The life of a version: fitted, running in shadow, serving, served before."""

ACTIONS = ("promoted", "rolled_back", "challenged", "rejected", "kept", "refused")
"""What lets a version serve: that it was chosen, or that what served after it was taken back. What does not: that it runs in shadow from
then on, that it does no more, that the version that served before is compared with it no more, and that the gate refused it after its fit."""

_SHA256_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Step:
    """One change of who serves, or of who is compared with it; kept, never rewritten.

    Parameters
    ----------
    action : str
        One of `ACTIONS`.
    version : str
        Which version serves from then on; of ``challenged`` and ``rejected`` which one challenges; of ``refused`` which one was judged.
    before : str or None
        Which served until then, None when none did; of ``challenged``, ``rejected`` and ``refused`` which one serves.
    at : datetime or None
        Aware UTC; None where nobody noted it.
    who, why : str
        Who did it, and words for people.

    Raises
    ------
    InvalidValue
        When the action is unknown or the time naive.
    """

    action: str
    version: str
    before: str | None
    at: datetime | None = None
    who: str = "unknown"
    why: str = ""

    @property
    def served(self) -> str | None:
        """The version that came to serve by it, None where none did."""
        return self.version if self.action in {"promoted", "rolled_back"} else None

    def __post_init__(self) -> None:
        if self.action not in ACTIONS:
            raise InvalidValue(f"action must be one of {ACTIONS}, got {self.action!r}")
        if self.at is not None and self.at.tzinfo is None:
            raise InvalidValue(f"at must be aware, got {self.at}")


@dataclass(frozen=True, slots=True)
class ServingHistory:
    """Which versions served and how that came about, the newest last, and which one is compared with the champion.

    Parameters
    ----------
    history : tuple of str
        Champions that a rollback can reach.
    steps : tuple of Step
        Every change that is remembered.
    challenger, former : str or None
        The version in shadow, and the one that served before and is still compared; never both.
    """

    history: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    challenger: str | None = None
    former: str | None = None

    @property
    def champion(self) -> str | None:
        """The version that serves, None before any was promoted."""
        return self.history[-1] if self.history else None

    def alias(self, version_id: str, otherwise: str) -> str:
        """Return what a version is now; the history knows who serves and who did, the manifest does not."""
        if version_id == self.champion:
            return "champion"
        if version_id == self.challenger:
            return "challenger"
        return "retired" if version_id in {*self.history, *(step.served for step in self.steps)} else otherwise

    def to_json(self) -> bytes:
        """Return the history as a JSON document."""
        steps = [asdict(step) | {"at": step.at.isoformat() if step.at else None} for step in self.steps]
        rivals = {"challenger": self.challenger, "former": self.former}
        return json.dumps({"history": self.history, "steps": steps} | rivals).encode()

    @classmethod
    def from_json(cls, data: bytes) -> ServingHistory:
        """Read a document; those of earlier releases have no steps."""
        found = json.loads(data)
        steps = tuple(
            Step(**step | {"at": datetime.fromisoformat(step["at"]) if step["at"] else None}) for step in found.get("steps", ())
        )
        return cls(tuple(found["history"]), steps, found.get("challenger"), found.get("former"))


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """What training knows of a fit.

    Parameters
    ----------
    schema_version : int
        Of the FeatureSchema.
    schema_sha256 : str
        Of the FeatureSchema.
    trained_from, trained_to : datetime
        Aware UTC, first and last ``as_of`` of the rows that the members were fitted on.
    data_sha256 : str
        Hash of all rows that were given.
    seed : int
        Seed of the fit.
    serves : mapping of str to str
        By horizon, who serves the interval that ends there: ``ensemble``, or the baseline that it did not beat.
    scores : mapping of str to float
        Held-out scores of the ensemble by name, such as ``60min.ap``; also where a baseline serves.
    created_at : datetime
        Aware UTC.

    Raises
    ------
    InvalidValue
        When a time is naive or the interval is empty.
    """

    schema_version: int
    schema_sha256: str
    trained_from: datetime
    trained_to: datetime
    data_sha256: str
    seed: int
    serves: Mapping[str, str]
    created_at: datetime
    scores: Mapping[str, float] = field(default_factory=dict[str, float])

    def __post_init__(self) -> None:
        if any(t.tzinfo is None for t in (self.trained_from, self.trained_to, self.created_at)):
            raise InvalidValue("trained_from, trained_to and created_at must be aware")
        if self.trained_to < self.trained_from:
            raise InvalidValue(f"trained_from <= trained_to must hold, got {self.trained_from}, {self.trained_to}")
        for name in ("schema_sha256", "data_sha256"):
            _check_sha256(name, getattr(self, name))


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A fitted ensemble and its record.

    Parameters
    ----------
    id : str
        When it was made and the start of its hash.
    sha256 : str
        Of the artifact.
    record : ModelRecord
        What training knows of it.
    alias : str
        One of `ALIASES`.
    sklearn, river, numpy : str
        Versions of the libraries that made the artifact.

    Raises
    ------
    InvalidValue
        When the alias is unknown or the hash is none.

    Examples
    --------
    >>> from datetime import UTC
    >>> at = datetime(2026, 1, 2, tzinfo=UTC)
    >>> serves = {"5min": "ensemble", "15min": "ensemble", "60min": "rate"}
    >>> record = ModelRecord(1, "a" * 64, at, at, "b" * 64, 0, serves, at, {"60min.ap": 0.3})
    >>> version = ModelVersion("20260102T000000Z-cccccccc", "c" * 64, record, "candidate", "1.8", "0.26", "2.3")
    >>> ModelVersion.from_json(version.to_json()) == version
    True
    """

    id: str
    sha256: str
    record: ModelRecord
    alias: str
    sklearn: str
    river: str
    numpy: str

    def __post_init__(self) -> None:
        if self.alias not in ALIASES:
            raise InvalidValue(f"alias must be one of {ALIASES}, got {self.alias!r}")
        _check_sha256("sha256", self.sha256)

    def called(self, alias: str) -> ModelVersion:
        """Return the same version under another alias."""
        return replace(self, alias=alias)

    def to_json(self) -> bytes:
        """Return the version as a JSON document."""
        record = {name: getattr(self.record, name) for name in ModelRecord.__slots__}
        for name in ("serves", "scores"):
            record[name] = dict(record[name])
        for name in ("trained_from", "trained_to", "created_at"):
            record[name] = record[name].isoformat()
        top = {name: getattr(self, name) for name in ModelVersion.__slots__ if name != "record"}
        return json.dumps({**top, "record": record}, sort_keys=True).encode()

    @classmethod
    def from_json(cls, data: bytes) -> ModelVersion:
        """Read a version back from `to_json`; its signature is left out, and in older records one name serves all horizons."""
        top = json.loads(data)
        top.pop("signature", None)
        record = top.pop("record")
        for name in ("trained_from", "trained_to", "created_at"):
            record[name] = datetime.fromisoformat(record[name])
        serves = record["serves"]
        record["serves"] = {horizon: serves if isinstance(serves, str) else serves[horizon] for horizon in HORIZONS}
        return cls(record=ModelRecord(**record), **top)


def _check_sha256(name: str, value: str) -> None:
    if len(value) != _SHA256_LENGTH:
        raise InvalidValue(f"{name} must be {_SHA256_LENGTH} hexadecimal characters, got {value!r}")
