"""The core imports what its layer allows. `make check` holds the layers themselves with import-linter."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.house.sources import ROOT, modules, python_files, tree


def imported(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, (node.module or "").partition(".")[0]


def test_features_import_numpy_and_the_standard_library_alone() -> None:
    allowed = {"features", "numpy", *sys.stdlib_module_names}
    found = [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in python_files("features")
        for line, name in imported(path)
        if name not in allowed
    ]
    assert found == []


def test_nothing_is_imported_inside_a_function() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in modules()
        for function in ast.walk(tree(path))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert found == []
