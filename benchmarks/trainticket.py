"""Replay the TrainTicket recording through the line and compare what the rule found with the injected faults.

    python benchmarks/trainticket.py DATA_DIR [--json] [--keep FOLDER]

DATA_DIR holds ``logs.jsonl.gz``, ``metrics.jsonl.gz``, ``traces.jsonl.gz`` and ``faults.json``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from app.history.delta import DeltaHistory

BEFORE_S = 120
"""An incident that begins up to two minutes before a fault's time still matches it: the times are whole minutes."""
AFTER_S = 240
"""An incident that begins up to four minutes after it does: that is what is recorded after most of them."""


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--keep", type=Path, help="data folder to use and keep")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch) / "data"
        replayed = replay(options.data, folder)
        report = {**replayed, **compare(folder, json.loads((options.data / "faults.json").read_text()))}
    if options.json:
        print(json.dumps(report))
    else:
        for name, value in report.items():
            print(f"{name}: {value}")


def replay(data: Path, folder: Path) -> dict[str, Any]:
    """Run ``foreshock replay`` in a process of its own and return its report."""
    files = sorted(str(path) for path in data.glob("*.jsonl.gz"))
    command = [sys.executable, "-m", "app.cli", "replay", *files, "--data", str(folder), "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def compare(folder: Path, faults: list[dict[str, str]]) -> dict[str, Any]:
    """Count the faults with an incident, of any service and of their own, and the incidents without a fault."""
    history = DeltaHistory(folder / "history")
    incidents = [row for row in history.read("incidents").to_pylist() if row["ended"] is None]
    times = [int(datetime.fromisoformat(fault["time"]).timestamp()) for fault in faults]
    starts = np.array([row["start"] for row in incidents])
    services = [row["service"] for row in incidents]
    near = [np.flatnonzero((starts >= t - BEFORE_S) & (starts <= t + AFTER_S)) for t in times]
    own = [[i for i in found if services[i] == fault["service"]] for found, fault in zip(near, faults, strict=True)]
    matched = set(np.concatenate(near).tolist()) if near else set()
    delays = [incidents[i]["detected_at"] - t for found, t in zip(near, times, strict=True) for i in found[:1]]
    errors = history.read("errors", columns=["severity"])["severity"].to_pylist()
    return {
        "incidents_total": len(incidents),
        "incidents_whole_service": sum(row["operation"] == "*" for row in incidents),
        "incidents_without_fault": len(incidents) - len(matched),
        "faults": len(faults),
        "faults_with_incident": sum(len(found) > 0 for found in near),
        "faults_with_incident_of_their_service": sum(len(found) > 0 for found in own),
        "median_detection_delay_s": float(np.median(delays)) if delays else None,
        "history_errors": len(errors),
    }


if __name__ == "__main__":
    main()
