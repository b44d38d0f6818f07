"""Grouping accuracy and speed of `features.fingerprint.Templates` on LogHub.

    python benchmarks/grouping.py DATA_DIR [--json]

DATA_DIR holds NAME/structured.csv with the columns Content and EventId, as LogHub's 2,000-line samples do
(Zhu et al. 2023). Lines are added once, in order, to a new store for each system; what `add` answers at that
moment counts. Grouping accuracy: the share of lines whose group holds exactly the lines of their true group.
"""

from __future__ import annotations

import argparse
import csv
import json
import platform
import sys
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

from features.fingerprint import Templates

__all__ = ["grouping_accuracy", "main", "measure"]


def groups(labels: Sequence[object]) -> dict[object, frozenset[int]]:
    """Return the positions of each label."""
    places: dict[object, list[int]] = defaultdict(list)
    for place, label in enumerate(labels):
        places[label].append(place)
    return {label: frozenset(found) for label, found in places.items()}


def grouping_accuracy(predicted: Sequence[object], true: Sequence[object]) -> float:
    """Return the share of positions whose predicted group equals their true group."""
    wanted = set(groups(true).values())
    return sum(len(found) for found in groups(predicted).values() if found in wanted) / len(true)


def measure(path: Path) -> dict[str, float | int | str]:
    """Return what one system's file gives."""
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        rows = [(row["Content"], row["EventId"]) for row in csv.DictReader(file)]
    templates = Templates()
    start = perf_counter()
    predicted = [templates.add(content) for content, _ in rows]
    seconds = perf_counter() - start
    true = [event for _, event in rows]
    return {
        "system": path.parent.name,
        "lines": len(rows),
        "accuracy": grouping_accuracy(predicted, true),
        "groups": len(set(predicted)),
        "true_groups": len(set(true)),
        "us_per_line": seconds / len(rows) * 1e6,
    }


def main() -> int:
    """Measure every system below DATA_DIR and print the result."""
    parser = argparse.ArgumentParser(description="Grouping accuracy on LogHub.")
    parser.add_argument("data_dir", type=Path, help="folder with NAME/structured.csv")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args()
    rows = [measure(path) for path in sorted(asked.data_dir.glob("*/structured.csv"))]
    if not rows:
        print(f"no NAME/structured.csv below {asked.data_dir}", file=sys.stderr)
        return 2
    mean = sum(float(row["accuracy"]) for row in rows) / len(rows)
    if asked.json:
        where = {"machine": platform.platform(), "python": platform.python_version(), "date": datetime.now(UTC).isoformat()}
        print(json.dumps({"mean_accuracy": mean, "systems": rows} | where))
        return 0
    for row in rows:
        print(
            f"{row['system']:<12}{row['accuracy']:8.4f}{row['groups']:6} of {row['true_groups']:<5}{row['us_per_line']:7.1f} us"
        )
    print(f"{'mean':<12}{mean:8.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
