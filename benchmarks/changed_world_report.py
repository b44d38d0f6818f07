"""What `benchmarks.changed_world` found, put together: losses by window and change, time to recover, reasons, promotions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.small_shop import BEGIN_S
from features.arrays import BoolArray, FloatArray, IntArray

__all__ = ["ARMS", "CHANGED_S", "CHANGES", "DAYS", "Lived", "Losses", "Promotion", "lines", "plain", "recovery_h", "windows"]

CHANGES = ("release", "season", "rename")
ARMS = ("on", "stopped", "off")
DAYS = 5.0
CHANGED_S = BEGIN_S + 3 * 86_400

_HOUR_S = 3600
_ROLLING_H, _WITHIN = 6, 1.1
_END_S = BEGIN_S + int(DAYS * 86_400)


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
    """Of matured forecasts: unix seconds of each row, its loss in each arm, and where incidents began and could by interval."""

    at_s: IntArray
    of: dict[str, FloatArray]
    began: FloatArray
    at_risk: BoolArray

    def take(self, rows: BoolArray) -> Losses:
        """Return some of the rows."""
        return Losses(self.at_s[rows], {arm: loss[rows] for arm, loss in self.of.items()}, self.began[rows], self.at_risk[rows])

    @classmethod
    def joined(cls, parts: Sequence[Losses]) -> Losses:
        """Return all rows of some."""
        of = {arm: np.concatenate([part.of[arm] for part in parts]) for arm in ARMS}
        at_s, began, risk = (np.concatenate([getattr(part, name) for part in parts]) for name in ("at_s", "began", "at_risk"))
        return cls(at_s, of, began, risk)

    def within(self, begin_s: int, end_s: int) -> Losses:
        """Return the rows of a time."""
        return self.take((self.at_s >= begin_s) & (self.at_s < end_s))

    def mean(self, arm: str) -> float:
        """Return an arm's mean, NaN without rows."""
        return float(self.of[arm].mean()) if len(self.at_s) else float("nan")

    def part(self, arm: str) -> float:
        """Return an arm's loss as a part of that of the base rate of the same rows, NaN where nothing began.

        Examples
        --------
        >>> began = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
        >>> losses = Losses(np.zeros(2), {"on": np.array([0.3, 0.4])}, began, np.ones((2, 3), bool))
        >>> round(losses.part("on"), 3)  # 0.7 of 2 log 2
        0.505
        """
        risk, began = self.at_risk.sum(axis=0), self.began.sum(axis=0)
        rate = np.clip(began / np.maximum(risk, 1), 1e-9, 1.0 - 1e-9)
        base = float(-(began * np.log(rate) + (risk - began) * np.log1p(-rate)).sum())
        return float(self.of[arm].sum()) / base if began.any() else float("nan")


@dataclass
class Lived:
    """A seed: its change, its losses, why it was trained, what came of it, and its promotions."""

    seed: int
    change: str
    losses: Losses
    reasons: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    steps: Counter[str] = field(default_factory=Counter[str])
    promotions: list[Promotion] = field(default_factory=list[Promotion])


def recovery_h(losses: Losses, arm: str) -> float:
    """Return the hours from the change until the loss is back as a part of the base rate's, NaN where it never is."""
    before = losses.within(*windows()["before"]).part(arm)
    for hour in range(_ROLLING_H, (_END_S - CHANGED_S) // _HOUR_S + 1):
        end_s = CHANGED_S + hour * _HOUR_S
        if losses.within(end_s - _ROLLING_H * _HOUR_S, end_s).part(arm) <= _WITHIN * before:
            return float(hour)
    return float("nan")


def lines(found: Sequence[Lived]) -> list[str]:
    """Return a table of windows by change, and what was promoted."""
    told = [f"{'change':9}{'arm':9}{'before':>15}{'at':>15}{'after':>15}{'recovery':>10}"]
    for change in CHANGES:
        runs = [one.losses for one in found if one.change == change]
        told += _table(change, Losses.joined(runs)) if runs else []
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


def _table(change: str, losses: Losses) -> list[str]:
    told: list[str] = []
    for arm in ARMS:
        parts = [losses.within(*window) for window in windows().values()]
        means = "".join(f"{part.mean(arm):8.4f} ({part.part(arm):4.2f})" for part in parts)
        told.append(f"{change:9}{arm:9}{means}{recovery_h(losses, arm):8.0f} h")
    return told


def windows() -> dict[str, tuple[int, int]]:
    """Return the ends of each window in unix seconds."""
    day_s = 24 * _HOUR_S
    return {
        "before": (CHANGED_S - day_s, CHANGED_S),
        "at": (CHANGED_S, CHANGED_S + 6 * _HOUR_S),
        "after": (_END_S - day_s, _END_S),
    }


def _against(runs: Sequence[Lived], arm: str) -> str:
    """Return how much adapting saved from the change on, over all rows, with an interval over seeds."""
    after = [one.losses.within(CHANGED_S, _END_S) for one in runs]
    saved = np.array([one.mean("on") - one.mean(arm) for one in after])
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
    hours = range(int(one.losses.at_s.min()) // _HOUR_S * _HOUR_S, _END_S, _HOUR_S)
    return {
        "seed": one.seed,
        "change": one.change,
        "hours": [(hour - BEGIN_S) // _HOUR_S for hour in hours],
        "losses": {arm: [one.losses.within(hour, hour + _HOUR_S).mean(arm) for hour in hours] for arm in ARMS},
        "reasons": one.reasons,
        "steps": dict(one.steps),
        "promotions": [[p.at_s, p.why, p.difference, p.interval, p.wide] for p in one.promotions],
    }
