"""Audit what is installed with Foreshock: known defects of the packages in the lock, and the licences of those that the runtime needs.

``python -m deploy.audit packages`` asks OSV by pip-audit where it can be reached, and says so where it cannot;
``python -m deploy.audit licences`` reads installed metadata, offline. What is accepted, and why, stands in `pyproject.toml` under
``[tool.foreshock.audit]``. `make audit` runs both, after bandit.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any

import httpx
from license_expression import ExpressionError, get_spdx_licensing

from deploy.locked import ROOT, closure, direct_names, read_pins

__all__ = ["OSV", "Accepted", "accepted_in", "audit_licences", "audit_packages", "licence_of"]

OSV = "https://api.osv.dev/v1/query"
"""Where known defects are looked up."""

_OF_CLASSIFIER = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
"""SPDX names of the classifiers that say which licence it is; the others say too little."""

_OF_TEXT = {"3-Clause BSD License": "BSD-3-Clause", "Apache 2.0": "Apache-2.0", "MIT License": "MIT"}
"""SPDX names of what some packages write into the old free text."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What `pyproject.toml` accepts.

    Parameters
    ----------
    licences : frozenset of str
        SPDX names.
    licence_of : mapping of str to str
        By package, an SPDX expression and the reason for it, where metadata says too little: ``"MIT: ..."``.
    vulnerabilities : mapping of str to str
        By id, why it does not concern Foreshock.
    """

    licences: frozenset[str]
    licence_of: Mapping[str, str] = field(default_factory=dict[str, str])
    vulnerabilities: Mapping[str, str] = field(default_factory=dict[str, str])


def accepted_in(project: Mapping[str, Any]) -> Accepted:
    """Read ``[tool.foreshock.audit]``.

    Raises
    ------
    SystemExit
        When a vulnerability or a package's licence is accepted without a reason.
    """
    found = project["tool"]["foreshock"]["audit"]
    vulnerabilities, licences = found.get("vulnerabilities", {}), found.get("licence-of", {})
    bare = [name for name, why in vulnerabilities.items() if not why.strip()]
    bare += [name for name, why in licences.items() if not why.partition(":")[2].strip()]
    if bare:
        raise SystemExit(f"[tool.foreshock.audit] must say why it accepts {', '.join(bare)}")
    return Accepted(frozenset(found["licences"]), licences, vulnerabilities)


def audit_packages(requirements: Path, accepted: Accepted, url: str = OSV) -> tuple[int, str]:
    """Look up what is known of the packages of a requirements file.

    Parameters
    ----------
    requirements : Path
        Pins with hashes.
    accepted : Accepted
        What may be found.
    url : str
        Of OSV, or of what answers like it.

    Returns
    -------
    status : int
        0 where nothing is known, or nobody can be asked; 1 where something is, or an acceptance is of no use any more.
    words : str
        For people.
    """
    reason = _unreachable(url)
    if reason:
        return 0, f"packages were not audited: {url} cannot be reached ({reason}); run `make audit` where it can be"
    options = ["--disable-pip", "--require-hashes", "--progress-spinner", "off", "--format", "json", "--aliases", "on"]
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(requirements), *options, "-s", "osv", "--osv-url", url]
    # Our own interpreter and arguments, no shell.
    answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - no shell  # nosec B603
    try:
        report = json.loads(answer.stdout)
    except ValueError:
        return 1, f"pip-audit ended with {answer.returncode} and no report:\n{answer.stderr.strip()}"
    return _judged(report, accepted)


def audit_licences(packages: Sequence[str], accepted: Accepted) -> tuple[int, str]:
    """Compare the licences of installed packages with those that are accepted.

    Returns
    -------
    status : int
        0 where all are.
    words : str
        For people.
    """
    refused: list[str] = []
    absent: list[str] = []
    for name in packages:
        try:
            found = licence_of(metadata(name), accepted.licence_of.get(name, ""))
        except PackageNotFoundError:
            absent.append(name)
            continue
        if not _admits(found, accepted.licences):
            refused.append(f"{name}: {found or 'no licence that its metadata says plainly'}")
    stale = sorted(set(accepted.licence_of) - set(packages))
    words = [f"licences of {len(packages) - len(absent)} packages of the runtime looked at"]
    words += [f"not installed on this platform, so not looked at: {', '.join(absent)}"] if absent else []
    words += [f"refused: {one}; accept it in [tool.foreshock.audit] of pyproject.toml, with the reason" for one in refused]
    words += [f"[tool.foreshock.audit] names {name}, which the runtime does not need" for name in stale]
    return int(bool(refused or stale)), "\n".join(words)


def licence_of(about: Any, said: str = "") -> str:
    """Return the SPDX expression of a package's metadata, empty where it says none plainly.

    Parameters
    ----------
    about : email.message.Message
        Metadata of a distribution.
    said : str
        What `Accepted.licence_of` has for it, which counts before all.

    Examples
    --------
    >>> from email.message import Message
    >>> about = Message()
    >>> about["Classifier"] = "License :: OSI Approved :: MIT License"
    >>> licence_of(about)
    'MIT'
    """
    if said:
        return said.partition(":")[0].strip()
    expression = about.get("License-Expression")
    if expression:
        return str(expression)
    names = [line.rpartition(" :: ")[2] for line in about.get_all("Classifier") or [] if line.startswith("License :: ")]
    if names:  # of several each holds for a part, or one is to be chosen: which of it, no classifier says
        return " AND ".join(_OF_CLASSIFIER[name] for name in names) if set(names) <= set(_OF_CLASSIFIER) else ""
    text = (about.get("License") or "").strip()
    return _OF_TEXT.get(text, text if len(text.split()) == 1 else "")


def _admits(expression: str, allowed: frozenset[str]) -> bool:
    """Return whether an SPDX expression can be kept with some licences: all of an AND, one of an OR."""
    if not expression:
        return False
    licensing = _spdx()
    try:
        parsed: Any = licensing.parse(expression, validate=True, strict=True)
    except ExpressionError:
        return False

    def holds(node: Any) -> bool:
        if isinstance(node, licensing.AND):
            return all(holds(one) for one in node.args)
        if isinstance(node, licensing.OR):
            return any(holds(one) for one in node.args)
        return str(node) in allowed

    return holds(parsed)


@cache
def _spdx() -> Any:
    """Return what knows the names of licences; it takes a while to learn them."""
    return get_spdx_licensing()


def _unreachable(url: str) -> str:
    """Return why nobody answers as OSV does, empty where somebody does."""
    try:
        answer = httpx.post(url, json={"package": {"name": "foreshock", "ecosystem": "PyPI"}, "version": "0"}, timeout=10.0)
        answer.raise_for_status()
        return "" if isinstance(answer.json(), dict) else "its answer is no object"
    except (httpx.HTTPError, ValueError, OSError) as exc:
        return f"{type(exc).__name__}: {exc}".splitlines()[0]


def _judged(report: Mapping[str, Any], accepted: Accepted) -> tuple[int, str]:
    found: list[str] = []
    met: set[str] = set()
    for package in report["dependencies"]:
        for one in package.get("vulns", ()):
            ids = {one["id"], *one.get("aliases", ())}
            known = sorted(ids & set(accepted.vulnerabilities))
            met.update(known)
            if not known:
                mended = ", ".join(one.get("fix_versions", ())) or "no release"
                found.append(f"{package['name']} {package['version']}: {', '.join(sorted(ids))}, mended in {mended}")
    stale = sorted(set(accepted.vulnerabilities) - met)
    words = [f"{len(report['dependencies'])} packages of the lock looked up, {len(found)} with a known vulnerability"]
    words += found
    words += [f"[tool.foreshock.audit] accepts {name}, which no package has any more" for name in stale]
    return int(bool(found or stale)), "\n".join(words)


def main(arguments: list[str]) -> None:
    """Audit what the argument names, and end with 1 where something is found."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    accepted, lock = accepted_in(project), ROOT / "constraints.txt"
    if arguments == ["packages"]:
        status, words = audit_packages(lock, accepted)
    elif arguments == ["licences"]:
        pins = closure(read_pins(lock.read_text(encoding="utf-8")), direct_names(project, []))
        status, words = audit_licences(sorted({pin.name for pin in pins}), accepted)
    else:
        raise SystemExit(f"what to audit must be packages or licences, got {arguments}")
    print(words)
    sys.exit(status)


if __name__ == "__main__":
    main(sys.argv[1:])
