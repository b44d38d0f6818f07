"""The bill of materials: valid, complete, and the same bytes from the same lock."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest

from deploy.locked import Pin, closure, direct_names, read_pins
from deploy.sbom import bill
from tests.house.sources import ROOT

pytestmark = pytest.mark.slow

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def pins() -> list[Pin]:
    return closure(read_pins((ROOT / "constraints.txt").read_text(encoding="utf-8")), direct_names(PROJECT, []))


@pytest.fixture(scope="module")
def first(pins: list[Pin]) -> str:
    """The bill, which `bill` checked against the schema."""
    return bill(pins, PROJECT)


@pytest.fixture(scope="module")
def told(first: str) -> dict[str, Any]:
    return json.loads(first)


def test_the_same_lock_gives_the_same_bytes_without_time_or_chance(
    pins: list[Pin], first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("PYTHONHASHSEED", "77")
    assert bill(pins, PROJECT) == first
    assert "timestamp" not in first
    assert "serialNumber" not in first
    assert str(ROOT) not in first


def test_it_holds_every_package_of_the_runtime_with_its_hashes_and_none_else(told: dict[str, Any], pins: list[Pin]) -> None:
    def hashes(component: dict[str, Any]) -> set[str]:
        return {one["content"] for reference in component["externalReferences"] for one in reference["hashes"]}

    components = {component["bom-ref"]: component for component in told["components"]}
    assert set(components) == {pin.lines.split()[0].partition(";")[0] for pin in pins}
    for pin in pins:
        component = components[pin.lines.split()[0].partition(";")[0]]
        assert hashes(component) == {word.rpartition(":")[2] for word in pin.lines.split() if word.startswith("--hash")}
        assert component["purl"].startswith("pkg:pypi/")
    assert not {"pytest", "ruff", "cyclonedx-bom", "mlflow-skinny"} & {one["name"] for one in told["components"]}
    assert len([one for one in told["components"] if one.get("licenses")]) > 0.9 * len(components)


def test_it_says_who_needs_whom(told: dict[str, Any]) -> None:
    needs = {one["ref"].partition("==")[0]: one.get("dependsOn", []) for one in told["dependencies"]}
    names = {name: {ref.partition("==")[0] for ref in found} for name, found in needs.items()}
    assert names["foreshock"] == direct_names(PROJECT, []) & set(names)
    assert {"numpy", "scipy", "joblib", "threadpoolctl"} <= names["scikit-learn"]
    reached, waiting = set[str](), ["foreshock"]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += names[name]
    assert reached == set(names), "what nobody needs is not of the runtime"
    assert told["metadata"]["component"]["name"] == "foreshock"


def test_pins_that_are_none_are_refused() -> None:
    with pytest.raises(SystemExit, match="cyclonedx-py read 0 of 1 pins"):
        bill([Pin("broken", "broken==", frozenset())], PROJECT)
