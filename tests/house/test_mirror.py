"""Tests stand where the code stands: `features/windows.py` is tested by `tests/features/test_windows.py`."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.house.sources import ROOT, modules, tree

TESTED_ELSEWHERE: dict[str, str] = {
    "app/store/contract.py": "protocols; every implementation goes through tests/contracts",
}
"""Modules without a test file of their own, each with the reason."""


def holds_code(path: Path) -> bool:
    return any(
        isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and not (len(node.body) == 1 or all(isinstance(item, ast.Expr) for item in node.body))
        for node in ast.walk(tree(path))
    )


def mirror(path: Path) -> Path:
    return ROOT / "tests" / path.relative_to(ROOT).parent / f"test_{path.name}"


def test_every_module_with_code_has_its_test_file() -> None:
    named = {path: str(path.relative_to(ROOT)) for path in modules() if path.name != "__init__.py"}
    missing = [name for path, name in named.items() if holds_code(path) and not mirror(path).exists()]
    untested = sorted(set(missing) - set(TESTED_ELSEWHERE))
    assert not untested, "without a test file:\n" + "\n".join(untested)


def test_exceptions_name_modules_that_exist_and_have_no_test_file() -> None:
    stale = [name for name in TESTED_ELSEWHERE if not (ROOT / name).exists() or mirror(ROOT / name).exists()]
    assert stale == []
