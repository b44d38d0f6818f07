"""The rules of the Numenta Anomaly Benchmark: what an alarm is worth, and the score of the best threshold.

`benchmarks.nab` runs the detector and asks this module. Written from the published rules; NAB's code is not used.

An alarm in a labelled window earns by how early the window's first alarm is, a window without one costs, an alarm outside costs by how
far it is behind the last window, and one before any costs most. The first 15 % of a file, of at most 5,000 rows, do not count. One
threshold serves all files: the one with the best total.

References
----------
Lavin and Ahmad (2015), Evaluating real-time anomaly detection algorithms, the Numenta Anomaly Benchmark, ICMLA 14.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from features.arrays import BoolArray, FloatArray, IntArray

__all__ = ["PROFILES", "Recording", "Rows", "read", "rows", "score", "threshold"]

PROFILES = {"standard": (0.11, 1.0), "low_fp": (0.22, 1.0), "low_fn": (0.11, 2.0)}
"""What a false alarm and a missed window cost; a window found at once earns 1."""

_STEEPNESS = 5.0
_FAR = 3.0  # widths behind a window from which on a false alarm costs all
_PROBATION, _PROBATION_ROWS = 0.15, 5000


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """One file of the benchmark.

    Parameters
    ----------
    category, name : str
        Folder and file.
    time_s : FloatArray, shape (n,)
        Seconds since the epoch, the file's clock read as UTC.
    value : FloatArray, shape (n,)
        What was recorded.
    windows : list of (int, int)
        First and last row of each labelled window.
    """

    category: str
    name: str
    time_s: FloatArray
    value: FloatArray
    windows: list[tuple[int, int]]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows of many files that count, each with its worth as an alarm.

    Parameters
    ----------
    worth : FloatArray, shape (n,)
        In a window what finding it here earns, outside what a false alarm costs as a share of the full cost, below 0.
    window : IntArray, shape (n,)
        Number of the window, over all files; -1 outside.
    file : IntArray, shape (n,)
        Number of the file.
    windows : int
        Labelled windows, those within the part that does not count included.
    """

    worth: FloatArray
    window: IntArray
    file: IntArray
    windows: IntArray

    def of(self, files: Iterable[int]) -> tuple[Rows, BoolArray]:
        """Return the rows of some files, and which they are."""
        chosen = np.fromiter(files, np.int64)
        kept = np.isin(self.file, chosen)
        return Rows(self.worth[kept], self.window[kept], self.file[kept], self.windows[chosen]), kept


def read(folder: Path) -> list[Recording]:
    """Read the benchmark's files, in order of their names."""
    labels = json.loads((folder / "labels" / "combined_windows.json").read_text(encoding="utf-8"))
    found = list[Recording]()
    for name, limits in sorted(labels.items()):
        with (folder / "data" / name).open(encoding="utf-8") as lines:
            table = [
                (datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC), row["value"]) for row in csv.DictReader(lines)
            ]
        times = [time for time, _ in table]
        windows = [tuple(times.index(datetime.fromisoformat(limit).replace(tzinfo=UTC)) for limit in pair) for pair in limits]
        seconds = np.array([time.timestamp() for time in times])
        values = np.array([float(value) for _, value in table])
        category, _, file = name.partition("/")
        found.append(Recording(category, file, seconds, values, [(first, last) for first, last in windows]))
    return found


def rows(recordings: Iterable[Recording]) -> tuple[Rows, list[BoolArray]]:
    """Return what alarms are worth, and which rows of each file count."""
    worth, window, file, counts, kept = list[FloatArray](), list[IntArray](), list[IntArray](), list[int](), list[BoolArray]()
    for number, recording in enumerate(recordings):
        w, i = _worth(len(recording.value), recording.windows)
        counted = np.arange(len(w)) >= _PROBATION * min(len(w), _PROBATION_ROWS) // 1
        worth.append(w[counted])
        window.append(np.where(i >= 0, i + sum(counts), -1)[counted])
        file.append(np.full(int(counted.sum()), number))
        counts.append(len(recording.windows))
        kept.append(counted)
    return Rows(np.concatenate(worth), np.concatenate(window), np.concatenate(file), np.array(counts)), kept


def score(told: FloatArray, rows: Rows, profile: str, at: float | None = None) -> float:
    """Return the score between 0, no alarm at all, and 100, every window found at once and no false alarm.

    Parameters
    ----------
    told : FloatArray, shape (n,)
        The detector's scores of the rows.
    rows : Rows
        What they are worth.
    profile : str
        One of `PROFILES`.
    at : float, optional
        Rows that score as much are alarms; by default the best threshold for these rows.
    """
    _, missed_cost = PROFILES[profile]
    totals, thresholds = _totals(told, rows, profile)
    total = totals.max() if at is None else totals[np.flatnonzero(thresholds >= at)[-1]]
    number = rows.windows.sum()
    return float(100.0 * (total + missed_cost * number) / ((1.0 + missed_cost) * number))


def threshold(told: FloatArray, rows: Rows, profile: str) -> float:
    """Return the best threshold."""
    totals, thresholds = _totals(told, rows, profile)
    return float(thresholds[totals.argmax()])


def _totals(told: FloatArray, rows: Rows, profile: str) -> tuple[FloatArray, FloatArray]:
    """Return the total at every threshold, falling from one that nothing reaches.

    A missed window costs, and the benchmark takes it from the windows whose rows count; the others can't be found nor missed.
    """
    false_cost, missed_cost = PROFILES[profile]
    order = np.argsort(-told, kind="stable")
    told, worth, window = told[order], rows.worth[order], rows.window[order]
    gain = np.where(window < 0, false_cost * worth, 0.0)
    for number in np.unique(window[window >= 0]).tolist():
        at = np.flatnonzero(window == number)
        best = np.maximum.accumulate(worth[at])  # the earliest alarm so far
        gain[at] = np.diff(best, prepend=-missed_cost)
    nothing = -missed_cost * len(np.unique(window[window >= 0]))
    last = np.flatnonzero(np.append(told[1:] != told[:-1], True))  # equal scores are alarms together
    return np.append(nothing, nothing + np.cumsum(gain)[last]), np.append(np.inf, told[last])


def _worth(n: int, windows: list[tuple[int, int]]) -> tuple[FloatArray, IntArray]:
    """Return the worth of every row, and the number of its window."""
    worth, window = np.full(n, -1.0), np.full(n, -1)
    at = np.arange(n)
    for number, (first, last) in enumerate(windows):
        width = last - first + 1
        behind = at > last
        distance = (at - last) / max(width - 1, 1)
        worth[behind] = np.where(distance[behind] > _FAR, -1.0, _sigmoid(distance[behind]))
        inside = (at >= first) & ~behind
        worth[inside] = _sigmoid((at[inside] - last - 1) / width) / _sigmoid(np.array(-1.0))
        window[inside] = number
    return worth, window


def _sigmoid(x: FloatArray) -> FloatArray:
    """Fall from 1 to -1, through 0 at the end of a window."""
    return 2.0 / (1.0 + np.exp(_STEEPNESS * x)) - 1.0
