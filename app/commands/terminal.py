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

__all__ = ["TIMES", "ConfigOption", "DataOption", "JsonOption", "answer", "bar", "console"]

TIMES = ["%Y-%m-%d", *(f"%Y-%m-%dT%H:%M{seconds}{zone}" for seconds in ("", ":%S") for zone in ("", "%z"))]
"""How a time may be written."""

ConfigOption = Annotated[Path | None, typer.Option("--config", help="TOML file with settings.")]
DataOption = Annotated[Path | None, typer.Option("--data", help="Data folder.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

console = Console(stderr=True)
"""Where people look; standard output is for what was asked for."""


@contextmanager
def bar(quiet: bool, to: Console = console) -> Generator[Callable[[float, str], None]]:
    """Show on standard error how far something is: a bar, or without a terminal a line for each tenth of what is done.

    Parameters
    ----------
    quiet : bool
        Show nothing.
    to : Console, optional
        Where to show it.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeElapsedColumn())
    told = ("", -1)
    with Progress(*columns, console=to, disable=quiet or not to.is_terminal, transient=True) as progress:
        task = progress.add_task("", total=1.0)

        def tell(share: float, text: str) -> None:
            nonlocal told
            progress.update(task, completed=share, description=text)
            now = (text, min(int(share * 10.0), 10))
            if progress.disable and not quiet and now != told:
                told = now
                to.print(f"{text}: {now[1] * 10} %")

        yield tell


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
