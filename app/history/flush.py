"""Commits on their way to the disk, where history lies in a folder; Delta leaves that to the operating system.

`app.history.delta` calls it after each commit.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from app.store.folder import sync_folder

__all__ = ["flush"]


def flush(folder: Path, first: int, last: int) -> None:
    """Flush commits and their files to disk, which Delta leaves to the operating system.

    The worker checkpoints next: without this a power cut could keep the checkpoint and lose the rows.
    """
    log = folder / "_delta_log"
    files = [log / f"{version:020}.json" for version in range(first, last + 1)]
    adds = [json.loads(line).get("add") for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    files += [folder / add["path"] for add in adds if add is not None]
    for file in files:
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
    for parent in {file.parent for file in files} | {folder, folder.parent}:
        sync_folder(parent)
