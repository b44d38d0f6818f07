"""Modules, functions and classes stay small enough to read."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.house.sources import ROOT, functions, modules, public_methods, python_files, tree

LONGEST_MODULE = 400
LONGEST_BODY = 50
LONG_BODIES_SHARE = 0.03
MOST_PUBLIC_METHODS = 12


def test_no_module_is_longer_than_400_lines() -> None:
    sizes = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in files_of_code()}
    assert {name: size for name, size in sizes.items() if size > LONGEST_MODULE} == {}


def test_hardly_any_function_body_is_longer_than_50_lines() -> None:
    sizes = [
        (size, f"{path.relative_to(ROOT)}:{node.lineno} {node.name}") for path in modules() for node, size in functions(path)
    ]
    long = sorted((entry for entry in sizes if entry[0] > LONGEST_BODY), reverse=True)
    assert len(long) <= LONG_BODIES_SHARE * len(sizes), f"{len(long)} of {len(sizes)} functions are too long: {long}"


def test_no_class_has_more_than_12_public_methods() -> None:
    counts = {
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}": len(public_methods(node))
        for path in modules()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef)
    }
    assert {name: count for name, count in counts.items() if count > MOST_PUBLIC_METHODS} == {}


def files_of_code() -> list[Path]:
    in_c = [path for kind in ("*.c", "*.h") for path in (ROOT / "app").rglob(kind)]
    return in_c + python_files("app", "models", "features", "training", "deploy", "docs", "benchmarks")
