"""`tests/README.md` goes by what is tested: all that it names is there, and holds tests."""

from __future__ import annotations

import re

import pytest

from tests.house.sources import ROOT

CATEGORIES = (
    "Basic functions",
    "Error handling",
    "ML prediction",
    "Distributed coordination",
    "Monitoring",
    "Performance optimisations",
    "End-to-end workflow",
    "Recovery workflow",
    "Concurrency",
    "Timeouts",
    "Resource clean-up",
)
PAGE = (ROOT / "tests" / "README.md").read_text(encoding="utf-8")
SECTIONS = {part.partition("\n")[0]: part for part in PAGE.split("\n## ")[1:]}
NO_TESTS = {"tests/folders"}
"""Named for what they hold."""


def n_tests(name: str) -> int:
    """Return how many test functions a file or folder holds."""
    path = ROOT / name
    files = [path] if path.is_file() else sorted(path.rglob("test_*.py"))
    return sum(len(re.findall(r"^ *def test_", file.read_text(encoding="utf-8"), re.MULTILINE)) for file in files)


def test_the_categories_are_those_of_the_original_list() -> None:
    assert tuple(SECTIONS) == CATEGORIES


@pytest.mark.parametrize("category", CATEGORIES)
def test_what_a_category_names_is_there_and_holds_tests(category: str) -> None:
    named = set(re.findall(r"`(tests/[^`]+)`", SECTIONS[category]))
    assert len(named) >= 3
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
    assert [name for name in sorted(named - NO_TESTS) if n_tests(name) == 0] == []
