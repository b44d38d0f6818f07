"""`foreshock serve`: where it listens is said, and a signal ends it cleanly."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.house.sources import ROOT
from tests.nodes import DEADLINE_S

PORTS = {f"FORESHOCK_SERVER__{name}_PORT": "0" for name in ("OTLP_HTTP", "OTLP_GRPC", "API")}


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_serve_says_where_it_listens_and_ends_on_a_signal(tmp_path: Path, ending: signal.Signals) -> None:
    command = [sys.executable, "-m", "app.cli", "serve", "--data", str(tmp_path)]
    environment = dict(os.environ, COLUMNS="200", **PORTS)
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        shown: dict[str, str] = {}
        while "REST" not in shown:
            name, _, address = process.stderr.readline().strip().partition(" ")
            assert name, "the service ended"
            shown[name] = address.strip()
        with urllib.request.urlopen(shown["REST"], timeout=DEADLINE_S) as answer:
            assert json.loads(answer.read())["items"] == []
        process.send_signal(ending)
        assert process.wait(DEADLINE_S) == 0
        assert "Traceback" not in process.stderr.read()
