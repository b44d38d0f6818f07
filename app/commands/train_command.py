"""``foreshock train``: one training run in the foreground, on a folder that nobody serves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.folder import Folder
from app.settings import Settings
from training.shadow import AT_ONCE

__all__ = ["train"]


def train(settings: Settings, tenant: str, progress: Callable[[float, str], None]) -> tuple[dict[str, Any], str]:
    """Train, register and, if the gate says so, promote; where nothing runs there is nothing to compare it by.

    Returns
    -------
    report : dict
        The evaluation, the version and whether it serves.
    table : str
        The same for a terminal.

    Raises
    ------
    InvalidValue
        When history does not suffice.
    """
    with Folder(settings, tenant) as folder:
        dataset = folder.dataset(progress=lambda share: progress(0.6 * share, "reading history"))
        progress(0.6, "training")
        trained = folder.train(dataset)
        version = folder.register(trained, "foreshock train", AT_ONCE).id
    progress(1.0, "training")
    summary = {"model_version": version, "promoted": trained.promote, "incidents": trained.incidents, "report": trained.report}
    kept = f"kept as candidate; `foreshock models promote {version}` lets it serve all the same"
    return summary, f"{trained.table}\nmodel {version}: {'serves' if trained.promote else kept}"
