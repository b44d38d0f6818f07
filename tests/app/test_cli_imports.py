"""Commands import what they need and no more, each in a process of its own: what is heavy takes seconds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from app.cli import app
from app.opening import open_alone
from app.settings import load_settings
from tests.house.sources import ROOT
from tests.nodes import run_node
from tests.recorded import recorded, write_lines

HEAVY = {
    "apprise", "cryptography", "deltalake", "fastapi", "grpc", "joblib", "matplotlib", "nicegui", "opentelemetry", "pandas", "pyarrow",
    "river", "scipy", "sklearn", "starlette", "uvicorn",
}  # fmt: skip
"""Packages of the service that no command needs which only says something, or looks at settings and tokens."""

LOADED = """
import json, sys
from app.cli import main
try:
    main()
except SystemExit as ended:
    code = ended.code or 0
else:
    code = 0
print(json.dumps({"code": code, "modules": sorted(sys.modules)}), file=sys.stderr)
"""


def loaded(*arguments: object) -> set[str]:
    """Run a command in a process of its own, and return the modules that it had imported at its end."""
    command = [sys.executable, "-c", LOADED, *map(str, arguments)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found = json.loads(ran.stderr.splitlines()[-1])
    assert found["code"] == 0, ran.stderr
    assert ran.stdout, "what it was asked for"
    return set(found["modules"])


def commands() -> list[str]:
    """Return the commands of the first level."""
    root: Any = get_command(app)
    return sorted(root.commands)


def test_help_imports_no_part_of_the_service() -> None:
    found = loaded("--help")
    assert found & (HEAVY | {"httpx", "nats", "numpy", "pydantic"}) == set()
    assert {name for name in found if name.startswith(("models", "training", "app.api", "app.store.sqlite"))} == set()


@pytest.mark.parametrize("command", commands())
def test_help_of_a_command_imports_no_part_of_the_service(command: str) -> None:
    found = loaded(command, "--help")  # typer itself asks pydantic for types
    assert found & (HEAVY | {"httpx", "nats", "numpy", "pydantic_settings"}) == set()


@pytest.mark.parametrize("arguments", ["version", "check-config --json", "cluster-config n1 --out {}", "tokens list --data {}"])
def test_a_light_command_imports_no_learning_no_history_and_no_web_framework(arguments: str, tmp_path: Path) -> None:
    open_alone(load_settings(data=tmp_path)).close()
    assert loaded(*arguments.format(tmp_path).split()) & HEAVY == set()


def test_what_needs_the_service_imports_it(tmp_path: Path) -> None:
    open_alone(load_settings(data=tmp_path)).close()
    assert loaded("models", "list", "--data", tmp_path) >= HEAVY - {"matplotlib", "nicegui"}, (
        "or the names above are not those of packages"
    )


def test_sending_a_recording_imports_no_learning_no_history_and_no_web_framework(tmp_path: Path) -> None:
    lines = write_lines(tmp_path / "lines.jsonl", recorded(1))
    with run_node(tmp_path / "data") as running:
        found = loaded("replay", lines, "--to", running.served.otlp_http)
    assert found & HEAVY == {"grpc", "opentelemetry"}, "what reads and names OTLP"
