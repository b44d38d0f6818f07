"""The OpenTelemetry SDK for JavaScript: installed once by npm, run by node."""

from __future__ import annotations

import json
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp

import pytest

from tests.app.ingest.truth import Truth

__all__ = ["install", "send"]

_HERE = Path(__file__).parent
_TIMEOUT_S = 60


def install(cache: pytest.Cache) -> Path:
    """Return the folder with the SDK and the program, installed unless an earlier run did so.

    The folder is named by the versions and the program, so that a change of either makes a new one.
    """
    sources = [_HERE / "package.json", _HERE / "send.js"]
    name = sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    folder = cache.mkdir("javascript-sdk") / name
    if not folder.exists():
        # Renamed when it is whole, so that an installation that was stopped is not taken for one.
        fresh = Path(mkdtemp(dir=folder.parent))
        for path in sources:
            shutil.copy(path, fresh)
        command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
        subprocess.run(command, cwd=fresh, check=True, capture_output=True, text=True, timeout=300)
        try:
            fresh.rename(folder)
        except OSError:  # another process of the tests was there first
            shutil.rmtree(fresh)
            assert folder.exists()
    return folder


def send(folder: Path, truth: Truth, protocol: str, compression: str, address: str) -> dict[str, dict[str, str]]:
    """Send the whole table; return by span id what the SDK wrote of exceptions that were raised."""
    ended = subprocess.run(
        ["node", "send.js", protocol, compression, address],
        cwd=folder,
        input=truth.as_json(),
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)
