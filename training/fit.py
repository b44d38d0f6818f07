"""Fit the hazard ensemble and its opponents on rows in order of time.

Takes `training.rows.Rows` from `training.dataset`; what it returns goes to `training.evaluate`,
`training.gate` and, if it is good enough, to `models.registry`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import cast

import numpy as np
from joblib import Parallel, delayed

from features.arrays import BoolArray, Float32Array, FloatArray
from features.errors import InvalidValue
from features.schema import FeatureSchema
from models.baseline import Climatology, Rate, Recency, Seasonal
from models.categories import CategoryMixture
from models.contract import Learner
from models.ensemble import Ensemble, Named
from models.hazard import cumulate, intervals_of, reached
from models.linear import HazardLinear
from models.threads import one_thread
from models.trees import HazardForest, HazardTrees
from training.alerting import alert_column, threshold_for
from training.categories import MIXTURE, fit_categories
from training.rows import Rows
from training.split import Block, Split, SplitPlan, split

__all__ = ["CLIMATOLOGY", "MEMBERS", "FitRecord", "Fitted", "fit", "fit_blocks", "overlaps_of"]

CLIMATOLOGY = "climatology"
"""Name of the base-rate forecast, which is the reference of every skill."""

MEMBERS = ("trees", "forest", "linear")
"""Models that are stacked."""

_READ_BY_BASELINES = "incident_rate"
"""A column that only a schema with a series' own incidents has."""

_DAY_S = 86_400

_MEMORIES = 3.0
"""Days or weeks that have to be learned from before a column that tells of a whole one is used. Guessed: of an hour that was seen once or
twice a model learns what happened then."""


@dataclass(frozen=True, slots=True)
class FitRecord:
    """What a fit was made from.

    Parameters
    ----------
    seed : int
        Seed of everything that has chance in it.
    data_sha256 : str
        Hash of the rows that were given, with their labels and weights.
    split : Split
        The blocks.
    rows, events : dict of str to int
        Usable rows and distinct incidents of ``train``, ``middle``, ``test`` and ``refit``.
    weights : dict of str to float
        Stacking weight of each member.
    thresholds : dict of str to float
        Probability for the alert budget, see `training.alerting.alert_column`, by forecaster, from out-of-time forecasts of the middle
        block.
    budget_per_day : float
        The alert budget.
    notes : tuple of str
        What had to give, in words.
    """

    seed: int
    data_sha256: str
    split: Split
    rows: dict[str, int]
    events: dict[str, int]
    weights: dict[str, float]
    thresholds: dict[str, float]
    budget_per_day: float
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fitted:
    """An ensemble and its record.

    Parameters
    ----------
    ensemble : Ensemble
        With the mixture that tells categories.
    record : FitRecord
        What it was made from.
    categories : dict of str to CategoryMixture
        The same mixture and each source alone, of the same rows; empty where rows have no categories.
    """

    ensemble: Ensemble
    record: FitRecord
    categories: dict[str, CategoryMixture] = field(default_factory=dict[str, CategoryMixture])


def fit(
    rows: Rows,
    *,
    seed: int = 0,
    jobs: int = 2,
    budget_per_day: float = 2.0,
    plan: SplitPlan | None = None,
    members: Sequence[str] = MEMBERS,
) -> Fitted:
    """Fit members, stack them out of time, and fit them again on everything before the test block.

    Members and baselines are fitted on the training block. What they say on the middle block, which they
    have not seen, decides weights, calibration, bounds and alert thresholds. Then members and baselines are
    fitted anew on both blocks, as stacked generalisation does, because the latest rows teach the most; the
    test block stays unseen, so what is measured on it is what is served.

    Parameters
    ----------
    rows : Rows
        All rows of a history.
    seed : int
        Same rows and seed, same numbers.
    jobs : int
        Members fitted at a time, where joblib's backend does not decide that itself. Which backend it is changes no number: the
        caller chooses it with `joblib.parallel_config`, and threads are the default.
    budget_per_day : float
        Alerts a day over all series.
    plan : SplitPlan, optional
        How to cut.
    members : sequence of str
        Which of `MEMBERS` to stack; fewer to see what one is worth.

    Raises
    ------
    InvalidValue
        When the history is too short to be split, or a member is none of `MEMBERS`.
    """
    cut = split(rows, plan)
    return fit_blocks(rows, cut, seed=seed, jobs=jobs, budget_per_day=budget_per_day, members=members)


