"""``foreshock models``: the versions in a data folder's registry, and which of them serves."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.api.parts import PREFIX
from app.auth import Deed
from app.exports.mlflow_model import KEY_VARIABLE, export_model, key_of
from app.main import Node
from app.settings import Settings
from app.store.signing import fingerprint
from app.versions import compared, must_serve
from features.errors import InvalidValue
from models.registry import Registry
from models.version import ModelVersion, Step

__all__ = ["CHAMPION", "compare", "export", "promote", "rollback", "show", "versions"]

CHAMPION = "champion"
"""What stands for the version that serves, where one is exported."""


def versions(settings: Settings, tenant: str) -> tuple[dict[str, Any], str]:
    """Return all versions of a tenant, newest first, and the same for a terminal."""
    with _registry(settings, tenant) as registry:
        found = registry.versions()
    rows = [
        f"{v.id}  {v.alias:10}  serves " + ", ".join(f"{name} at {horizon}" for horizon, name in v.record.serves.items())
        for v in found
    ]
    return {"items": [_plain(v) for v in found]}, "\n".join(rows) or "no model yet; the prior is served"


def show(settings: Settings, tenant: str, version_id: str) -> tuple[dict[str, Any], str]:
    """Return a version with its history, and the same for a terminal.

    Raises
    ------
    UntrustedArtifact
        When the manifest has no such version.
    """
    with _registry(settings, tenant) as registry:
        return _detail(registry, version_id)


def promote(settings: Settings, tenant: str, version_id: str, who: str, why: str) -> tuple[dict[str, Any], str]:
    """Let a version serve, and return it as `show` does.

    Raises
    ------
    InvalidValue
        When it is not there or cannot serve.
    """
    with _changed(settings, Deed("model.promote", _by(who), tenant, "", f"{PREFIX}/models/{version_id}")) as registry:
        must_serve(registry, version_id)
        registry.promote(version_id, who=who, why=why, at=datetime.now(UTC))
        return _detail(registry, version_id)


def rollback(settings: Settings, tenant: str, who: str, why: str) -> tuple[dict[str, Any], str]:
    """Let the version serve that served before, and return it as `show` does.

    Raises
    ------
    InvalidValue
        When there is none, or it cannot serve any more.
    """
    with _changed(settings, Deed("model.rollback", _by(who), tenant, "", f"{PREFIX}/models")) as registry:
        must_serve(registry, registry.earlier())
        return _detail(registry, registry.rollback(who=who, why=why, at=datetime.now(UTC)).id)


def compare(settings: Settings, tenant: str, one: str, other: str) -> tuple[dict[str, Any], str]:
    """Return what tells two versions apart, and the same for a terminal.

    Raises
    ------
    UntrustedArtifact
        When the manifest lacks one of them.
    """
    with _registry(settings, tenant) as registry:
        first, second = registry.version(one), registry.version(other)
    told = compared(first, second)
    lines = [f"{'':20}{one}  {other}  difference"]
    lines += [
        f"{name:20}" + "  ".join("-" if value is None else f"{value:.4f}" for value in pair.values())
        for name, pair in told["scores"].items()
    ]
    return told, "\n".join([*lines, f"note: {told['note']}"])


def export(settings: Settings, tenant: str, version_id: str, destination: Path, key: Path | None) -> tuple[dict[str, Any], str]:
    """Write a version, or `CHAMPION`, as an MLflow model, and return where it and its key lie.

    Parameters
    ----------
    settings, tenant, version_id
        As in `show`.
    destination : Path
        A new or empty folder.
    key : Path or None
        The file of the key that signs it; made where it is not there. None lays it beside the folder.

    Raises
    ------
    InvalidValue
        When nothing serves, the destination holds something, or the key would lie within it.
    UntrustedArtifact, SnapshotMismatch
        When the version is not signed, or cannot serve here.
    """
    file = key or destination.with_name(f"{destination.name}.key")
    if file.resolve().is_relative_to(destination.resolve()):
        raise InvalidValue(f"the key must not travel with the model, got {file} in {destination}")
    node = Node(settings)
    with closing(node):
        registry = node.registry(tenant)
        serves = registry.champion() if version_id == CHAMPION else registry.version(version_id)
        if serves is None:
            raise InvalidValue("no version serves yet, so there is no champion to export; name a version")
        secret = key_of(file)
        if secret == node.store.signing_key:
            raise InvalidValue(f"an export needs a key of its own, {file} holds the one that this node signs its models with")
        version = export_model(registry, node.store.blobs, serves.id, destination, secret)
    report = {"version": version.id, "path": str(destination), "key": str(file), "key_fingerprint": fingerprint(secret)}
    words = (
        f"{version.id} is in {destination}, signed with the key in {file} (fingerprint {report['key_fingerprint']})\n"
        f"whoever loads it needs Foreshock and that key, sent another way: {KEY_VARIABLE}=FILE"
    )
    return report, words


@contextmanager
def _registry(settings: Settings, tenant: str) -> Generator[Registry]:
    node = Node(settings)
    with closing(node):
        yield node.registry(tenant)


@contextmanager
def _changed(settings: Settings, deed: Deed) -> Generator[Registry]:
    """Change who serves, and let the audit log say so."""
    node = Node(settings)
    with closing(node), node.audit.during(deed):
        yield node.registry(deed.tenant)


def _by(who: str) -> str:
    return f"command line, {who}"


def _detail(registry: Registry, version_id: str) -> tuple[dict[str, Any], str]:
    version = registry.version(version_id)
    history = [step for step in registry.steps() if version_id in (step.version, step.before)]
    serves = ", ".join(f"{name} at {horizon}" for horizon, name in version.record.serves.items())
    lines = [
        f"{version.id}  {version.alias}",
        f"serves {serves}",
        f"fitted on {version.record.trained_from.isoformat()} to {version.record.trained_to.isoformat()}",
        *(f"{name} {value:.4f}" for name, value in sorted(version.record.scores.items())),
        *(_line(step) for step in history),
    ]
    return _plain(version) | {"history": [_plain_step(step) for step in history]}, "\n".join(lines)


def _line(step: Step) -> str:
    when = step.at.isoformat(timespec="seconds") if step.at else "at an unknown time"
    how = "judged" if step.action == "refused" else "serves" if step.served else "compared"
    other = f" {'after' if step.served else 'with'} {step.before}" if step.before else ""
    return f"{when}  {step.action.replace('_', ' ')}: {step.version} {how}{other}, by {step.who}" + (
        f": {step.why}" if step.why else ""
    )


def _plain(version: ModelVersion) -> dict[str, Any]:
    return json.loads(version.to_json())


def _plain_step(step: Step) -> dict[str, Any]:
    plain = {name: getattr(step, name) for name in Step.__slots__}
    return plain | {"at": step.at.isoformat() if step.at else None}
