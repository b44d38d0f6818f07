"""Code comes out of data in one place, behind the signature, and every other way to do that is listed with its reason."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.house.sources import PACKAGES, ROOT, python_files, tree

LOADERS = {
    "pickle", "cPickle", "_pickle", "cloudpickle", "dill", "marshal", "shelve", "jsonpickle", "torch", "tensorflow", "keras", "onnxruntime",
    "skops", "xmlrpc", "yaml",
}  # fmt: skip
"""Modules that make objects of bytes, and may run what the bytes say."""

RUNNERS = {"eval", "exec", "compile", "__import__", "load_pickle", "read_pickle", "to_pickle", "loads_pickle", "execfile"}
"""Functions that run text or unpickle, by whatever name they are reached."""

ALLOWED = {
    (
        "models/registry.py",
        "joblib.load",
    ): "after signature, hash, schema and versions were checked; tests/models/test_forged_artifacts.py",
    ("app/main.py", "import_module"): "of a name that stands there: the dashboard, only where it is on",
    ("app/parallel.py", "import_module"): "of names that stand there: Dask and Ray, which are extras",
    ("app/entrance.py", "import_module"): "of a name that stands there: logins by OpenID Connect, whose library is an extra",
    ("app/exports/mlflow_model.py", "import_module"): "of names that stand there: MLflow, which is an extra",
    ("training/charts.py", "import_module"): "of names that stand there: parts of matplotlib, slow to import",
}
"""Places in what is installed, each with what keeps it harmless."""

OF_NAMES = {"app/main.py", "app/entrance.py", "app/parallel.py", "app/exports/mlflow_model.py", "training/charts.py"}

BESIDE = {
    "benchmarks/changed_world.py": "what the same benchmark computed before, in a folder that the caller names",
    "benchmarks/feedback.py": "as benchmarks/changed_world.py",
    "benchmarks/shop_faults.py": "as benchmarks/changed_world.py",
    "benchmarks/serve_ensemble.py": "an artifact that benchmarks/serve.py just wrote, in other servers",
    "benchmarks/ingest_report.py": "imports a part of matplotlib by its name",
    "docs/generate.py": "imports the packages that it documents",
}
"""What is not installed with the package and unpickles or imports by name, each with the reason."""


def called(node: ast.Call) -> str:
    """Return the dotted name of what is called."""
    return ast.unparse(node.func)


def imported(path: Path) -> set[str]:
    """Return the modules that a file imports, by their first names and whole."""
    found: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return found | {name.partition(".")[0] for name in found}


def ways(path: Path) -> Iterator[str]:
    """Yield every way in which a file makes code or objects of data."""
    modules = imported(path)
    yield from sorted(modules & LOADERS)
    for node in ast.walk(tree(path)):
        if not isinstance(node, ast.Call):
            continue
        name = called(node)
        last = name.rpartition(".")[2]
        by_name = name in {"joblib.load", "import_module", "importlib.import_module"} or (
            name == "load" and "joblib" in modules
        )
        if by_name or name in RUNNERS or (last in RUNNERS - {"compile", "eval", "exec"} and "." in name):
            yield name
        elif last in {"load", "fromfile", "memmap"} and name.startswith(("np.", "numpy.")):
            given = {word.arg: ast.unparse(word.value) for word in node.keywords}
            if given.get("allow_pickle") != "False":
                yield f"{name} that may unpickle"


def test_what_is_installed_unpickles_in_one_place() -> None:
    found = {(str(path.relative_to(ROOT)), way) for path in python_files(*PACKAGES) for way in ways(path)}
    assert found == set(ALLOWED)


def test_what_is_imported_by_name_is_a_name_that_stands_in_the_file() -> None:
    """A literal, or a parameter of a private function that only literals are given to."""
    for name in OF_NAMES:
        module = tree(ROOT / name)
        literals = {
            argument.value
            for node in ast.walk(module)
            if isinstance(node, ast.Call)
            for argument in node.args
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
        }
        calls = [node for node in ast.walk(module) if isinstance(node, ast.Call) and called(node) == "import_module"]
        assert calls
        for call in calls:
            (argument,) = call.args
            if isinstance(argument, ast.Constant):
                continue
            (function,) = [one for one in ast.walk(module) if isinstance(one, ast.FunctionDef) and call in set(ast.walk(one))]
            assert function.name.startswith("_"), name
            assert isinstance(argument, ast.Name)
            assert argument.id in {one.arg for one in function.args.args}
            given = [node.args[0] for node in ast.walk(module) if isinstance(node, ast.Call) and called(node) == function.name]
            assert given
            assert all(isinstance(one, ast.Constant) and one.value in literals for one in given), name


def test_what_is_beside_the_package_is_listed_with_its_reason() -> None:
    found = {str(path.relative_to(ROOT)) for path in python_files("benchmarks", "deploy", "docs") if set(ways(path)) - {"yaml"}}
    assert sorted(found - set(BESIDE)) == []
    assert sorted(name for name in BESIDE if not (ROOT / name).exists()) == []


def test_yaml_is_read_without_tags_that_make_objects() -> None:
    loose = re.compile(r"yaml\.(?:load|unsafe_load|full_load|load_all|unsafe_load_all|full_load_all)\(")
    assert [
        str(path.relative_to(ROOT))
        for path in python_files(*PACKAGES, "tests", "benchmarks", "deploy", "docs")
        if loose.search(path.read_text(encoding="utf-8")) and path != Path(__file__)
    ] == []


def test_the_rule_finds_what_it_is_for(tmp_path: Path) -> None:
    for number, (text, way) in enumerate(
        {
            "import pickle": "pickle",
            "from pickle import loads as read": "pickle",
            "import joblib\njoblib.load('x')": "joblib.load",
            "from joblib import load\nload('x')": "load",
            "import pandas as pd\npd.read_pickle('x')": "pd.read_pickle",
            "import numpy as np\nnp.load('x')": "np.load that may unpickle",
            "import numpy as np\nnp.load('x', allow_pickle=True)": "np.load that may unpickle",
            "eval('1')": "eval",
            "__import__('x')": "__import__",
        }.items()
    ):
        path = tmp_path / f"{number}.py"
        path.write_text(text, encoding="utf-8")
        assert way in set(ways(path)), text
    harmless = tmp_path / "harmless.py"
    harmless.write_text(
        "import re, numpy as np\nre.compile('x')\nnp.load('x', allow_pickle=False)\nmodel.eval()", encoding="utf-8"
    )
    assert list(ways(harmless)) == []
