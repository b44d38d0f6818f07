"""Where fitted ensembles are kept, named and found again, and what refuses a file that is not one of ours.

`app.trained` adds what was fitted, `app.succession` promotes it, and workers load the champion between two
ticks. Artifacts are blobs by sha256; the bucket ``models`` is the manifest: nothing is unpickled unless its
hash stands there, in an entry that was signed with the node's key.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version as version_of
from typing import Literal, Protocol

import joblib
import numpy as np
import sklearn

from features.errors import InvalidValue, SnapshotMismatch, UntrustedArtifact
from features.evidence import SOURCES
from features.facts import CATEGORIES
from features.schema import FeatureSchema
from models.ensemble import Ensemble
from models.hazard import N_INTERVALS
from models.signature import check_signature, signed
from models.version import ModelRecord, ModelVersion, ServingHistory, Step

__all__ = ["BUCKET", "BlobStore", "DocumentStore", "Registry", "Role", "Stored"]

Role = Literal["challenger", "former"]
"""Of the version that the champion is compared with: it may take over, or it served before."""

BUCKET = "models"
"""The bucket of documents that is the manifest."""

_KEPT_HISTORY = 20
"""Champions that a rollback can reach back to. Guessed; artifacts and versions stay in any case: nothing is pruned."""

_KEPT_STEPS = 500
"""Steps that are remembered: a year and more of a promotion a day. Guessed; a document of 100 KB."""


class Stored(Protocol):
    """A document as the registry needs it."""

    @property
    def value(self) -> bytes:
        """Its bytes."""
        ...

    @property
    def revision(self) -> int:
        """What a compare-and-set names."""
        ...


class BlobStore(Protocol):
    """Content-addressed bytes, as the registry needs them."""

    def put(self, data: bytes) -> str:
        """Store bytes and return their sha256 in hexadecimal."""
        ...

    def get(self, sha256: str) -> bytes:
        """Return the bytes of a hash."""
        ...


class DocumentStore(Protocol):
    """Buckets of small documents, as the registry needs them."""

    def get(self, bucket: str, key: str) -> Stored | None:
        """Return a document, None when absent."""
        ...

    def put(self, bucket: str, key: str, value: bytes) -> int:
        """Write a document and return its revision."""
        ...

    def swap(self, bucket: str, key: str, value: bytes, revision: int) -> int:
        """Write a document if its revision is the given one (0: it must not exist)."""
        ...

    def items(self, bucket: str, prefix: str = "") -> Sequence[Stored]:
        """Return documents whose key starts with a prefix, by key."""
        ...


class Registry:
    """Keep model versions and say which one serves.

    Parameters
    ----------
    blobs : BlobStore
        Takes the artifacts.
    documents : DocumentStore
        Takes the manifest, in the bucket `BUCKET`.
    key : bytes
        Signs what is added, and has signed what is loaded; see `models.signature`.
    tenant : str
        Whose models; it leads every key, and models never cross tenants.
    """

    def __init__(self, blobs: BlobStore, documents: DocumentStore, key: bytes, tenant: str = "default") -> None:
        self._blobs = blobs
        self._documents = documents
        self._key = key
        self._tenant = tenant
        self._versions = f"{tenant}/version/"
        self._serves = f"{tenant}/serving"
        self._read = (0, ServingHistory())  # the newest that was read, with its revision: the document seldom changes

    def add(self, ensemble: Ensemble, record: ModelRecord, refused: str = "") -> ModelVersion:
        """Store a fitted ensemble and enter its hash into the manifest, signed; it is a candidate.

        Parameters
        ----------
        ensemble, record
            The fit, and what training knows of it.
        refused : str
            Why the gate keeps it a candidate, a step of its history; empty where it does not.

        Returns
        -------
        ModelVersion
            The same ensemble and record give the same version again.
        """
        buffer = io.BytesIO()
        joblib.dump(ensemble, buffer, compress=3)
        digest = self._blobs.put(buffer.getvalue())
        version = ModelVersion(
            id=f"{record.created_at.astimezone(UTC):%Y%m%dT%H%M%SZ}-{digest[:8]}",
            sha256=digest,
            record=record,
            alias="candidate",
            sklearn=sklearn.__version__,
            river=version_of("river"),
            numpy=np.__version__,
        )
        self._documents.put(BUCKET, self._versions + version.id, signed(version.to_json(), self._key, self._tenant))
        serving, revision = self._serving()
        if refused and not any((step.action, step.version) == ("refused", version.id) for step in serving.steps):
            step = Step("refused", version.id, serving.champion, record.created_at, "foreshock", refused)
            self._write(replace(serving, steps=(*serving.steps, step)), revision)
        return self.version(version.id)

    def version(self, version_id: str) -> ModelVersion:
        """Return a version of the manifest, with the alias that it has now.

        Raises
        ------
        UntrustedArtifact
            When the manifest has no such version.
        """
        found = ModelVersion.from_json(self._entry(version_id))
        return found.called(self._serving()[0].alias(found.id, found.alias))

    def versions(self) -> tuple[ModelVersion, ...]:
        """Return all versions, newest first."""
        serving = self._serving()[0]
        found = [ModelVersion.from_json(d.value) for d in self._documents.items(BUCKET, self._versions)]
        named = (version.called(serving.alias(version.id, version.alias)) for version in found)
        return tuple(sorted(named, key=lambda version: version.id, reverse=True))

    def load(self, version_id: str, schema: FeatureSchema) -> Ensemble:
        """Return the ensemble of a version after checking that it is ours and fits.

        Parameters
        ----------
        version_id : str
            A version of the manifest.
        schema : FeatureSchema
            The columns that it will be given.

        Raises
        ------
        UntrustedArtifact
            When the version is not in the manifest, its entry was not signed with the key, or the bytes are not those that it names.
            Nothing was unpickled.
        SnapshotMismatch
            When it was fitted with another scikit-learn or river or for another schema, or when it does not load or forecast
            with the libraries and the release that are installed.
        """
        entry = self._entry(version_id)
        check_signature(entry, self._key, self._tenant, version_id)
        version = ModelVersion.from_json(entry)
        if version.id != version_id:
            raise UntrustedArtifact(
                f"the entry of model {version_id!r} is that of {version.id!r}; train again with `foreshock train`"
            )
        _check_fits(version, schema)
        data = self._blobs.get(version.sha256)
        digest = sha256(data).hexdigest()
        if digest != version.sha256:
            raise UntrustedArtifact(
                f"artifact of model {version_id} has sha256 {digest}, the manifest says {version.sha256}; "
                "roll back to another version or train again"
            )
        return _unpickled(version_id, data, len(schema.features))

    def champion(self) -> ModelVersion | None:
        """Return the version that serves, None before any was promoted."""
        history = self._serving()[0].history
        return self.version(history[-1]) if history else None

    def steps(self) -> tuple[Step, ...]:
        """Return who let which version serve, when and why, the newest last."""
        return self._serving()[0].steps

    def rival(self) -> tuple[str, Role] | None:
        """Return the version that the champion is compared with, and whether it challenges or served before; None where there is none."""
        serving = self._serving()[0]
        if serving.challenger is not None:
            return serving.challenger, "challenger"
        return None if serving.former is None else (serving.former, "former")

    def challenge(self, version_id: str, *, who: str = "unknown", why: str = "", at: datetime | None = None) -> ModelVersion:
        """Let a version run in shadow beside the champion; it takes the place of another challenger.

        Parameters
        ----------
        version_id, who, why, at
            As in `promote`.

        Raises
        ------
        InvalidValue
            When it serves, or nothing does.
        UntrustedArtifact
            When the manifest has no such version.
        Conflict
            When somebody else changed who serves at the same moment.
        """
        self.version(version_id)
        serving, revision = self._serving()
        if serving.champion in {None, version_id}:
            raise InvalidValue(
                f"a challenger needs another version that serves, got {version_id!r} beside {serving.champion!r}"
            )
        step = Step("challenged", version_id, serving.champion, at, who, why)
        self._write(replace(serving, steps=(*serving.steps, step), challenger=version_id, former=None), revision)
        return self.version(version_id)

    def dismiss(self, *, who: str = "unknown", why: str = "", at: datetime | None = None) -> None:
        """Compare the champion with no other version any more: the challenger is rejected, or the champion kept. Without one do nothing."""
        serving, revision = self._serving()
        if serving.challenger is not None:
            step = Step("rejected", serving.challenger, serving.champion, at, who, why)
        elif serving.former is not None and serving.champion is not None:
            step = Step("kept", serving.champion, serving.former, at, who, why)
        else:
            return
        self._write(replace(serving, steps=(*serving.steps, step), challenger=None, former=None), revision)

    def promote(
        self, version_id: str, *, who: str = "unknown", why: str = "", at: datetime | None = None, watch: bool = False
    ) -> ModelVersion:
        """Let a version serve; one that serves already is left so, without a step.

        Parameters
        ----------
        version_id : str
            A version of the manifest.
        who, why : str
            Who does it, and words for people.
        at : datetime, optional
            When, aware UTC.
        watch : bool
            Whether what served until now is compared with it, so that it can be taken back.

        Raises
        ------
        UntrustedArtifact
            When the manifest has no such version.
        Conflict
            When somebody else promoted at the same moment.
        """
        self.version(version_id)
        serving, revision = self._serving()
        if serving.champion != version_id:
            step = Step("promoted", version_id, serving.champion, at, who, why)
            history = (*serving.history, version_id)[-_KEPT_HISTORY:]
            self._write(ServingHistory(history, (*serving.steps, step), former=serving.champion if watch else None), revision)
        return self.version(version_id)

    def earlier(self) -> str:
        """Return the version that a rollback would let serve.

        Raises
        ------
        InvalidValue
            When there is none.
        """
        return _earlier(self._serving()[0])

    def rollback(self, *, who: str = "unknown", why: str = "", at: datetime | None = None) -> ModelVersion:
        """Let the version serve that served before.

        Parameters
        ----------
        who, why, at
            As in `promote`.

        Raises
        ------
        InvalidValue
            When there is none.
        Conflict
            When somebody else promoted at the same moment.
        """
        serving, revision = self._serving()
        before = _earlier(serving)
        step = Step("rolled_back", before, serving.champion, at, who, why)
        self._write(ServingHistory(serving.history[:-1], (*serving.steps, step)), revision)
        return self.version(before)

    def _entry(self, version_id: str) -> bytes:
        document = self._documents.get(BUCKET, self._versions + version_id)
        if document is None:
            raise UntrustedArtifact(f"model version {version_id!r} is not in the manifest; list them with `foreshock models`")
        return document.value

    def _serving(self) -> tuple[ServingHistory, int]:
        document = self._documents.get(BUCKET, self._serves)
        if document is None:
            return ServingHistory(), 0
        revision, history = self._read
        if document.revision != revision:
            history = ServingHistory.from_json(document.value)
            self._read = document.revision, history
        return history, document.revision

    def _write(self, serving: ServingHistory, revision: int) -> None:
        kept = replace(serving, steps=serving.steps[-_KEPT_STEPS:])
        self._documents.swap(BUCKET, self._serves, kept.to_json(), revision)


def _check_fits(version: ModelVersion, schema: FeatureSchema) -> None:
    """Refuse a version of another schema or of other libraries, before anything of it is read."""
    record = version.record
    if record.schema_sha256 != schema.sha256:
        raise SnapshotMismatch(
            f"model {version.id} was fitted for feature schema version {record.schema_version} "
            f"({record.schema_sha256[:8]}), this release has {schema.version} ({schema.sha256[:8]}); "
            "train again with `foreshock train`"
        )
    for name, made_with, installed in (
        ("scikit-learn", version.sklearn, sklearn.__version__),
        ("river", version.river, version_of("river")),
    ):
        if made_with != installed:
            raise SnapshotMismatch(
                f"model {version.id} was fitted with {name} {made_with}, installed is {installed}; "
                "train again with `foreshock train` or install that version"
            )


def _earlier(serving: ServingHistory) -> str:
    if len(serving.history) < 2:  # noqa: PLR2004 - this one and the one before
        raise InvalidValue(f"no earlier champion to roll back to, history has {len(serving.history)}")
    return serving.history[-2]


def _unpickled(version_id: str, data: bytes, n_features: int) -> Ensemble:
    """Return the ensemble in an artifact after it has forecast one row, so that a broken one fails here and not in a tick."""
    way_out = "train again with `foreshock train`, or roll back to another version"
    try:
        ensemble = joblib.load(io.BytesIO(data))
    except Exception as exc:  # unpickling runs constructors of other libraries, which may raise anything
        raise SnapshotMismatch(f"artifact of model {version_id} does not load here: {exc!r}; {way_out}") from exc
    if not isinstance(ensemble, Ensemble):
        raise UntrustedArtifact(f"artifact of model {version_id} is a {type(ensemble).__name__}, expected an Ensemble")
    try:
        hazards = ensemble.hazards(np.zeros((1, n_features), np.float32))
        ensemble.categories_.distribution(np.zeros((1, len(SOURCES), len(CATEGORIES))))
    except Exception as exc:  # the same: attributes that a release renamed are missed only now
        raise SnapshotMismatch(f"model {version_id} does not forecast here: {exc!r}; {way_out}") from exc
    if hazards.shape != (1, N_INTERVALS) or not np.isfinite(hazards).all():
        raise SnapshotMismatch(f"model {version_id} forecasts {hazards.tolist()} for a row of zeros; {way_out}")
    return ensemble
