"""Cut from the lock what one purpose needs, as a requirements file that pip checks by hash.

Reads the direct requirements from `pyproject.toml` and the pins, hashes and "via" notes from `constraints.txt`; prints
requirements for ``pip install --requirement``. Runs on a bare Python 3.11, before anything is installed, so it imports the
standard library alone. pip takes hashes only from lines that pin, also for what others pull in, so the whole closure is
written out.

``python deploy/locked.py [EXTRA ...]`` prints the pins of the runtime and of the extras named;
``python deploy/locked.py --direct`` prints every direct requirement with its range, from which `make lock` resolves.
"""

from __future__ import annotations

import re
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Pin", "closure", "direct_names", "direct_requirements", "read_pins"]

ROOT = Path(__file__).resolve().parent.parent
PROJECT = "foreshock"


@dataclass(frozen=True, slots=True)
class Pin:
    """One package of the lock.

    Parameters
    ----------
    name : str
        Normalised.
    lines : str
        The pin with its marker and hashes, as a requirements file holds it.
    wanted_by : frozenset of str
        Normalised names of the packages that pull it in; empty for a direct requirement.
    """

    name: str
    lines: str
    wanted_by: frozenset[str]


def normalise(requirement: str) -> str:
    """Return the normalised name of the package that a requirement asks for.

    Examples
    --------
    >>> normalise("Prometheus_Client[twisted]>=0.24,<1")
    'prometheus-client'
    """
    match = re.match(r"[A-Za-z0-9._-]+", requirement.strip())
    if match is None:
        raise SystemExit(f"a requirement must begin with a name, got {requirement!r}")
    return re.sub(r"[-_.]+", "-", match[0]).lower()


def direct_requirements(project: dict[str, Any], extras: list[str]) -> list[str]:
    """Return the requirements of the build, the runtime and the extras named, with their ranges."""
    optional = project["project"]["optional-dependencies"]
    unknown = sorted(set(extras) - set(optional))
    if unknown:
        raise SystemExit(f"an extra must be one of {sorted(optional)}, got {unknown}")
    wanted = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
    return wanted + [requirement for extra in extras for requirement in optional[extra]]


def direct_names(project: dict[str, Any], extras: list[str]) -> set[str]:
    """Return the normalised names of `direct_requirements`."""
    return {normalise(requirement) for requirement in direct_requirements(project, extras)}


def read_pins(text: str) -> list[Pin]:
    """Read the pins of a lock, with the notes that say who wants each.

    A package can be pinned several times, once a marker.
    """
    pins: list[Pin] = []
    for block in re.split(r"\n(?=[A-Za-z0-9])", "\n" + text)[1:]:
        code = [line for line in block.splitlines() if line.strip() and not line.lstrip().startswith("#")]
        notes = [line.strip(" #") for line in block.splitlines() if line.lstrip().startswith("#")]
        wanted_by = {normalise(re.sub(r"^via ", "", note)) for note in notes if note not in {"", "via"}}
        pins.append(Pin(normalise(block), "\n".join(code), frozenset(wanted_by)))
    return pins


def closure(pins: list[Pin], roots: set[str]) -> list[Pin]:
    """Return the pins of the roots and of everything that they pull in, in the order of the lock."""
    missing = sorted(roots - {pin.name for pin in pins})
    if missing:
        raise SystemExit(f"constraints.txt lacks {', '.join(missing)}; run `make lock`")
    wanted = set(roots)
    grown = True
    while grown:
        more = {pin.name for pin in pins if pin.wanted_by & wanted} - wanted
        wanted |= more
        grown = bool(more)
    return [pin for pin in pins if pin.name in wanted]


def main(arguments: list[str]) -> None:
    """Print what the arguments ask for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    if arguments == ["--direct"]:
        extras = sorted(project["project"]["optional-dependencies"])
        print("\n".join(sorted(direct_requirements(project, extras))))
        return
    pins = read_pins((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    print("\n".join(pin.lines for pin in closure(pins, direct_names(project, arguments))))


if __name__ == "__main__":
    main(sys.argv[1:])