def fit_blocks(
    rows: Rows, cut: Split, *, seed: int = 0, jobs: int = 2, budget_per_day: float = 2.0, members: Sequence[str] = MEMBERS
) -> Fitted:
    """Do what `fit` does on blocks that were cut already.

    Parameters
    ----------
    rows : Rows
        All rows. Where the schema lacks the columns that baselines read, the base rate is the only one.
    cut : Split
        Blocks of these rows.
    seed, jobs, budget_per_day, members
        As in `fit`.

    Raises
    ------
    InvalidValue
        When a member is none of `MEMBERS`.
    """
    if not members or not set(members) <= set(MEMBERS):
        raise InvalidValue(f"members must be some of {MEMBERS}, got {tuple(members)}")
    blocks = {"train": cut.train, "middle": cut.middle, "test": cut.test, "refit": cut.refit}
    waiting = rows.schema.longer((cut.train.end_s - cut.train.begin_s) / _MEMORIES)
    parts = {name: _labelled(rows, block) for name, block in blocks.items()}
    events = {name: part.rows.events() for name, part in parts.items()}
    named, baselines = _fit_all(parts["train"], waiting, members, seed, jobs)
    middle = parts["middle"]
    ensemble = Ensemble(named, baselines, _tick_s(rows), rows.horizons).fit(
        middle.rows.x, middle.y, middle.at_risk, events["middle"]
    )
    thresholds = {name: _threshold(hazards, middle, budget_per_day) for name, hazards in ensemble.out_of_time_.hazards.items()}
    refitted = ensemble.refitted(*_fit_all(parts["refit"], waiting, members, seed, jobs))
    if len(parts["refit"].rows):
        refitted = refitted.watching(parts["refit"].rows.x)
    categories = fit_categories(parts["refit"].rows)
    if categories:
        refitted = refitted.telling(categories[MIXTURE])
    record = FitRecord(
        seed=seed,
        data_sha256=_hash(rows),
        split=cut,
        rows={name: len(part.rows) for name, part in parts.items()},
        events=events,
        weights=ensemble.weights,
        thresholds=thresholds,
        budget_per_day=budget_per_day,
        notes=(*cut.notes, *_waiting(rows.schema, waiting), *_notes(events, cut)),
    )
    return Fitted(refitted, record, categories)


@dataclass(frozen=True, slots=True)
class _Part:
    """Usable rows of a block with their labels as known at the block's purge."""

    rows: Rows
    y: FloatArray
    at_risk: BoolArray


def _labelled(rows: Rows, block: Block) -> _Part:
    """Take a block's rows that are at risk in some interval, in order of time."""
    _, at_risk = rows.targets()
    chosen = np.flatnonzero(block.rows & at_risk.any(axis=1))
    part = rows.take(chosen[np.argsort(rows.as_of_s[chosen], kind="stable")])
    y, risk = part.targets()
    return _Part(part, y, risk)


