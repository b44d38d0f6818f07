"""Whether the detector's tail of 0.01 comes in one tick of a hundred, and of 0.001 in one of a thousand.

    python -m benchmarks.anomaly_calibration [--nab NAB_DIR] [--json]

Simulated stationary series, and with --nab the rows of the files for choosing that are neither in a labelled window nor in the part that
does not count. `models.anomaly.Anomalies` judges them; docs/measurements.md states the shares.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.answers import answers_as_json, deliver
from benchmarks.nab import CHOSEN_ON, judged
from benchmarks.nab_rules import Recording, read, rows
from features.arrays import FloatArray

__all__ = ["main", "quiet", "simulated"]

_TICKS, _FROM_TICK, _SERIES = 10_000, 4_000, 8
_TAILS = (0.01, 0.001)


def simulated(rng: np.random.Generator) -> dict[str, list[Recording]]:
    """Return stationary series of several kinds, a value a minute."""
    n, minute = _SERIES, np.arange(_TICKS, dtype=float)
    kinds = {
        "normal": rng.normal(size=(n, _TICKS)),
        "log-normal": np.exp(rng.normal(size=(n, _TICKS))),
        "Poisson, 3 a tick": rng.poisson(3.0, (n, _TICKS)),
        "Poisson, 0.05 a tick": rng.poisson(0.05, (n, _TICKS)),
        "daily": 10.0 + 5.0 * np.sin(minute / 1440.0 * 2.0 * np.pi) + rng.normal(size=(n, _TICKS)),
    }
    return {
        name: [Recording("simulated", name, 1.7e9 + 60.0 * minute, series.astype(float), []) for series in values]
        for name, values in kinds.items()
    }


def quiet(recordings: Sequence[Recording], tails: Sequence[FloatArray]) -> FloatArray:
    """Return the tails of rows that count and are in no labelled window."""
    counted, kept = rows(recordings)
    return np.concatenate([tail[mine] for tail, mine in zip(tails, kept, strict=True)])[counted.window < 0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nab", type=Path, help="the benchmark's data and labels")
    answers_as_json(parser)
    asked = parser.parse_args()
    found: dict[str, list[float]] = {}
    for name, series in simulated(np.random.default_rng(asked.seed)).items():
        _, tails = judged(series)
        found[name] = _shares(np.concatenate([tail[_FROM_TICK:] for tail in tails]))
    if asked.nab:
        recordings = [recording for recording in read(asked.nab) if recording.category in CHOSEN_ON]
        found["quiet rows of the files for choosing"] = _shares(quiet(recordings, judged(recordings)[1]))
    for name, shares in found.items():
        print(f"{name:38s}", ", ".join(f"{at} in {share:.5f} of ticks" for at, share in zip(_TAILS, shares, strict=True)))
    deliver(asked, shares=found)


def _shares(tails: FloatArray) -> list[float]:
    return [float((tails <= at).mean()) for at in _TAILS]


if __name__ == "__main__":
    main()
