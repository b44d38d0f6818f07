"""The lock holds every package that is installed, by version and hash, and says nothing about where from."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from deploy.locked import PROJECT, Pin, closure, direct_names, direct_requirements, normalise, read_pins
from tests.house.sources import ROOT

EXTRAS = ["bench", "dev", "lock"]
LOCK = (ROOT / "constraints.txt").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def pins() -> list[Pin]:
    return read_pins(LOCK)


def test_every_direct_requirement_is_locked_within_its_range(project: dict[str, Any], pins: list[Pin]) -> None:
    versions: dict[str, list[str]] = {}
    for pin in pins:
        versions.setdefault(pin.name, []).append(
            Requirement(pin.lines.partition(" \\")[0]).specifier.__str__().removeprefix("==")
        )
    outside = [
        text
        for text in direct_requirements(project, EXTRAS)
        if not all(Requirement(text).specifier.contains(Version(version)) for version in versions[normalise(text)])
    ]
    assert outside == []


def test_every_package_is_pinned_and_hashed(pins: list[Pin]) -> None:
    assert [pin.name for pin in pins if "--hash=sha256:" not in pin.lines or "==" not in pin.lines.splitlines()[0]] == []


def test_lock_holds_no_address_and_no_path() -> None:
    assert re.findall(r"^-.*$|https?://.*|^.*[@/\\]\S.*$", LOCK, flags=re.MULTILINE) == []


def test_closure_of_the_runtime_holds_what_its_packages_require(project: dict[str, Any], pins: list[Pin]) -> None:
    held = {pin.name for pin in closure(pins, direct_names(project, []))}
    missing: list[str] = []
    for name in sorted(held):
        try:
            wanted = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:  # a pin whose marker is for another platform
            continue
        needed = [Requirement(text) for text in wanted]
        missing += [
            f"{name} needs {needed_by.name}"
            for needed_by in needed
            if (needed_by.marker is None or needed_by.marker.evaluate({"extra": ""})) and normalise(needed_by.name) not in held
        ]
    assert missing == []


def test_runtime_leaves_the_tools_out(project: dict[str, Any], pins: list[Pin]) -> None:
    held = {pin.name for pin in closure(pins, direct_names(project, []))}
    assert held.isdisjoint({"deno", "pytest", "rotel", "ruff", "uv", PROJECT})
    assert "numpy" in held


def test_closure_follows_who_wants_whom() -> None:
    pins = read_pins(
        "a==1 \\\n    --hash=sha256:00\nb==2 \\\n    --hash=sha256:11\n    # via a\nc==3 \\\n    --hash=sha256:22\n    # via\n    #   b\n    #   d\n"
    )
    assert [pin.name for pin in closure(pins, {"a"})] == ["a", "b", "c"]
    assert pins[1].lines == "b==2 \\\n    --hash=sha256:11"


def test_a_requirement_that_the_lock_lacks_is_named() -> None:
    with pytest.raises(SystemExit, match="lacks zeta; run `make lock`"):
        closure(read_pins("a==1 \\\n    --hash=sha256:00\n"), {"zeta"})


def test_an_extra_that_does_not_exist_is_named(project: dict[str, Any]) -> None:
    with pytest.raises(SystemExit, match=r"must be one of .*, got \['devel'\]"):
        direct_requirements(project, ["devel"])
