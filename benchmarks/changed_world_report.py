"""What `benchmarks.changed_world` found, put together: losses by window and change, time to recover, reasons, promotions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.small_shop import BEGIN_S
from features.arrays import FloatArray

__all__ = ["ARMS", "CHANGED_S", "CHANGES", "DAYS", "Lived", "Losses", "Promotion", "lines", "plain", "recovery_h", "windows"]

CHANGES = ("release", "season", "rename")
ARMS = ("on", "stopped", "off")
DAYS = 5.0
CHANGED_S = BEGIN_S + 3 * 86_400

_HOUR_S = 3600
_ROLLING_H, _WITHIN = 12, 1.1


@dataclass(frozen=True)
class Promotion:
    """A model that took over from another one, and how both did from then to the end: the new one's log loss minus the former's."""

    at_s: int
    why: str
    difference: float
    interval: tuple[float, float] | None
    wide: tuple[float, float] | None


@dataclass(frozen=True)
class Losses:
    """Of matured forecasts: unix seconds of each row's forecast, and its loss in each arm."""

    at_s: np.ndarray
    of: dict[str, FloatArray]

    def mean(self, arm: str, begin_s: int, end_s: int) -> float:
        """Return an arm's mean within a time, NaN without rows."""
        rows = (self.at_s >= begin_s) & (self.at_s < end_s)
        return float(self.of[arm][rows].mean()) if rows.any() else float("nan")


@dataclass
class Lived:
    """A seed: its change, its losses, why it was trained, what came of it, and its promotions."""

    seed: int
    change: str
    losses: Losses
    reasons: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    steps: Counter[str] = field(default_factory=Counter[str])
    promotions: list[Promotion] = field(default_factory=list[Promotion])


def recovery_h(losses: Sequence[Losses], arm: str) -> float:
    """Return the hours from the change until the mean of some runs is back, NaN where it never is."""
    before = np.mean([one.mean(arm, CHANGED_S - 24 * _HOUR_S, CHANGED_S) for one in losses])
    for hour in range(_ROLLING_H, (BEGIN_S + int(DAYS * 86_400) - CHANGED_S) // _HOUR_S + 1):
        end_s = CHANGED_S + hour * _HOUR_S
        if np.nanmean([one.mean(arm, end_s - _ROLLING_H * _HOUR_S, end_s) for one in losses]) <= _WITHIN * before:
            return float(hour)
    return float("nan")


def lines(found: Sequence[Lived]) -> list[str]:
    """Return a table of windows by change, and what was promoted."""
    told = [f"{'change':9}{'arm':9}{'before':>9}{'at':>9}{'after':>9}{'recovery':>10}"]
    for change in CHANGES:
        runs = [one.losses for one in found if one.change == change]
        for arm in ARMS if runs else ():
            means = [np.nanmean([one.mean(arm, *window) for one in runs]) for window in windows().values()]
            hours = recovery_h(runs, arm)
            told.append(f"{change:9}{arm:9}" + "".join(f"{mean:9.4f}" for mean in means) + f"{hours:8.0f} h")
    for change in CHANGES:
        runs = [one for one in found if one.change == change]
        if runs:
            told.append(f"{change}, on minus the others after the change: {', '.join(_against(runs, arm) for arm in ARMS[1:])}")
    steps: Counter[str] = sum((one.steps for one in found), Counter[str]())
    told.append("steps: " + ", ".join(f"{name} {n}" for name, n in sorted(steps.items())))
    told.append("reasons: " + ", ".join(f"{name} {n}" for name, n in _kinds(found).most_common()))
    promotions = [one for run in found for one in run.promotions]
    for name, ends in (("90 %", [p.interval for p in promotions]), ("99 %", [p.wide for p in promotions])):
        worse, better = (sum(e is not None and sign * e[side] > 0 for e in ends) for side, sign in ((0, 1), (1, -1)))
        told.append(
            f"promotions over a former champion {len(promotions)}: worse beyond noise {worse}, better {better} ({name} intervals)"
        )
    return told


def windows() -> dict[str, tuple[int, int]]:
    """Return the ends of each window in unix seconds."""
    end_s = BEGIN_S + int(DAYS * 86_400)
    day_s = 24 * _HOUR_S
    return {
        "before": (CHANGED_S - day_s, CHANGED_S),
        "at": (CHANGED_S, CHANGED_S + 6 * _HOUR_S),
        "after": (end_s - day_s, end_s),
    }


def _against(runs: Sequence[Lived], arm: str) -> str:
    """Return how much adapting saved from the change on, over all rows, with an interval over seeds."""
    end_s = BEGIN_S + int(DAYS * 86_400)
    saved = np.array([one.losses.mean("on", CHANGED_S, end_s) - one.losses.mean(arm, CHANGED_S, end_s) for one in runs])
    drawn = saved[np.random.default_rng(0).integers(0, len(saved), (2000, len(saved)))].mean(axis=1)
    low, high = np.quantile(drawn, (0.05, 0.95))
    return f"{arm} {saved.mean():+.4f} [{low:+.4f}, {high:+.4f}]"


def _kinds(found: Sequence[Lived]) -> Counter[str]:
    """Count reasons to train by what they speak of, before and after the change."""
    signs = {
        "no model": "first model",
        "loss has risen": "loss",
        "times as often": "level",
        "looks otherwise": "columns",
        " h old": "age",
    }
    counted: defaultdict[str, int] = defaultdict(int)
    for one in found:
        for at_s, reason in one.reasons:
            when = "before" if at_s < CHANGED_S else "after"
            for sign, name in signs.items():
                counted[f"{name} ({when})"] += sign in reason
    return Counter({name: n for name, n in counted.items() if n})


def plain(one: Lived) -> dict[str, Any]:
    """Return a seed as JSON values, its losses by hour."""
    begin_s, end_s = int(one.losses.at_s.min()) // _HOUR_S * _HOUR_S, BEGIN_S + int(DAYS * 86_400)
    hours = range(begin_s, end_s, _HOUR_S)
    return {
        "seed": one.seed,
        "change": one.change,
        "hours": [(hour - BEGIN_S) // _HOUR_S for hour in hours],
        "losses": {arm: [one.losses.mean(arm, hour, hour + _HOUR_S) for hour in hours] for arm in ARMS},
        "reasons": one.reasons,
        "steps": dict(one.steps),
        "promotions": [[p.at_s, p.why, p.difference, p.interval, p.wide] for p in one.promotions],
    }
