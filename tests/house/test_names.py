"""Names say what a thing is; words that fit everything are not allowed."""

from __future__ import annotations

import ast
import re

from tests.house.sources import PACKAGES, ROOT, python_files, tree

EMPTY_WORDS = ("Manager", "Processor", "Handler", "Helper", "Service", "Engine", "Util", "Utils", "Common", "Misc", "Base")
SUFFIX = re.compile(rf"^(?!_?Service$).*({'|'.join(EMPTY_WORDS)})$")
"""`Service` alone is a noun of the glossary; `AlertService` says nothing."""
FILE_WORDS = {word.lower() + plural for word in EMPTY_WORDS for plural in ("", "s")}


def test_no_class_ends_in_a_word_that_fits_everything() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in python_files(*PACKAGES, "tests", "benchmarks", "deploy", "docs")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef) and SUFFIX.match(node.name)
    ]
    assert found == []


def test_no_file_or_folder_is_named_after_such_a_word() -> None:
    found = [
        str(path.relative_to(ROOT))
        for path in python_files(*PACKAGES, "tests", "benchmarks", "deploy", "docs")
        for part in path.relative_to(ROOT).with_suffix("").parts
        if set(part.split("_")) & FILE_WORDS
    ]
    assert found == []


def test_the_rule_knows_good_words_from_empty_ones() -> None:
    assert SUFFIX.match("AlertManager")
    assert SUFFIX.match("_AlertService")
    assert SUFFIX.match("Handler")
    assert SUFFIX.match("_Service") is None
    assert SUFFIX.match("Database") is None
    assert "utils" in FILE_WORDS
