"""Every module says what it is for and what it offers, and what it offers is there."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

from tests.house.sources import ROOT, modules, tree

ALLOWED_IN_INIT = (ast.Import, ast.ImportFrom)


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def assigns_all(node: ast.stmt) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets)


@pytest.mark.parametrize("path", modules(), ids=dotted)
def test_module_says_what_it_is_for(path: Path) -> None:
    assert len((ast.get_docstring(tree(path)) or "").split()) > 3


@pytest.mark.parametrize("path", [path for path in modules() if path.name != "__init__.py"], ids=dotted)
def test_module_lists_its_public_names_once(path: Path) -> None:
    module = importlib.import_module(dotted(path))
    assert any(assigns_all(node) for node in tree(path).body), "a module says in __all__ what it offers; ruff keeps it sorted"
    assert len(set(module.__all__)) == len(module.__all__)
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


@pytest.mark.parametrize("path", [path for path in modules() if path.name == "__init__.py"], ids=dotted)
def test_package_re_exports_and_holds_no_code(path: Path) -> None:
    docstring, *rest = tree(path).body
    assert isinstance(docstring, ast.Expr)
    assert [ast.unparse(node) for node in rest if not isinstance(node, ALLOWED_IN_INIT) and not assigns_all(node)] == []
    package = importlib.import_module(dotted(path))
    assert [name for name in getattr(package, "__all__", []) if not hasattr(package, name)] == []
