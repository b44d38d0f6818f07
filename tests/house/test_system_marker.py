"""A test that needs a system program is skipped with a reason, and fails where the program is required."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.house.sources import ROOT

PROBE = """
import pytest


@pytest.mark.system("a-program-nobody-has")
def test_that_needs_it():
    assert True


@pytest.mark.system("python3")
def test_that_has_it():
    assert True
"""


def run_probe(folder: Path, *, required: bool) -> str:
    shutil.copy(ROOT / "tests" / "conftest.py", folder / "conftest.py")
    (folder / "test_probe.py").write_text(PROBE)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = system(name)\n")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("FORESHOCK_", "COV_", "PYTEST_"))}
    environment |= {"FORESHOCK_REQUIRE_SYSTEM": "1"} if required else {}
    environment["PYTHONPATH"] = str(ROOT)
    command = [sys.executable, "-m", "pytest", "-ra", "-p", "no:cacheprovider", "."]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False).stdout


def test_absent_program_skips_and_says_which(tmp_path: Path) -> None:
    output = run_probe(tmp_path, required=False)
    assert "1 passed, 1 skipped" in output
    assert "needs a-program-nobody-has, not found on PATH" in output


def test_absent_program_fails_where_it_is_required(tmp_path: Path) -> None:
    output = run_probe(tmp_path, required=True)
    assert "FORESHOCK_REQUIRE_SYSTEM=1 allows no skip" in output
    assert "skipped" not in output
