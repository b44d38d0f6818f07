"""Ask a running node for everything in its OpenAPI document, right and wrong: ``python -m tests.openapi_fuzz --seconds 120 --seed 1``.

Schemathesis makes the requests, in a process of its own: the bounds of every parameter, random values, and chains in which one
answer's ids go into the next request. Most name what the node holds, so that answers have content. It fails on a 5xx, on a status,
content type or header that the document does not name, on a body that is not of its schema, and on a request that breaks the
document and is taken. ``make fuzz-api`` runs it; `tests/app/api/test_openapi_fuzz.py` runs a short part.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from tests.dashboard_seed import seed
from tests.nodes import RunningNode, run_node

__all__ = ["Found", "fill", "fuzz", "main"]

_PREFIX = "/api/v1"
_LISTS = {
    "service": ("services", "service"),
    "prediction_id": ("predictions", "id"),
    "incident_id": ("incidents", "id"),
    "group_id": ("groups", "id"),
    "run_id": ("backtests", "id"),
    "version_id": ("models", "id"),
    "other_id": ("models", "id"),
    "alert_id": ("alerts", "id"),
    "feedback_id": ("feedback", "id"),
    "silence_id": ("silences", "id"),
}
"""Parameters of paths, the list that has their values, and the member."""

_REFUSED = [400, 401, 403, 404, 405, 409, 413, 415, 422, 429]
_MOST = 0.8  # guessed: of the values of a parameter those that are there; the rest is made up
_LINES = 400  # of the report, that a failing test shows


@dataclass(frozen=True, slots=True)
class Found:
    """What a run found.

    Parameters
    ----------
    ok : bool
        Nothing was wrong, and every operation was asked.
    n_requests, n_operations : int
        Requests sent, and operations that were asked for.
    report : str
        What Schemathesis says, with a command for each failure that sends it again.
    """

    ok: bool
    n_requests: int
    n_operations: int
    report: str


def fill(running: RunningNode, headers: Mapping[str, str] | None = None) -> None:
    """Let a node hold something of every kind that its API shows."""
    now = datetime.fromtimestamp(running.now_ns / 1e9, UTC)
    seed(running.node, now)
    later = (now + timedelta(hours=1)).isoformat()
    bodies: dict[str, dict[str, Any]] = {
        "feedback": {"verdict": "confirmed", "incident_id": "i1"},
        "silences": {
            "matchers": [{"label": "service", "pattern": "mail"}],
            "start": now.isoformat(),
            "end": later,
            "author": "fuzz",
            "comment": "",
        },
    }
    for path, body in bodies.items():
        answer = running.client.post(f"{running.served.api}{_PREFIX}/{path}", json=body, headers=dict(headers or {}))
        assert answer.status_code == 201, answer.text


def fuzz(api: str, folder: Path, options: Sequence[str], headers: Mapping[str, str] | None = None) -> Found:
    """Ask a node for everything in its document.

    Parameters
    ----------
    api : str
        Address of the node's API.
    folder : Path
        Where to write the configuration and the counts.
    options : sequence of str
        Of ``schemathesis run``.
    headers : mapping, optional
        With every request, such as a token.

    Returns
    -------
    Found
    """
    config, counts = folder / "schemathesis.toml", folder / "counts.json"
    config.write_text(_config(api, dict(headers or {})))
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", f"{api}{_PREFIX}/openapi.json"]
    reports = ["--report", "json", "--report-json-path", str(counts), "--no-color"]
    ended = subprocess.run([*command, *reports, *options], capture_output=True, text=True, check=False, cwd=folder)
    lines = [line[:600] for line in (ended.stdout + ended.stderr).splitlines()]
    n_requests, n_operations = _counted(json.loads(counts.read_text())) if counts.exists() else (0, 0)
    return Found(ended.returncode == 0, n_requests, n_operations, "\n".join(lines[-_LINES:]))


def _counted(summary: Mapping[str, Any]) -> tuple[int, int]:
    return summary["test_cases"]["generated"], summary["operations"]["tested"]


def _config(api: str, headers: dict[str, str]) -> str:
    """Return Schemathesis's configuration for a node, with the ids that it holds."""
    known = {name: _known(api, path, member, headers) for name, (path, member) in _LISTS.items()}
    values = {"tenant": ["default"]} | {name: found for name, found in known.items() if found}
    bound = {f"path.{name}": name for name in values if name != "tenant"} | {"header.X-Scope-OrgID": "tenant"}
    lines = ["continue-on-failure = true", "request-timeout = 30", "max-stream-events = 3"]
    lines += ["[headers]", *(f"{_quoted(name)} = {_quoted(value)}" for name, value in headers.items())]
    # Made-up tokens would be all that most requests show; that they are refused is checked with a few of them all the same.
    lines += ["[generation]", 'database = "none"', "with-security-parameters = false", "[parameters]"]
    lines += [f"{_quoted(place)} = {{ dictionary = {_quoted(name)}, probability = {_MOST} }}" for place, name in bound.items()]
    for name, found in values.items():
        lines += [f"[dictionaries.{name}]", f"values = [{', '.join(map(_quoted, found))}]"]
    # A rule between two members (`until` after `since`) has no words in a schema, so what fits the schema may be refused.
    lines += ["[checks.positive_data_acceptance]", "enabled = false"]
    lines += ["[checks.negative_data_rejection]", f"expected-statuses = {_REFUSED}"]
    lines += ["[[operations]]", f'include-path = "{_PREFIX}/stream"', 'parameters = { "query.for_s" = 0 }']
    # Every tenant could have a run wait, and each is a process.
    lines += ["[[operations]]", f'include-path = ["{_PREFIX}/training-runs", "{_PREFIX}/backtests"]']
    lines += ['parameters = { "header.X-Scope-OrgID" = "default" }']
    return "\n".join(lines) + "\n"


def _known(api: str, path: str, member: str, headers: dict[str, str]) -> list[str]:
    answer = httpx.get(f"{api}{_PREFIX}/{path}", params={"limit": 20}, headers=headers).raise_for_status()
    return [str(item[member]) for item in answer.json()["items"]]


def _quoted(value: str) -> str:
    return json.dumps(value)  # a JSON string is a TOML string


def main() -> int:
    """Fuzz a node of one's own for a time; the exit status is 1 when something was wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, run_node(Path(folder) / "node") as running:
        fill(running)
        found = fuzz(running.served.api, Path(folder), ["--max-time", str(given.seconds), "--seed", str(given.seed)])
    print(found.report)
    return 0 if found.ok else 1


if __name__ == "__main__":
    sys.exit(main())
