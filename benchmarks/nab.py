"""The anomaly detector on the Numenta Anomaly Benchmark.

    python -m benchmarks.nab NAB_DIR [--json]

NAB_DIR holds `data/` and `labels/combined_windows.json`. All files go through `models.anomaly.Anomalies` together, a row of a file each
tick; `tests/models/test_anomaly.py` shows that `Detector.score_one` gives each the same numbers. One configuration for all files. The
constants were chosen on the first group of categories alone, and on series made of them (`benchmarks.nab_variations`); the others are
reported apart, and so is the score at a threshold that was chosen on the other categories. What was tried is in docs/measurements.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.answers import answers_as_json, deliver
from benchmarks.nab_rules import PROFILES, Recording, Rows, read, rows, score, threshold
from features.arrays import FloatArray
from models.anomaly import Anomalies

__all__ = ["CHOSEN_ON", "earned", "judged", "left_out", "main"]

CHOSEN_ON = ("artificialNoAnomaly", "artificialWithAnomaly", "realAWSCloudwatch", "realTraffic")


def judged(recordings: Sequence[Recording]) -> tuple[list[FloatArray], list[FloatArray]]:
    """Return how outstanding every row of every file is, and its tail."""
    anomalies, n = Anomalies(), len(recordings)
    anomalies.grow(n)
    lengths = np.array([len(recording.value) for recording in recordings])
    scores, tails = [np.zeros(length) for length in lengths.tolist()], [np.ones(length) for length in lengths.tolist()]
    usual = np.ones(n, np.bool_)
    for tick in range(int(lengths.max())):
        at = np.minimum(tick, lengths - 1)  # a file that is over repeats its last row, and nobody listens
        value = np.array([recording.value[i] for recording, i in zip(recordings, at.tolist(), strict=True)])
        time_s = np.array([recording.time_s[i] for recording, i in zip(recordings, at.tolist(), strict=True)])
        verdict = anomalies.advance(value, time_s, usual)
        one = anomalies.outstanding(verdict)
        for number in np.flatnonzero(tick < lengths).tolist():
            scores[number][tick], tails[number][tick] = one[number], verdict.tail[number]
    return scores, tails


def left_out(scores: FloatArray, counted: Rows, categories: Sequence[str], profile: str) -> float:
    """Return the score with each category's threshold chosen on all others.

    Parameters
    ----------
    scores : FloatArray, shape (n,)
        Of the rows that count.
    counted : Rows
        What they are worth.
    categories : sequence of str
        Of every file.
    profile : str
        One of `PROFILES`.
    """
    total = 0.0
    for category in sorted(set(categories)):
        others, kept = counted.of(i for i, name in enumerate(categories) if name != category)
        own, mine = counted.of(i for i, name in enumerate(categories) if name == category)
        at = threshold(scores[kept], others, profile)
        total += earned(scores[mine], own, profile, at)
    return 100.0 * total / float(counted.windows.sum())


def earned(scores: FloatArray, counted: Rows, profile: str, at: float) -> float:
    """Return what alarms at a threshold earn over none, in windows found at once."""
    number = int(counted.windows.sum())
    if number:
        return score(scores, counted, profile, at) / 100.0 * number
    false_cost, missed_cost = PROFILES[profile]
    return float(false_cost * counted.worth[scores >= at].sum()) / (1.0 + missed_cost)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the benchmark's data and labels")
    answers_as_json(parser)
    asked = parser.parse_args()
    recordings = read(asked.folder)
    counted, kept = rows(recordings)
    scores = np.concatenate([values[mine] for values, mine in zip(judged(recordings)[0], kept, strict=True)])
    categories = [recording.category for recording in recordings]
    groups = {"all": categories, "chosen on": CHOSEN_ON, "others": set(categories) - set(CHOSEN_ON)}
    groups |= {name: {name} for name in sorted(set(categories))}
    found: dict[str, dict[str, float]] = {}
    for group, names in groups.items():
        own, mine = counted.of(i for i, name in enumerate(categories) if name in names)
        if own.windows.sum():
            found[group] = {profile: score(scores[mine], own, profile) for profile in PROFILES}
            found[group]["at the threshold of all"] = score(
                scores[mine], own, "standard", threshold(scores, counted, "standard")
            )
    for profile in PROFILES:
        found["all"][f"{profile}, leave one category out"] = left_out(scores, counted, categories, profile)
    for group, values in found.items():
        print(f"{group:24s}", ", ".join(f"{name} {value:.2f}" for name, value in values.items()), file=sys.stderr)
    deliver(asked, scores=found, threshold=threshold(scores, counted, "standard"))


if __name__ == "__main__":
    main()
