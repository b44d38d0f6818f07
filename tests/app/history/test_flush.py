"""Commits of a folder reach the disk, with the files that they name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.history.delta import DeltaHistory
from tests.history_rows import facts, span


def test_every_file_of_a_commit_and_every_folder_above_it_is_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: set[Path] = set()
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        flushed.add(Path(os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    history = DeltaHistory(tmp_path / "history")
    history.append({"facts": facts(span(0, 1, 2))}, {0: 2})
    table = tmp_path / "history" / "facts"
    wanted = {*table.rglob("*.parquet"), *table.rglob("*1.json"), table, table / "_delta_log", table / "day=1970-01-01"}
    assert wanted <= flushed
    flushed.clear()
    history.append({"facts": facts(span(0, 1, 4))}, {0: 4})
    history.optimise()
    joined = {Path(table / file.name) for file in table.rglob("*2.json")}
    assert {file.name for file in joined} <= {file.name for file in flushed}
    assert any(file.suffix == ".parquet" for file in flushed)