def _fit_all(part: _Part, waiting: Sequence[int], wanted: Sequence[str], seed: int, jobs: int) -> tuple[Named, Named]:
    """Fit the wanted members, without columns that wait, and every baseline on a block."""
    schema = part.rows.schema
    known: dict[str, Learner] = {
        "trees": HazardTrees(seed=seed),
        "forest": HazardForest(seed=seed),
        "linear": HazardLinear(seed=seed, overlaps=overlaps_of(part.rows)),
    }
    members = [(name, known[name]) for name in wanted]
    baselines: list[tuple[str, Learner]] = [(CLIMATOLOGY, Climatology())]
    if _READ_BY_BASELINES in schema.names:
        baselines = [("recency", Recency(schema)), ("rate", Rate(schema)), ("seasonal", Seasonal(schema)), *baselines]
    x = _blinded(part.rows.x, waiting)
    # Opponents and the reference of every skill are fitted without weights: what people say must not move them.
    # Arrays, not the part: backends with processes hand each of them over once, however many tasks name it.
    tasks = [delayed(_fit_one)(model, x, part.y, part.at_risk, part.rows.weight) for _, model in members]
    tasks += [delayed(_fit_one)(model, part.rows.x, part.y, part.at_risk, None) for _, model in baselines]
    # Threads by default: the fits leave the interpreter lock for most of their time, and rows need not be copied.
    # The limit is held around all of them: a fit that ends would lift it for those still at work, and sums over
    # several threads differ in their last bits from run to run.
    with one_thread():
        fitted = cast("list[Learner]", Parallel(n_jobs=jobs, prefer="threads")(tasks))
    names = [name for name, _ in (*members, *baselines)]
    named = tuple(zip(names, fitted, strict=True))
    return named[: len(members)], named[len(members) :]


def _fit_one(model: Learner, x: Float32Array, y: FloatArray, at_risk: BoolArray, weight: FloatArray | None) -> Learner:
    with one_thread():  # elsewhere than here nobody holds it
        return model.fit(x, y, at_risk, weight)


def _blinded(x: Float32Array, columns: Sequence[int]) -> Float32Array:
    """Return rows whose columns hold nothing to learn from: no tree splits there, and no weight leaves 0."""
    if not columns:
        return x
    blinded = x.copy()
    blinded[:, columns] = 0.0
    return blinded


def _threshold(hazards: FloatArray, part: _Part, budget_per_day: float) -> float:
    _, known = reached(part.y, part.at_risk)
    usable = known[:, -1]
    p = cumulate(hazards)[usable, alert_column(part.rows.horizons)]
    longest_s = max(part.rows.horizons.values())
    return threshold_for(p, part.rows.series[usable], part.rows.as_of_s[usable], budget_per_day, longest_s)


def overlaps_of(rows: Rows) -> tuple[float, ...]:
    """Return how many rows of a series share an interval's label."""
    tick_s = _tick_s(rows)
    return tuple(max(1.0, (end_s - begin_s) / tick_s) for begin_s, end_s in intervals_of(rows.horizons))


def _tick_s(rows: Rows) -> float:
    """Return the usual distance between two rows of a series."""
    order = np.lexsort((rows.as_of_s, rows.series))
    steps = np.diff(rows.as_of_s[order])[np.diff(rows.series[order]) == 0]
    return float(np.median(steps)) if len(steps) and np.median(steps) > 0 else 60.0


def _hash(rows: Rows) -> str:
    digest = sha256(rows.schema.sha256.encode())
    known = () if rows.evidence is None else (rows.evidence.place, rows.evidence.counts)
    outcomes = (rows.next_start_s, rows.category, rows.eligible, rows.undetected)
    said = [array for array in (rows.observed_until_s, rows.weight) if array is not None]
    for array in (rows.x, rows.series, rows.as_of_s, *outcomes, *known, *said):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _waiting(schema: FeatureSchema, columns: Sequence[int]) -> tuple[str, ...]:
    """Say which columns wait for a longer history."""
    if not columns:
        return ()
    return (f"not used before history is longer: {', '.join(schema.names[column] for column in columns)}",)


def _notes(events: dict[str, int], cut: Split) -> tuple[str, ...]:
    """Say in words where a block holds too little to decide anything."""
    notes = [
        f"the {name} block has {events[name]} incidents, too few to say much"
        for name in ("train", "middle", "test")
        if events[name] < 10  # noqa: PLR2004 - guessed, and only words depend on it
    ]
    if not events["middle"]:
        notes.append("no incident in the middle block: members are weighed equally and bounds are wide")
    days = (cut.test.end_s - cut.test.begin_s) / _DAY_S
    notes.append(f"tested on the last {days:.1f} days, with {events['test']} incidents")
    return tuple(notes)
