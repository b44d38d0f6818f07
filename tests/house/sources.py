"""What the house tests look at: the files of the repository and their syntax trees, read once."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

__all__ = ["PACKAGES", "ROOT", "functions", "modules", "public_methods", "python_files", "repository_files", "tree"]

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("app", "models", "features", "training")
NOT_OURS = {"build", "data", "dist", "__pycache__", "site"}
"""Folders that commands make; `.gitignore` names them."""


@cache
def repository_files() -> tuple[Path, ...]:
    """Return every file of the repository, without what commands make."""

    def walk(folder: Path) -> Iterator[Path]:
        for path in sorted(folder.iterdir()):
            hidden = path.name.startswith(".") and path.name not in {".ci", ".gitignore"}
            if hidden or path.name in NOT_OURS or path.name.endswith(".egg-info"):
                continue
            if path.is_dir():
                yield from walk(path)
            else:
                yield path

    return tuple(walk(ROOT))


def python_files(*folders: str) -> list[Path]:
    """Return the Python files below top-level folders."""
    return [path for path in repository_files() if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in folders]


def modules() -> list[Path]:
    """Return the modules of the four packages, `__init__` files too."""
    return python_files(*PACKAGES)


@cache
def tree(path: Path) -> ast.Module:
    """Return a file's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def functions(path: Path) -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef, int]]:
    """Yield every function with the lines of its body, the docstring left out."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            yield node, (node.end_lineno or node.lineno) - body[0].lineno + 1 if body else 0


def public_methods(node: ast.ClassDef) -> list[str]:
    """Return the names of a class's public methods; properties are not methods to a caller."""
    return [
        item.name
        for item in node.body
        if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)
        and not item.name.startswith("_")
        and not any(
            ast.unparse(mark) in {"property", "cached_property"} or ".setter" in ast.unparse(mark)
            for mark in item.decorator_list
        )
    ]
