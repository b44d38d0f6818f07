"""The C scanner is built wherever it can be: `optional` in pyproject.toml hides a compiler's errors, these tests do not."""

from __future__ import annotations

import os
import shlex
import subprocess
import sysconfig
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.house.sources import ROOT

HEADERS = Path(sysconfig.get_path("include"))
BUILT = list((ROOT / "app/ingest").glob("_scan*.so"))


@pytest.fixture(scope="module")
def extension() -> dict[str, Any]:
    """Return the extension as `pyproject.toml` declares it; skip where the headers of Python are absent."""
    if not (HEADERS / "Python.h").exists():
        reason = f"needs Python.h in {HEADERS}"
        if os.environ.get("FORESHOCK_REQUIRE_SYSTEM") == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (declared,) = project["tool"]["setuptools"]["ext-modules"]
    return declared


def compiler_says(extension: dict[str, Any]) -> str:
    """Return what the compiler reports of the extension's source under the flags that builds use."""
    compiler = shlex.split(os.environ.get("CC", "cc"))
    macros = [f"-D{name}={value}" for name, value in extension["define-macros"]]
    command = [*compiler, *extension["extra-compile-args"], *macros, f"-I{HEADERS}", "-fsyntax-only", *extension["sources"]]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stderr


@pytest.mark.system("cc")
def test_scanner_compiles_without_a_warning(extension: dict[str, Any]) -> None:
    assert compiler_says(extension) == ""


@pytest.mark.system("cc")
def test_scanner_is_built_from_the_source_as_it_is(extension: dict[str, Any]) -> None:
    assert BUILT, "a compiler is here, but the scanner is not built: run `make setup`"
    changed = max((ROOT / part).stat().st_mtime for part in (*extension["sources"], *extension["depends"]))
    stale = [path.name for path in BUILT if path.stat().st_mtime < changed]
    assert stale == [], "built before the source changed: run `make setup`"


def test_every_part_of_the_scanner_is_declared(extension: dict[str, Any]) -> None:
    parts = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "app/ingest/scanner").iterdir())
    assert extension["depends"] == parts


@pytest.mark.system("cc")
def test_scanner_stays_inside_the_limited_interface(extension: dict[str, Any]) -> None:
    assert ["Py_LIMITED_API", "0x030B0000"] in extension["define-macros"]
    assert extension["py-limited-api"] is True
    assert {path.name for path in BUILT} == {"_scan.abi3.so"}


def test_sums_are_not_contracted(extension: dict[str, Any]) -> None:
    assert "-ffp-contract=off" in extension["extra-compile-args"]
    assert "-ffast-math" not in extension["extra-compile-args"]
