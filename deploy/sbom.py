"""The bill of materials of what is installed with Foreshock: every package of the locked runtime, as CycloneDX 1.6 JSON.

``python -m deploy.sbom FILE`` (`make sbom`) lets cyclonedx-bom read the pins and hashes of the lock, adds who needs whom as the lock notes it
and licences from installed metadata, checks the result against the schema that cyclonedx-python-lib brings, and writes it. Nothing of
the time, the machine or chance is in it, so the same lock gives the same bytes.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from deploy.audit import accepted_in, licence_of
from deploy.locked import PROJECT, ROOT, Pin, closure, direct_names, normalise, read_pins

__all__ = ["bill"]


def bill(pins: list[Pin], project: dict[str, Any]) -> str:
    """Return the bill of some pins as JSON.

    Parameters
    ----------
    pins : list of Pin
        From `deploy.locked.closure`.
    project : dict
        What `pyproject.toml` says.

    Raises
    ------
    SystemExit
        When cyclonedx-bom refuses the pins, or the bill is not valid.
    """
    command = [
        sys.executable,
        "-m",
        "cyclonedx_py",
        "requirements",
        "--output-reproducible",
        "--sv",
        "1.6",
        "--short-PURLs",
        "-",
    ]
    lines = "\n".join(pin.lines for pin in pins)
    # Our own interpreter and arguments, no shell.
    answer = subprocess.run(command, input=lines, capture_output=True, text=True, check=False)  # noqa: S603 - no shell  # nosec B603
    if answer.returncode:
        raise SystemExit(f"cyclonedx-py ended with {answer.returncode}:\n{answer.stderr.strip()}")
    read = json.loads(answer.stdout)
    if len(read.get("components", ())) != len(pins):
        raise SystemExit(f"cyclonedx-py read {len(read.get('components', ()))} of {len(pins)} pins:\n{answer.stderr.strip()}")
    told = _completed(read, pins, project)
    text = json.dumps(told, indent=2, sort_keys=True) + "\n"
    wrong = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if wrong is not None:
        raise SystemExit(f"the bill of materials is not valid: {wrong}")
    return text


def _completed(told: dict[str, Any], pins: list[Pin], project: dict[str, Any]) -> dict[str, Any]:
    """Name components by what they are, and add what needs them, their licences and Foreshock itself."""
    said = accepted_in(project).licence_of
    name, version = project["project"]["name"], project["project"]["version"]
    refs: dict[str, list[str]] = {}
    for component in told["components"]:
        component["bom-ref"] = f"{component['name']}=={component['version']}"
        component.pop("description", None)  # the line of a file that nobody has
        refs.setdefault(normalise(component["name"]), []).append(component["bom-ref"])
        expression = _licence(component["name"], said)
        if expression:
            component["licenses"] = [{"expression": expression, "acknowledgement": "declared"}]
    own = f"{name}=={version}"
    licence = {"expression": project["project"]["license"], "acknowledgement": "declared"}
    told["metadata"]["component"] = {
        "type": "application",
        "bom-ref": own,
        "name": name,
        "version": version,
        "licenses": [licence],
    }
    told["metadata"].pop("timestamp", None)
    told.pop("serialNumber", None)
    direct = direct_names(project, [])
    needs: dict[str, set[str]] = {own: set(), **{ref: set() for found in refs.values() for ref in found}}
    for pin in pins:
        wanted_by = pin.wanted_by & set(refs)
        for ref in refs[pin.name]:
            for parent in [*([own] if pin.name in direct else []), *(one for other in wanted_by for one in refs[other])]:
                needs[parent].add(ref)
    told["dependencies"] = [
        {"ref": ref} | ({"dependsOn": sorted(found)} if found else {}) for ref, found in sorted(needs.items())
    ]
    told["components"].sort(key=lambda one: one["bom-ref"])
    return told


def _licence(name: str, said: Any) -> str:
    try:
        found = licence_of(metadata(name), said.get(normalise(name), ""))
    except PackageNotFoundError:
        return ""
    return found if re.fullmatch(r"[A-Za-z0-9.+() -]+", found) else ""


def main(arguments: list[str]) -> None:
    """Write the bill of the runtime to the file that is named."""
    if len(arguments) != 1:
        raise SystemExit(f"name the file to write, got {arguments}")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    pins = closure(read_pins((ROOT / "constraints.txt").read_text(encoding="utf-8")), direct_names(project, []))
    path = Path(arguments[0])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(bill(pins, project), encoding="utf-8")
    print(f"{path}: {len(pins)} packages that {PROJECT} runs with")


if __name__ == "__main__":
    main(sys.argv[1:])
