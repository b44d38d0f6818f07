"""Build the wheel so that the same commit gives the same bytes, wherever and whenever it is built.

``python -m deploy.wheel FOLDER`` (`make wheel`) copies what a wheel is made of to a new folder, so that nothing left over gets in, and builds
there with the locked setuptools, no isolation and no network. Times are those of the commit (or `SOURCE_DATE_EPOCH`), modes are set, and the compiler is
told to leave the folder's name out of the scanner.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from deploy.locked import ROOT

__all__ = ["build"]

_MADE_OF = ("pyproject.toml", "README.md", "LICENSE", "app", "models", "features", "training")
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.so", "*.pyc", "*.egg-info")
_UNKNOWN = "1577836800"  # 2020 begins: of a copy without git no better time is known, and zip has none before 1980


def build(folder: Path, *, source: Path = ROOT, environment: Mapping[str, str] | None = None) -> Path:
    """Build the wheel into a folder and return its path.

    Parameters
    ----------
    folder : Path
        Made where it is not there; a wheel of the same name is replaced.
    source : Path
        The repository or a copy of it.
    environment : mapping, optional
        Of the build; that of this process by default.

    Raises
    ------
    SystemExit
        When it cannot be built.
    """
    given = dict(os.environ if environment is None else environment)
    with tempfile.TemporaryDirectory() as scratch:
        copy, made = Path(scratch).resolve() / "source", Path(scratch) / "wheels"
        copy.mkdir()
        for name in _MADE_OF:
            if (source / name).is_dir():
                shutil.copytree(source / name, copy / name, ignore=_LEFT_OUT, symlinks=True)
            else:
                shutil.copy2(source / name, copy / name)
        for path in copy.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        given["SOURCE_DATE_EPOCH"] = given.get("SOURCE_DATE_EPOCH") or _committed(source)
        # The name of the folder would be in the scanner's debug information and in what __FILE__ says.
        given["CFLAGS"] = f"{given.get('CFLAGS', '')} -ffile-prefix-map={copy}=. -g0".strip()
        given["PYTHONHASHSEED"] = "0"
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps"]
        command += ["--no-build-isolation", "--no-cache-dir", "--wheel-dir", str(made), str(copy)]
        # Our own interpreter and arguments, no shell.
        answer = subprocess.run(command, env=given, capture_output=True, text=True, check=False)  # noqa: S603 - no shell  # nosec B603
        if answer.returncode:
            raise SystemExit(f"the wheel was not built:\n{answer.stdout}{answer.stderr}")
        (wheel,) = made.glob("*.whl")
        folder.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy2(wheel, folder / wheel.name))


def _committed(source: Path) -> str:
    """Return when the commit was made that is checked out, in seconds since the epoch."""
    git = shutil.which("git")
    if git is None:
        return _UNKNOWN
    command = [git, "-C", str(source), "log", "-1", "--format=%ct"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - no shell  # nosec B603
    return answer.stdout.strip() or _UNKNOWN


def main(arguments: list[str]) -> None:
    """Build into the folder that is named."""
    if len(arguments) != 1:
        raise SystemExit(f"name the folder to build into, got {arguments}")
    print(build(Path(arguments[0])))


if __name__ == "__main__":
    main(sys.argv[1:])
