"""The core imports what its layer allows, and one module unpickles. `make check` holds the layers themselves with import-linter."""

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


WHEN_CALLED = {
    "app/cli.py": "a command imports what it runs with, so that no other command waits for that",
    "app/commands/models_cli.py": "as app/cli.py",
    "app/commands/tokens_cli.py": "as app/cli.py",
    "app/own_log.py": "the rules of secrets with the first line that is written, for commands that write none",
}
"""Modules that import inside functions, each with the reason; `tests/app/test_cli_imports.py` says what they save."""


def test_nothing_is_imported_inside_a_function_but_by_commands() -> None:
    found = {
        str(path.relative_to(ROOT))
        for path in modules()
        for function in ast.walk(tree(path))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert found == set(WHEN_CALLED)


PICKLES = {"pickle", "_pickle", "cloudpickle", "copyreg", "dill", "marshal", "shelve"}
"""Modules that make objects of bytes."""


def unpickles(path: Path) -> Iterator[int]:
    """Yield the lines at which a module could make objects of bytes."""
    yield from (line for line, name in imported(path) if name in PICKLES)
    for node in ast.walk(tree(path)):
        match node:
            case ast.Attribute(attr="read_pickle") | ast.Attribute(value=ast.Name(id="joblib"), attr="load"):
                yield node.lineno
            case ast.ImportFrom(module="joblib") if any(alias.name == "load" for alias in node.names):
                yield node.lineno
            case ast.keyword(arg="allow_pickle", value=ast.expr() as value) if ast.unparse(value) != "False":
                yield value.lineno
            case _:
                pass


def test_only_the_registry_unpickles_and_in_one_place() -> None:
    found = [str(path.relative_to(ROOT)) for path in modules() for _ in unpickles(path)]
    assert found == ["models/registry.py"]
