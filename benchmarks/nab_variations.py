"""Whether thresholds of the anomaly detector hold on series that they were not chosen on, without a look at the files for testing.

    python -m benchmarks.nab_variations NAB_DIR [--json]

The files for choosing (`benchmarks.nab.CHOSEN_ON`), and seven variations of each: every second value, three times as fine, four times as
long with days resampled from its own quiet ones, as counts, as longer counts, longer and six times as coarse, and longer with low weekends.
Constants of `models.anomaly` and `models.experts` were chosen by what this prints: the best score of each variation at its own threshold,
and the mean score at thresholds chosen on other files, categories and variations. docs/measurements.md has the numbers.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.answers import answers_as_json, deliver
from benchmarks.nab import CHOSEN_ON, earned, judged
from benchmarks.nab_rules import Recording, Rows, read, rows, score, threshold
from features.arrays import BoolArray, FloatArray

__all__ = ["VARIATIONS", "main"]

_DAY_S = 86_400.0
_HALVES = 20
_NOISE = 0.3  # of the median step: no day comes twice to the last digit


def coarser(recording: Recording, step: int) -> Recording:
    """Keep every `step`-th value."""
    n = len(recording.value) // step
    windows = [(first // step, min(last // step, n - 1)) for first, last in recording.windows]
    return _like(recording, recording.time_s[::step][:n], recording.value[::step][:n], windows)


def finer(recording: Recording, rng: np.random.Generator, step: int = 3) -> Recording:
    """Put values between the values."""
    place = np.arange(0.0, len(recording.value) - 1.0, 1.0 / step)
    value = np.interp(place, np.arange(len(recording.value)), recording.value)
    value += rng.normal(size=len(value)) * _noise(recording)
    windows = [(first * step, min(last * step, len(value) - 1)) for first, last in recording.windows]
    return _like(recording, recording.time_s[0] + place * _gap_s(recording), value, windows)


def longer(recording: Recording, rng: np.random.Generator, times: int = 3) -> Recording:
    """Put quiet days of the file before and behind it, in any order; windows grow with it, as in the benchmark."""
    n, gap_s = len(recording.value), _gap_s(recording)
    day = round(_DAY_S / gap_s) if n * gap_s >= 3 * _DAY_S else n // 12
    labelled = np.zeros(n, np.bool_)
    for first, last in recording.windows:
        labelled[first : last + 1] = True
    starts = np.array([at for at in range(n - day + 1) if not labelled[at : at + day].any()])
    total = times * n // day
    before = int(total * rng.uniform(0.2, 0.8))
    middle = float(np.median(recording.value[~labelled]))

    def days(phase: int, number: int) -> FloatArray:
        fitting = starts[starts % day == phase % day]
        chosen = rng.choice(fitting if len(fitting) else starts, number)
        own = np.stack([recording.value[at : at + day] for at in chosen]) if number else np.zeros((0, day))
        size = np.exp(0.05 * rng.normal(size=(number, 1)))
        return (middle + (own - middle) * size + rng.normal(size=own.shape) * _noise(recording)).ravel()

    value = np.concatenate([days(0, before), recording.value, days(n, total - before)])
    time_s = recording.time_s[0] + gap_s * (np.arange(len(value)) - before * day)
    windows = [(first + before * day, last + before * day) for first, last in recording.windows]
    return _like(recording, time_s, value, _wider(windows, len(value), times + 1))


def counted(recording: Recording, rng: np.random.Generator) -> Recording:
    """Count something of which there are 40 when the value is at its median, a little burstier than Poisson."""
    value = recording.value - min(float(recording.value.min()), 0.0)
    usual = float(np.median(value)) or max(float(value.mean()), 1e-9)
    mean = np.minimum(40.0 * value / usual, 1e5) * rng.gamma(25.0, 1.0 / 25.0, len(value))
    return _like(recording, recording.time_s, rng.poisson(mean).astype(float), recording.windows)


def weekly(recording: Recording) -> Recording:
    """Let weekends be lower."""
    day = (recording.time_s // _DAY_S + 4.0) % 7.0  # the epoch was a Thursday
    low = float(np.quantile(recording.value, 0.02))
    share = np.where((day == 0.0) | (day == 6.0), 0.55, 1.0)
    return _like(recording, recording.time_s, low + (recording.value - low) * share, recording.windows)


VARIATIONS: Mapping[str, Callable[[Recording, np.random.Generator], Recording]] = {
    "as they are": lambda recording, _: recording,
    "every second value": lambda recording, _: coarser(recording, 2),
    "finer": finer,
    "longer": longer,
    "counts": counted,
    "longer counts": lambda recording, rng: longer(counted(recording, rng), rng),
    "longer and coarser": lambda recording, rng: coarser(longer(recording, rng), 6),
    "longer, low weekends": lambda recording, rng: coarser(weekly(longer(recording, rng)), 3),
}


def held(scores: FloatArray, counts: Rows, groups: Sequence[tuple[BoolArray, BoolArray]]) -> float:
    """Return the mean score of files at thresholds chosen on others: pairs of which files to choose on, and which to score."""
    got = windows = 0.0
    for choose, judge in groups:
        own, mine = counts.of(np.flatnonzero(choose).tolist())
        other, theirs = counts.of(np.flatnonzero(judge).tolist())
        got += earned(scores[theirs], other, "standard", threshold(scores[mine], own, "standard"))
        windows += float(other.windows.sum())
    return 100.0 * got / windows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the benchmark's data and labels")
    answers_as_json(parser)
    asked = parser.parse_args()
    rng = np.random.default_rng(asked.seed)
    files = [recording for recording in read(asked.folder) if recording.category in CHOSEN_ON]
    recordings = [vary(file, rng) for vary in VARIATIONS.values() for file in files]
    counts, kept = rows(recordings)
    scores = np.concatenate([values[mine] for values, mine in zip(judged(recordings)[0], kept, strict=True)])
    variation, file = np.divmod(np.arange(len(recordings)), len(files))
    category = np.array([recording.category for recording in recordings])
    halves = [np.isin(file, rng.permutation(len(files))[: len(files) // 2]) for _ in range(_HALVES)]
    found = {
        "other files": held(scores, counts, [pair for half in halves for pair in ((half, ~half), (~half, half))]),
        "other categories": held(scores, counts, [(category != name, category == name) for name in CHOSEN_ON]),
        "other variations": held(scores, counts, [(variation != v, variation == v) for v in range(len(VARIATIONS))]),
    }
    for place, name in enumerate(VARIATIONS):
        own, mine = counts.of(np.flatnonzero(variation == place).tolist())
        found[name] = score(scores[mine], own, "standard")
    for name, value in found.items():
        print(f"{name:24s} {value:.1f}", file=sys.stderr)
    deliver(asked, scores=found)


def _like(recording: Recording, time_s: FloatArray, value: FloatArray, windows: list[tuple[int, int]]) -> Recording:
    return Recording(recording.category, recording.name, time_s, value, windows)


def _gap_s(recording: Recording) -> float:
    return float(np.median(np.diff(recording.time_s)))


def _noise(recording: Recording) -> float:
    return _NOISE * float(np.median(np.abs(np.diff(recording.value))))


def _wider(windows: Sequence[tuple[int, int]], n: int, times: int) -> list[tuple[int, int]]:
    """Return windows about the same middle, and those that now overlap as one."""
    found = list[tuple[int, int]]()
    for first, last in windows:
        half = (last - first) / 2 * times
        low, high = max(0, int((first + last) / 2 - half)), min(n - 1, int((first + last) / 2 + half))
        if found and low <= found[-1][1]:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        else:
            found.append((low, high))
    return found


if __name__ == "__main__":
    main()
