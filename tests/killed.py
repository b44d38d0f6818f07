"""Programs that a test starts and kills at a moment of its choosing."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

__all__ = ["run_and_kill"]

ROOT = Path(__file__).parent.parent


def run_and_kill(program: str, arguments: Sequence[object], *, after_lines: int) -> list[str]:
    """Run a Python program, kill it (SIGKILL) once it has printed some lines, and return every whole line it printed.

    A program that ends by itself before fails the test.
    """
    environment = dict(os.environ, PYTHONPATH=str(ROOT), PYTHONUNBUFFERED="1")
    command = [sys.executable, "-c", program, *map(str, arguments)]
    lines: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process:
        guard = threading.Timer(60, process.kill)
        guard.start()
        assert process.stdout is not None
        for line in process.stdout:
            if line.endswith("\n"):
                lines.append(line.strip())
            if len(lines) == after_lines:
                process.kill()  # what it prints until the signal arrives is read too
        guard.cancel()
    assert len(lines) >= after_lines, f"the program ended after {len(lines)} lines"
    return lines
