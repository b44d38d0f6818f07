"""Two builds in two folders at two times give the same bytes."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from deploy.wheel import build
from tests.house.sources import ROOT

pytestmark = pytest.mark.slow

LATER_S = 86_400 * 400


def copied(folder: Path, *, mode: int, later_s: float) -> Path:
    """Return a copy of what a wheel is made of, with other times and modes, and with what builds and runs leave behind."""
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    for name in ("app", "models", "features", "training"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    for path in folder.rglob("*"):
        at = path.stat().st_mtime + later_s
        os.utime(path, (at, at))
        if path.is_file():
            path.chmod(mode)
    (folder / "build" / "lib" / "app").mkdir(parents=True)
    (folder / "build" / "lib" / "app" / "gone.py").write_text("left = 'over'\n")
    (folder / "app" / "__pycache__").mkdir()
    (folder / "app" / "__pycache__" / "gone.cpython-311.pyc").write_bytes(b"x")
    return folder


@pytest.mark.parametrize("compiler", [pytest.param("cc", marks=pytest.mark.system("cc")), "/bin/false"])
def test_two_builds_give_the_same_bytes(compiler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = copied(tmp_path / "one", mode=0o644, later_s=0)
    second = copied(tmp_path / "a" / "folder of another length", mode=0o600, later_s=LATER_S)
    wheels: list[Path] = []
    for number, source in enumerate((first, second)):
        given = {**os.environ, "CC": compiler, "SOURCE_DATE_EPOCH": "1790000000", "TZ": ("UTC", "Asia/Tokyo")[number]}
        scratch = tmp_path / f"scratch{number}" / ("x" * 20 * (number + 1))
        scratch.mkdir(parents=True)
        monkeypatch.setattr(tempfile, "tempdir", str(scratch))
        wheels.append(build(tmp_path / f"out{number}", source=source, environment=given))
    assert wheels[0].name == wheels[1].name
    with zipfile.ZipFile(wheels[0]) as one, zipfile.ZipFile(wheels[1]) as other:
        held = {info.filename: one.read(info) for info in one.infolist()}
        assert [name for name in held if held[name] != other.read(name)] == []
        assert {info.date_time for info in one.infolist()} == {(2026, 9, 21, 14, 13, 20)}
        assert {stat.S_IMODE(info.external_attr >> 16) for info in one.infolist()} <= {0o644, 0o755, 0o664}
    assert sha256(wheels[0].read_bytes()).digest() == sha256(wheels[1].read_bytes()).digest()
    compiled = [name for name in held if name.endswith(".so")]
    assert bool(compiled) == (compiler == "cc")
    for name, data in held.items():
        assert not name.endswith((".pyc", ".c", ".h")), name
        assert "gone" not in name
        assert str(tmp_path).encode() not in data, name
    assert {"app/cli.py", "app/dashboard/static", "features/windows.py"} <= {*held, *(str(Path(n).parent) for n in held)}


def test_what_cannot_be_built_says_why(tmp_path: Path) -> None:
    source = copied(tmp_path / "broken", mode=0o644, later_s=0)
    (source / "pyproject.toml").write_text("[project]\nname = 3\n")
    with pytest.raises(SystemExit, match=r"the wheel was not built:(?s:.*)name"):
        build(tmp_path / "out", source=source)
    assert not (tmp_path / "out").exists()


def test_the_time_is_that_of_the_commit_where_none_is_given(tmp_path: Path) -> None:
    source = copied(tmp_path / "plain", mode=0o644, later_s=0)
    given = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}
    given |= {"GIT_CEILING_DIRECTORIES": str(tmp_path), "CC": "/bin/false"}
    with zipfile.ZipFile(build(tmp_path / "out", source=source, environment=given)) as wheel:
        assert {info.date_time[0] for info in wheel.infolist()} == {2020}, "a copy without git has no better time"
