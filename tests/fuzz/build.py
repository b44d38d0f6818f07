"""Builds the C scanner for fuzzing, beside the one that is installed: under sanitizers, or counting the lines that run.

Takes the flags of `pyproject.toml`, so that what is fuzzed is what is built, with less optimisation and with the checks.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sysconfig
import tomllib
from collections import Counter
from pathlib import Path

__all__ = ["FOLDER", "ROOT", "SANITIZERS", "build", "coverage", "environment"]

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "fuzz"
SANITIZERS = "address,undefined"
_CHECKED = ["-O1", "-g", "-fno-omit-frame-pointer", f"-fsanitize={SANITIZERS}", "-fno-sanitize-recover=all"]
_COUNTED = ["-O0", "-g", "--coverage"]


def _compiler() -> list[str]:
    return shlex.split(os.environ.get("CC", "cc"))


def build(*, counted: bool = False) -> Path:
    """Compile the scanner and return the module's path.

    Parameters
    ----------
    counted : bool
        Count the lines that run, instead of checking addresses and undefined behaviour.

    Raises
    ------
    SystemExit
        When it does not compile.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (extension,) = project["tool"]["setuptools"]["ext-modules"]
    folder = FOLDER / ("counted" if counted else "checked")
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.gc*"):
        old.unlink()
    library = folder / "_scan.abi3.so"
    flags = [flag for flag in extension["extra-compile-args"] if not flag.startswith("-O")]
    macros = [f"-D{name}={value}" for name, value in extension["define-macros"]]
    sources = [str(ROOT / source) for source in extension["sources"]]
    command = [*_compiler(), *flags, *(_COUNTED if counted else _CHECKED), *macros, "-shared", "-fPIC"]
    command += ["-include", str(Path(__file__).with_name("failing.h"))]
    command += [f"-I{sysconfig.get_path('include')}", *sources, "-o", str(library)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the scanner does not compile: {shlex.join(command)}\n{done.stderr}")
    return library


def environment(*, counted: bool = False) -> dict[str, str]:
    """Return the environment of a process that loads what `build` made.

    Every object gets a block of its own from the C library's allocator, which AddressSanitizer replaces and guards. It does not
    look for leaks at the end, where the interpreter's own drown the rest: the worker weighs the heap instead.
    """
    base = os.environ | {"PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1"}
    if counted:
        return base
    library = subprocess.run(
        [*_compiler(), "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    ).stdout.strip()
    if not Path(library).is_absolute():
        raise SystemExit("the compiler has no libasan.so; on Debian it comes with the package gcc")
    return base | {
        "LD_PRELOAD": str(Path(library).resolve()),
        "PYTHONMALLOC": "malloc",
        "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1:allocator_may_return_null=1:detect_stack_use_after_return=1",
        "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:abort_on_error=1",
    }


def coverage() -> str:
    """Return what share of the scanner's lines and branches ran since it was built to count them."""
    folder = FOLDER / "counted"
    notes = [path.name for path in folder.glob("*.gcda")]
    said = subprocess.run(["gcov", "-b", *notes], cwd=folder, capture_output=True, text=True, check=False).stdout
    hit: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for name, figures in re.findall(r"^File '([^']*)'\n((?:.+\n)*)", said, re.MULTILINE):
        if "app/ingest" in name:  # the parts that it includes are files of their own
            for what, share, n in re.findall(
                r"(Lines executed|Branches executed|Taken at least once):([\d.]+)% of (\d+)", figures
            ):
                hit[what] += round(float(share) / 100 * int(n))
                total[what] += int(n)
    return "; ".join(f"{what.lower()}: {hit[what] / n:.2%} of {n}" for what, n in total.items())
