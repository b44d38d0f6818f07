"""The feature matrix of all series at a tick, in one vectorised pass: the only place that builds vectors.

Reads a `features.memory.Memory`; live code, replay and training call the same `extract`; `models` take
the matrix.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from features import excitation, signals, surroundings
from features.arrays import Float32Array, FloatArray
from features.facts import CATEGORIES
from features.memory import Memory
from features.schema import Feature, FeatureSchema
from features.view import View

__all__ = ["SCHEMA", "extract"]

_GROUPS: tuple[tuple[str, Callable[[View], list[FloatArray]], tuple[str, ...]], ...] = (
    (
        "errors",
        signals.errors,
        (
            *(f"errors_log_{s}" for s in signals.SPANS),
            *(f"failed_share_{s}" for s in signals.SPANS),
            "server_error_share_5",
            "server_error_share_60",
        ),
    ),
    (
        "surprise",
        signals.surprises,
        (
            "error_surprise_1",
            "error_surprise_5",
            "error_surprise_15",
            "failed_surprise_5",
            "errors_deviation",
            "share_deviation",
        ),
    ),
    ("trend", signals.trends, ("errors_slope_15", "errors_slope_60", "errors_acceleration", "share_slope_30")),
    (
        "volume",
        signals.volume,
        ("traffic_log_5", "traffic_log_60", "traffic_change_5", "traffic_against_usual", "silent_log"),
    ),
    (
        "latency",
        signals.latency,
        (
            "p50_log_5",
            "p95_log_5",
            "p50_shift_5",
            "p95_shift_5",
            "p95_shift_15",
            "p95_shift_360",
            "mean_slope_30",
            "max_log_5",
        ),
    ),
    (
        "warnings",
        signals.warnings,
        (
            *(f"warnings_log_{s}" for s in (5, 15, 60)),
            *(f"handled_log_{s}" for s in (5, 15, 60)),
            "warning_surprise_5",
            "warning_surprise_15",
            "warnings_change",
            "handled_change",
            "warnings_slope_30",
            "handled_slope_30",
        ),
    ),
    ("novelty", surroundings.novelty, ("novel_log_5", "novel_log_60")),
    ("mix", surroundings.mix, ("mix_entropy_15", "mix_top_share_15", *(f"{name}_log_60" for name in CATEGORIES))),
    (
        "levels",
        surroundings.levels,
        ("level_distance", "level_distance_second", "level_growth_30", "level_climb", "levels_rising"),
    ),
    (
        "neighbours",
        surroundings.neighbours,
        (
            "callee_error_surprise",
            "callee_latency_shift",
            "callee_warnings",
            "callee_level_distance",
            "caller_error_surprise",
            "callees_in_incident",
        ),
    ),
    ("change", surroundings.change, ("since_change_log", "changed_60", "started_5", "started_60")),
    (
        "incident_history",
        surroundings.history,
        (
            "incident_decay_5",
            "incident_decay_15",
            "incident_decay_60",
            "incident_decay_1440",
            "incident_rate",
            "incident_rate_pooled",
            "incident_rate_seasonal",
            "since_incident_log",
            "share_broken",
        ),
    ),
    (
        "intensity",
        surroundings.intensity,
        (
            *(f"events_log_decay_{s:.0f}" for s in excitation.DECAYS_MIN),
            *(f"since_event_log_{k}" for k in excitation.SHOWN),
            "event_gap_log",
            "event_gap_spread",
            "event_gap_phase",
            "events_known",
            "event_rate_log",
            "event_season_log",
            *(f"service_events_log_{s:.0f}" for s in excitation.AROUND_MIN),
            *(f"tenant_events_log_{s:.0f}" for s in excitation.AROUND_MIN),
        ),
    ),
    ("time", surroundings.time, ("hour_sin", "hour_cos")),
    ("data_age", surroundings.data_age, ("data_age_log", "whole_service")),
)

_DAY_S = 86_400
_MEMORY_S = {
    f"events_log_decay_{minutes:.0f}": int(60 * minutes) for minutes in excitation.DECAYS_MIN if 60 * minutes >= _DAY_S
} | dict.fromkeys(("hour_sin", "hour_cos", "incident_decay_1440"), _DAY_S)

_ROWS = (
    4096  # guessed: series whose own windows are read together, so that what is made of them stays in the processor's caches
)

SCHEMA = FeatureSchema(
    2, tuple(Feature(name, group, memory_s=_MEMORY_S.get(name, 0)) for group, _, names in _GROUPS for name in names)
)
"""The columns that `extract` fills. Raise the version when a column changes its meaning."""


def extract(memory: Memory) -> Float32Array:
    """Build the feature matrix of all series as of the end of the last closed tick.

    Parameters
    ----------
    memory : Memory
        State that holds only what was received by then.

    Returns
    -------
    Float32Array, shape (n_series, len(SCHEMA.features))
        Finite values; row i belongs to ``memory.directory.keys[i]``.

    Examples
    --------
    >>> from features.memory import Memory
    >>> extract(Memory()).shape[1] == len(SCHEMA.features)
    True
    """
    n = len(memory.directory)
    if n == 0:
        return np.zeros((0, len(SCHEMA.features)), np.float32)
    view, matrix = View.of(memory), np.empty((n, len(SCHEMA.features)), np.float32)
    parts = [slice(begin, min(begin + _ROWS, n)) for begin in range(0, n, _ROWS)]
    for rows in parts:
        _fill(matrix[rows], view.part(rows), own=True)
    _fill(matrix, view, own=False)
    return np.nan_to_num(matrix, copy=False, nan=0.0, posinf=1e6, neginf=-1e6)


def _fill(matrix: Float32Array, view: View, *, own: bool) -> None:
    """Fill the columns of the groups that read a series' own windows, or of the others."""
    begin = 0
    for _, function, names in _GROUPS:
        end = begin + len(names)
        if (function.__module__ == signals.__name__) == own:
            for place, column in zip(range(begin, end), function(view), strict=True):
                matrix[:, place] = column
        begin = end
