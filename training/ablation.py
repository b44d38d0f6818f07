"""What each feature group and each member is worth: the same backtest without it, and with it alone.

`benchmarks.ablation` prints it for some data sets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from features.arrays import FloatArray, IntArray
from models.ensemble import ENSEMBLE
from models.hazard import cumulate, log_losses, reached
from training.bootstrap import Interval, average_precision, blocks_of
from training.choice import kind_of
from training.rows import Rows
from training.walkforward import WalkPlan, forecast_folds

__all__ = ["NOTHING", "Ablation", "How", "Part", "What", "ablate"]

NOTHING = "nothing"
"""Name of the ensemble that no feature tells anything: the base rate, kept calibrated as all others are."""

What = Literal["group", "member", "all", "none"]
"""What is changed."""

How = Literal["out", "in"]
"""Left out, or alone."""

_RESAMPLES = 200
_WORTH = {"better": "harms", "worse": "earns its place", "even": "even", "unknown": "unknown"}
_ALONE = {
    "better": "tells something alone",
    "worse": "tells nothing alone",
    "even": "tells nothing alone",
    "unknown": "unknown",
}


@dataclass(frozen=True, slots=True)
class Part:
    """The scores of the ensemble without a part of it, or with that part alone.

    Parameters
    ----------
    name : str
        A feature group or a member; `models.ensemble.ENSEMBLE` for the whole, `NOTHING` for none of the groups.
    what : {"group", "member", "all", "none"}
        Which of these.
    how : {"out", "in"}
        Left out, or alone.
    log_loss : float
        Nats a row, summed over the intervals in which it is at risk.
    ap : dict of str to float
        Average precision by horizon.
    difference : float
        `log_loss` minus that of the whole ensemble; above 0 it is worse than the whole.
    interval : tuple of float or None
        Its paired 90 % block-bootstrap interval.
    over_nothing : tuple of float or None
        The same of the difference to `NOTHING`.
    """

    name: str
    what: What
    how: How
    log_loss: float
    ap: dict[str, float]
    difference: float
    interval: Interval | None
    over_nothing: Interval | None

    @property
    def sign(self) -> str:
        """What it says of the part, in words; beyond doubt where it does not say even or nothing."""
        return _WORTH[kind_of(self.interval)] if self.how == "out" else _ALONE[kind_of(self.over_nothing)]


@dataclass(frozen=True, slots=True)
class Ablation:
    """All parts of one data set.

    Parameters
    ----------
    parts : tuple of Part
        The whole ensemble and the one that sees nothing, then each group out and in, then each member.
    rows, events : int
        Rows that were forecast, and incidents within their longest horizon.
    """

    parts: tuple[Part, ...]
    rows: int
    events: int

    def of(self, name: str, how: How) -> Part:
        """Return one part."""
        return next(part for part in self.parts if (part.name, part.how) == (name, how))


def ablate(rows: Rows, plan: WalkPlan, progress: Callable[[Part], None] = lambda _: None) -> Ablation:
    """Walk forward once for every part, fitting anew each time.

    A group that is left out has its columns held at their median before the first fold in every row, so that no learner can tell
    anything from them; where one is alone, all others are.

    Parameters
    ----------
    rows : Rows
        All rows, of any schema.
    plan : WalkPlan
        How to walk, and the members of the whole.
    progress : callable
        Told every part once it is scored.

    References
    ----------
    Meyes, Lu, de Puiseau, Meisen (2019), Ablation studies in artificial neural networks (the term; groups here, not neurons).
    """
    chosen, said = forecast_folds(rows, plan)
    blind = forecast_folds(_without(rows, np.arange(len(rows.schema.features)), plan), plan)[1][ENSEMBLE]
    test = rows.take(chosen)
    y, at_risk = test.targets()
    hit, known = reached(y, at_risk)
    blocks = blocks_of(test.as_of_s, block_s=2 * max(test.horizons.values()), n_resamples=_RESAMPLES, seed=plan.seed)
    whole, none = ((log_losses(hazards, y) * at_risk).sum(axis=1) for hazards in (said[ENSEMBLE], blind))

    def part_of(name: str, what: What, how: How, hazards: FloatArray) -> Part:
        loss, p = (log_losses(hazards, y) * at_risk).sum(axis=1), cumulate(hazards)
        part = Part(
            name=name,
            what=what,
            how=how,
            log_loss=float(loss.mean()),
            ap={h: average_precision(p[known[:, j], j], hit[known[:, j], j]) for j, h in enumerate(test.horizons)},
            difference=float((loss - whole).mean()),
            interval=blocks.interval(blocks.mean(loss - whole)),
            over_nothing=blocks.interval(blocks.mean(loss - none)),
        )
        progress(part)
        return part

    found = [part_of(ENSEMBLE, "all", "in", said[ENSEMBLE]), part_of(NOTHING, "none", "in", blind)]
    for what, name, how, less, fewer in _variants(rows, plan):
        found.append(part_of(name, what, how, forecast_folds(less, fewer)[1][ENSEMBLE]))
    return Ablation(tuple(found), len(test), test.events())


def _variants(rows: Rows, plan: WalkPlan) -> Iterator[tuple[What, str, How, Rows, WalkPlan]]:
    """Yield what is changed, and the rows and the plan to walk with."""
    everything = np.arange(len(rows.schema.features))
    for group in rows.schema.groups:
        columns = np.array(rows.schema.columns(group))
        yield "group", group, "out", _without(rows, columns, plan), plan
        yield "group", group, "in", _without(rows, np.setdiff1d(everything, columns), plan), plan
    for member in plan.members:
        others = tuple(name for name in plan.members if name != member)
        if others:
            yield "member", member, "out", rows, replace(plan, members=others)
            yield "member", member, "in", rows, replace(plan, members=(member,))


def _without(rows: Rows, columns: IntArray, plan: WalkPlan) -> Rows:
    begin, end = int(rows.as_of_s.min()), int(rows.as_of_s.max())
    before = rows.as_of_s <= begin + plan.first_share * (end - begin)
    x = rows.x.copy()
    x[:, columns] = np.median(rows.x[before][:, columns], axis=0)
    return replace(rows, x=x)
