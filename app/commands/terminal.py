"""What commands share: options, a bar while they work, and what they show of what they found, to people or to programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

__all__ = ["TIMES", "ConfigOption", "JsonOption", "answer", "bar", "console"]

TIMES = ["%Y-%m-%d", *(f"%Y-%m-%dT%H:%M{seconds}{zone}" for seconds in ("", ":%S") for zone in ("", "%z"))]
"""How a time may be written."""

ConfigOption = Annotated[Path | None, typer.Option("--config", help="TOML file with settings.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

console = Console(stderr=True)
"""Where people look; standard output is for what was asked for."""


@contextmanager
def bar(quiet: bool) -> Generator[Callable[[float, str], None]]:
    """Show a progress bar on standard error where a person looks at it.

    Parameters
    ----------
    quiet : bool
        Show none.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal, transient=True) as progress:
        task = progress.add_task("", total=1.0)
        yield lambda share, text: progress.update(task, completed=share, description=text)


def answer(report: dict[str, Any], as_json: bool, table: str | None = None) -> None:
    """Print what a command found: one JSON object, or its table, or a line for each member.

    Parameters
    ----------
    report : dict
        What was found.
    as_json : bool
        Whether a program reads it.
    table : str, optional
        The same for people.
    """
    if as_json:
        print(json.dumps(report, default=str))
    elif table is not None:
        print(table)
    else:
        for name, value in report.items():
            print(f"{name}: {value}")
