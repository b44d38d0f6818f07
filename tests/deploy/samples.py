"""What the samples of `deploy/` say of Foreshock's settings and command line, read as their programs read them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from typer.main import get_command

from app.cli import app
from app.settings import Settings
from tests.house.sources import ROOT

__all__ = ["DEPLOY", "HANDOVER_S", "ROLES", "compose", "manifest", "named", "of_file", "parsed", "unknown_settings"]

DEPLOY = ROOT / "deploy"
ROLES = {"ingest", "worker", "api"}
HANDOVER_S = Settings().cluster.handover_s
"""How long a stop may hand partitions over."""
_PREFIX = "FORESHOCK_"


@cache
def compose() -> dict[str, Any]:
    """Return the compose file with its merges done."""
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


@cache
def manifest() -> list[dict[str, Any]]:
    """Return the objects of the Kubernetes manifest."""
    return yaml.safe_load((DEPLOY / "kubernetes" / "foreshock.yaml").read_text())["items"]


def named(kind: str, name: str) -> dict[str, Any]:
    """Return an object of the manifest."""
    return next(item for item in manifest() if item["kind"] == kind and item["metadata"]["name"] == name)


def of_file(path: Path) -> dict[str, str]:
    """Return the variables of an environment file of systemd."""
    found = re.findall(r"^(\w+)=(.*)$", path.read_text(), re.MULTILINE)
    return {name: value.strip("'\"") for name, value in found}


def unknown_settings(environment: Mapping[str, str]) -> list[str]:
    """Return the variables that look like settings and are none."""
    return [name for name in environment if name.startswith(_PREFIX) and not _is_setting(name.removeprefix(_PREFIX).lower())]


def _is_setting(name: str) -> bool:
    model: Any = Settings
    for part in name.split("__"):
        if not (isinstance(model, type) and issubclass(model, BaseModel) and part in model.model_fields):
            return False
        model = model.model_fields[part].annotation
    return True


def parsed(arguments: Sequence[str]) -> dict[str, Any]:
    """Return the options of a command as the command line takes them.

    Raises
    ------
    click.UsageError
        When there is no such command or option.
    """
    with get_command(app).make_context("foreshock", list(arguments)) as root:
        name, command, rest = root.command.resolve_command(root, [*root._protected_args, *root.args])  # type: ignore[attr-defined]
        with command.make_context(name, rest, parent=root) as found:
            return found.params
