"""Nothing unfinished without an issue, and nothing of the machine it was written on."""

from __future__ import annotations

import json
import re

from tests.house.sources import ROOT, repository_files

UNFINISHED = re.compile(r"TO[D]O(?!\(#\d+\))|FIX[M]E|X[X]X\b")
"""Written so that it does not find itself."""
MACHINE = re.compile(
    r"files\.pythonhosted\.|pypi\.(?:org|python)|registry\.npmjs|index[-]url *=|https?://\S+/[s]imple\b"
    r"|(?<![\w.~-])/(?:[w]ork|[r]oot|[o]pt/wheels)/|/tmp/[v]/"
)
"""Addresses of package registries, and folders that only one machine has."""
STATE_THE_RULE = {"pyproject.toml", "tests/house/test_text.py"}


def lines_that(pattern: re.Pattern[str]) -> list[str]:
    found: list[str] = []
    for path in repository_files():
        name = str(path.relative_to(ROOT))
        if name in STATE_THE_RULE or b"\0" in path.read_bytes()[:1024]:
            continue
        lines = path.read_text(encoding="utf-8").splitlines()
        found += [f"{name}:{number}: {line.strip()}" for number, line in enumerate(lines, 1) if pattern.search(line)]
    return found


def test_what_is_unfinished_names_its_issue() -> None:
    assert lines_that(UNFINISHED) == []


def test_no_file_names_a_registry_or_a_folder_of_one_machine() -> None:
    assert lines_that(MACHINE) == []


def test_notebooks_are_kept_without_outputs() -> None:
    notebooks = [path for path in repository_files() if path.suffix == ".ipynb"]
    cells = [cell for path in notebooks for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]
    assert cells
    assert [cell["source"] for cell in cells if cell.get("outputs") or cell.get("execution_count")] == []


def test_the_rules_find_what_they_are_for() -> None:
    unnumbered = "# TO" + "DO: later"
    assert UNFINISHED.search(unnumbered)
    assert UNFINISHED.search("# TO" + "DO(#12): later") is None
    assert MACHINE.search("see /wo" + "rk/main")
    assert MACHINE.search("https://mirror.example/sim" + "ple")
    assert MACHINE.search("./work/x") is None
