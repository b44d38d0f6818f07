"""``foreshock backup`` and ``foreshock restore``: the whole state of a node on one machine into a folder, and back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.backup import back_up
from app.manifest import Manifest
from app.restore import restore
from app.settings import Settings
from app.store.moving import refuse_moved
from features.errors import InvalidSetting

__all__ = ["backup", "bring_back"]

_CLUSTER = (
    "setting nats_url: the state of a cluster lies with its NATS servers. `nats stream backup` saves FS_STATE, OBJ_FS_BLOBS and every FS_LOG_ "
    "stream, with history and signing.key beside them; docs/operations.md, Backup of a cluster, has the order that matters"
)


def backup(settings: Settings, destination: Path, progress: Callable[[float, str], None]) -> tuple[dict[str, Any], str]:
    """Copy a node's data folder, which may be in use.

    Parameters
    ----------
    settings : Settings
        Of the node; with an existing folder.
    destination : Path
        Absent, or an empty folder.
    progress : callable
        Told the share done and a word for what is done.

    Returns
    -------
    report : dict
        What was copied, and the hash of the manifest.
    table : str
        The same for a terminal.

    Raises
    ------
    InvalidSetting
        When the state is not in the folder.
    InvalidValue, StoreFailed
        See `app.backup.back_up`.
    """
    _refuse_cluster(settings)
    refuse_moved(settings.data)
    done = back_up(settings.data, destination, settings.history_url, progress)
    report = _report(done.manifest) | {"backup": str(destination), "manifest_sha256": done.sha256}
    left = [f"setting {name}" for name, is_left in _left_out(settings) if is_left]
    lines = [
        f"backed {report['files']} files up, {report['bytes']} bytes, as of {report['made_at']}",
        f"sha256 of its manifest: {done.sha256}",
        f"not in it: your settings{''.join(f', what {name} names' for name in left)}",
    ]
    others = [str(settings.data / name) for name in done.others]
    lines += [
        f"not in it: {other}, which is or holds a data folder of its own; back that one up with --data" for other in others
    ]
    return report | {"not_included": ["settings file", *left, *(f"folder {other}" for other in others)]}, "\n".join(lines)


def bring_back(
    settings: Settings, source: Path, manifest_sha256: str, progress: Callable[[float, str], None]
) -> tuple[dict[str, Any], str]:
    """Make a backup into the data folder that settings name.

    Parameters
    ----------
    settings : Settings
        Of the node that is to be.
    source : Path
        The backup.
    manifest_sha256 : str
        As `backup` reported it; empty where it was not written down.
    progress : callable
        Told the share done and a word for what is done.

    Returns
    -------
    report : dict
        What was restored.
    table : str
        The same for a terminal.

    Raises
    ------
    InvalidSetting
        When the settings name a cluster.
    InvalidValue, NewerVersion, StoreFailed
        See `app.restore.restore`.
    """
    _refuse_cluster(settings)
    manifest = restore(source, settings.data, progress, manifest_sha256)
    report = _report(manifest) | {"data": str(settings.data), "history_elsewhere": manifest.history_elsewhere}
    lines = [f"restored {report['files']} files into {settings.data}, as of {report['made_at']}"]
    if manifest.history_elsewhere:
        lines.append(
            f"history was at {manifest.history_elsewhere} and is not in the backup: bring its tables back to a time not after the backup's "
            "before the node starts, or what it takes in is passed over up to the offsets that they have recorded"
        )
    lines.append(f"start it with your settings: foreshock serve --data {settings.data}")
    return report, "\n".join(lines)


def _report(manifest: Manifest) -> dict[str, Any]:
    return {
        "made_at": manifest.made_at.isoformat(timespec="seconds"),
        "release": manifest.release,
        "files": len(manifest.files),
        "bytes": sum(entry.n_bytes for entry in manifest.files.values()),
        "history": manifest.history,
    }


def _left_out(settings: Settings) -> list[tuple[str, bool]]:
    return [
        ("signing_key", settings.signing_key is not None),
        ("features.taxonomy", settings.features.taxonomy is not None),
        ("history_url", bool(settings.history_url)),
    ]


def _refuse_cluster(settings: Settings) -> None:
    if settings.nats_url:
        raise InvalidSetting(_CLUSTER)
