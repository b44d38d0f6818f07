"""Fit the mixture that tells categories, and score it beside each of its sources alone.

`training.fit` and `training.walkforward` give it rows; `training.report` shows the scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from features.arrays import FloatArray, IntArray
from features.evidence import SOURCES
from features.facts import CATEGORIES
from models.categories import FLOOR, PRIOR, CategoryMixture, fit_mixture
from training.bootstrap import Blocks, Interval, blocks_of
from training.rows import Rows

__all__ = ["MIXTURE", "CategoryScores", "fit_categories", "score_categories", "tell"]

MIXTURE = "mixture"
"""Name of what is served; the others are a source of `features.evidence.SOURCES` each, with a floor."""

_ALONE = 0.8  # guessed: weight of a source that stands alone, before its floor is fitted
_RESAMPLES = 200  # enough for a 90 % interval
_TOP = 3  # categories that a prediction names
_SMALLEST = 1e-12  # nothing has less: a mixture has a floor


@dataclass(frozen=True, slots=True)
class CategoryScores:
    """How well one way told the categories of incidents; every incident counts once, however many rows come before it.

    Parameters
    ----------
    incidents : int
        Of a known category.
    log_loss : float
        Mean, nats; 2.64 is guessing among 14.
    brier : float
        Mean sum of squares over all categories, between 0 and 2.
    top1, top3 : float
        Share of incidents of the likeliest category, and of the three likeliest; equally likely ones share it.
    log_loss_interval, brier_interval, top1_interval, top3_interval : tuple of float or None
        90 % block-bootstrap intervals.
    mixture_minus_this : float
        Mean log loss of the mixture minus that of this; below 0 the mixture is better.
    mixture_minus_this_interval : tuple of float or None
        Its paired interval.
    """

    incidents: int
    log_loss: float
    brier: float
    top1: float
    top3: float
    log_loss_interval: Interval | None
    brier_interval: Interval | None
    top1_interval: Interval | None
    top3_interval: Interval | None
    mixture_minus_this: float
    mixture_minus_this_interval: Interval | None


def fit_categories(rows: Rows) -> dict[str, CategoryMixture]:
    """Fit the mixture and each source alone on the rows before incidents.

    Parameters
    ----------
    rows : Rows
        Of the blocks that may be learned from.

    Returns
    -------
    dict of str to CategoryMixture
        By name; empty where rows have no evidence.
    """
    if rows.evidence is None:
        return {}
    chosen = _before(rows)
    counts, weight = rows.evidence.counts[rows.evidence.place[chosen]], _weights(rows, chosen)
    priors = {MIXTURE: PRIOR} | {name: CategoryMixture({name: _ALONE, FLOOR: 1.0 - _ALONE}) for name in SOURCES}
    return {name: fit_mixture(prior, counts, rows.category[chosen], weight) for name, prior in priors.items()}


def tell(mixtures: Mapping[str, CategoryMixture], rows: Rows) -> dict[str, FloatArray]:
    """Return what each mixture tells of the rows before an incident, shape (k, 14), in their order."""
    if rows.evidence is None:
        return {}
    counts = rows.evidence.counts[rows.evidence.place[_before(rows)]]
    return {name: mixture.distribution(counts) for name, mixture in mixtures.items()}


def score_categories(told: Mapping[str, FloatArray], rows: Rows, seed: int = 0) -> dict[str, CategoryScores] | None:
    """Score what was told of held-out rows.

    Parameters
    ----------
    told : mapping of str to FloatArray
        From `tell` on the same rows.
    rows : Rows
        The rows.
    seed : int
        Of the resamples.

    Returns
    -------
    dict of str to CategoryScores, or None
        None where no incident has a known category.
    """
    chosen = _before(rows)
    if not told or not len(chosen):
        return None
    # By its incident's start, so that a resample takes an incident with all of its rows or not at all.
    starts, block_s = rows.next_start_s[chosen].astype(np.int64), 2 * max(rows.horizons.values())
    blocks = blocks_of(starts, block_s=block_s, n_resamples=_RESAMPLES, seed=seed)
    weight, category = _weights(rows, chosen), rows.category[chosen]
    losses = {name: _losses(p, category) for name, p in told.items()}
    return {name: _score(p, category, weight, blocks, losses[name], losses[MIXTURE]) for name, p in told.items()}


def _before(rows: Rows) -> IntArray:
    """Return which rows an incident of a known category follows within the longest horizon."""
    if rows.evidence is None:
        return np.zeros(0, np.int64)
    y, at_risk = rows.targets()
    return np.flatnonzero((y * at_risk).any(axis=1) & (rows.evidence.place >= 0))


def _weights(rows: Rows, chosen: IntArray) -> FloatArray:
    """Return weights that sum to 1 over the rows of each incident."""
    names = np.stack([rows.series[chosen].astype(np.float64), rows.next_start_s[chosen]], axis=1)
    _, incident, n_rows = np.unique(names, axis=0, return_inverse=True, return_counts=True)
    return 1.0 / n_rows[incident.reshape(-1)]


def _losses(p: FloatArray, category: IntArray) -> FloatArray:
    return -np.log(np.maximum(p[np.arange(len(p)), category], _SMALLEST))


def _score(
    p: FloatArray, category: IntArray, weight: FloatArray, blocks: Blocks, losses: FloatArray, mixture: FloatArray
) -> CategoryScores:
    square = ((p - np.eye(len(CATEGORIES))[category]) ** 2).sum(axis=1)
    first, top, behind = _within(p, category, 1), _within(p, category, _TOP), mixture - losses

    def mean(values: FloatArray) -> float:
        return float(np.average(values, weights=weight))

    def interval(values: FloatArray) -> Interval | None:
        return blocks.interval(blocks.ratio(values * weight, weight))

    return CategoryScores(
        incidents=round(float(weight.sum())),
        log_loss=mean(losses),
        brier=mean(square),
        top1=mean(first),
        top3=mean(top),
        log_loss_interval=interval(losses),
        brier_interval=interval(square),
        top1_interval=interval(first),
        top3_interval=interval(top),
        mixture_minus_this=mean(behind),
        mixture_minus_this_interval=interval(behind),
    )


def _within(p: FloatArray, category: IntArray, top: int) -> FloatArray:
    """Return the chance (n,) that the category is among the likeliest, where a lot decides among equals."""
    mine = p[np.arange(len(p)), category][:, None]
    likelier, equal = (p > mine + _SMALLEST).sum(axis=1), (np.abs(p - mine) <= _SMALLEST).sum(axis=1)
    return np.clip((top - likelier) / equal, 0.0, 1.0)
