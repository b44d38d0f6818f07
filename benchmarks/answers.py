"""What benchmarks answer as JSON: the command, the seed and the machine beside what was found."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks.ingest_report import machine

__all__ = ["answers_as_json", "deliver"]


def answers_as_json(parser: argparse.ArgumentParser) -> None:
    """Add the options that `deliver` reads."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--out", type=Path, help="file for the JSON")
    parser.add_argument("--seed", type=int, default=0, help="of the fits")


def deliver(asked: argparse.Namespace, **found: object) -> None:
    """Write what was found where it was asked for: into a file, to standard output, or nowhere."""
    text = json.dumps({"command": " ".join(sys.argv), "seed": asked.seed, "machine": machine(None), **found})
    if asked.out:
        asked.out.write_text(text + "\n", encoding="utf-8")
    if asked.json:
        print(text)
