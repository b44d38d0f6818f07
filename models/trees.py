"""Hazards from trees: boosting over stacked intervals, and a small forest of random splits beside it.

`training.fit` fits them on the training block, `models.ensemble` weighs what they say.
"""

from __future__ import annotations

from typing import Any, Self, cast

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingClassifier

from features.arrays import BoolArray, Float32Array, FloatArray, IntArray
from models.baseline import Climatology
from models.bins import MAX_STEPS, Bins
from models.hazard import EPSILON, reached, stack, to_logits
from models.shares import distance, rescaled
from models.thin import Thinning, thin
from models.threads import by_itself, one_thread
from models.tree_shares import Tree, Trees, shapley, tree_games, tree_shares

__all__ = ["HazardForest", "HazardTrees"]

_WIDE = Thinning(per_positive=100.0, max_rows=120_000)
"""What the forest takes in by default."""


class HazardTrees:
    """Boost one hazard model over the stacked intervals, with the interval as a feature.

    One model instead of three: probabilities cannot contradict each other, and the short horizons borrow
    from the long ones (measured on simulated series: AP at 5 minutes 0.297 against 0.233).

    Parameters
    ----------
    n_rounds : int
        Trees. 60 of 8 leaves at a rate of 0.07, few and small, because an incident's rows repeat each other
        and a long fit learns them by heart: 80 of 15 leaves lost 0.03 of AP at 60 minutes on simulated rows
        (measured).
    learning_rate : float
        Shrinkage of each tree.
    max_leaves : int
        Leaves of a tree.
    thinning : Thinning
        How many rows it takes.
    seed : int
        Same seed and data, same model.

    References
    ----------
    Ke et al. (2017), LightGBM, NeurIPS (scikit-learn's histogram boosting follows it).
    Bender, Rügamer, Scheipl, Bischl (2020), A general machine learning framework for survival analysis.

    Examples
    --------
    >>> x = np.arange(600, dtype=np.float32)[:, None]
    >>> y = np.zeros((600, 3)); y[500:, 0] = 1
    >>> at_risk = np.ones((600, 3), bool); at_risk[500:, 1:] = False
    >>> h = HazardTrees().fit(x, y, at_risk).hazards(x)
    >>> bool(h[590, 0] > 0.5 > h[100, 0])
    True
    """

    def __init__(
        self,
        n_rounds: int = 60,
        learning_rate: float = 0.07,
        max_leaves: int = 8,
        thinning: Thinning | None = None,
        seed: int = 0,
    ) -> None:
        self.n_rounds = n_rounds
        self.learning_rate = learning_rate
        self.max_leaves = max_leaves
        self.thinning = thinning
        self.seed = seed

    def fit(self, x: Float32Array, y: FloatArray, at_risk: BoolArray, sample_weight: FloatArray | None = None) -> Self:
        """Fit on rows (n, n_features) with labels (n, 3); without any event it keeps the base rate."""
        weight = np.ones(len(x)) if sample_weight is None else sample_weight
        self.climatology_ = Climatology().fit(x, y, at_risk, weight)
        self.model_: HistGradientBoostingClassifier | None = None
        self.n_intervals_, self.n_features_ = y.shape[1], x.shape[1]
        rng = np.random.default_rng(self.seed)
        rows, weights = thin(y, at_risk, weight, self.thinning or Thinning(), rng)
        self.bins_ = Bins().fit(x[rows] if len(rows) else np.zeros((1, x.shape[1]), np.float32))
        stacked = stack(self.bins_.apply(x[rows]), y[rows], at_risk[rows])
        if len(np.unique(stacked.y)) > 1:
            model = HistGradientBoostingClassifier(
                learning_rate=self.learning_rate,
                max_iter=self.n_rounds,
                max_leaf_nodes=self.max_leaves,
                # One incident puts 60 rows into the data; a leaf needs more than one incident's worth.
                min_samples_leaf=120,
                l2_regularization=10.0,
                max_bins=MAX_STEPS,
                max_features=0.5,
                early_stopping=cast("str", False),  # the stub knows the word 'auto' only
                random_state=self.seed,
            )
            with one_thread():
                self.model_ = model.fit(stacked.x, stacked.y, sample_weight=weights[stacked.row])
        return self

    def hazards(self, x: Float32Array) -> FloatArray:
        """Return hazards (n, 3) of feature rows."""
        if self.model_ is None or not len(x):
            return self.climatology_.hazards(x)
        everyone = np.ones((len(x), self.n_intervals_), dtype=np.bool_)
        stacked = stack(self.bins_.apply(x), np.zeros(everyone.shape), everyone)
        with one_thread():
            p = np.asarray(self.model_.predict_proba(stacked.x)[:, 1], dtype=np.float64)
        return np.clip(p.reshape(self.n_intervals_, -1).T, EPSILON, 1.0 - EPSILON)

    def importances(self) -> FloatArray:
        """Return the share of each column in what all splits gained; that of the interval is nobody's."""
        gains = np.zeros(self.n_features_ + 1)
        for nodes in _nodes(self.model_):
            inner = ~nodes["is_leaf"].astype(np.bool_)
            np.add.at(gains, nodes["feature_idx"][inner], nodes["gain"][inner])
        return gains[:-1] / max(float(gains[:-1].sum()), 1e-300)

    def shares(self, x: Float32Array, background: Float32Array, groups: IntArray) -> FloatArray:
        """Divide the distance in log odds (n, 3, n_groups), which the trees' leaves add up to."""
        if self.model_ is None or not len(x):
            return self.climatology_.shares(x, background, groups)
        trees = _boosted(self.model_)
        steps = self.bins_.apply(np.concatenate([background[None], x]))
        found: list[FloatArray] = []
        for interval in range(self.n_intervals_):
            # A row and the background are asked about the same interval, so nothing falls to that column's group.
            rows = np.append(steps, np.full((len(steps), 1), interval, np.float32), axis=1)
            found.append(tree_shares(trees, rows[1:], rows[0], np.append(groups, 0))[:, 0])
        return rescaled(np.stack(found, axis=1), distance(self.hazards, x, background))


class HazardForest:
    """Average extremely randomised trees on the nested horizon labels at once.

    A leaf's mean of nested labels is nested, so the hazards follow from it exactly, in one pass a row.

    Parameters
    ----------
    n_trees, max_depth : int
        Size. Small on purpose: 200 trees of full depth took 34 s on 100,000 rows and lost (measured). Shallow trees average over more
        rows, and cost less to explain.
    max_samples : int
        Rows a tree sees.
    thinning : Thinning
        How many rows it takes: by default more than the others, because it is fast, and rare lookalikes of trouble that end well are
        lost when the quiet is thinned far.
    seed : int
        Same seed and data, same model.

    References
    ----------
    Geurts, Ernst, Wehenkel (2006), Extremely randomized trees, Machine Learning 63.

    Examples
    --------
    >>> x = np.arange(600, dtype=np.float32)[:, None]
    >>> y = np.zeros((600, 3)); y[500:, 0] = 1
    >>> at_risk = np.ones((600, 3), bool); at_risk[500:, 1:] = False
    >>> h = HazardForest(n_trees=10).fit(x, y, at_risk).hazards(x)
    >>> bool(h[550, 0] > 0.5 > h[100, 0])
    True
    """

    def __init__(
        self,
        n_trees: int = 40,
        max_depth: int = 8,
        max_samples: int = 60_000,
        thinning: Thinning | None = None,
        seed: int = 0,
    ) -> None:
        self.n_trees = n_trees
        self.max_depth = max_depth
        self.max_samples = max_samples
        self.thinning = thinning
        self.seed = seed

    def fit(self, x: Float32Array, y: FloatArray, at_risk: BoolArray, sample_weight: FloatArray | None = None) -> Self:
        """Fit on rows whose horizons are all known."""
        weight = np.ones(len(x)) if sample_weight is None else sample_weight
        self.climatology_ = Climatology().fit(x, y, at_risk, weight)
        self.model_: ExtraTreesRegressor | None = None
        self.n_features_ = x.shape[1]
        hit, known = reached(y, at_risk)
        whole = known.all(axis=1, keepdims=True)
        rng = np.random.default_rng(self.seed)
        rows, weights = thin(y * whole, at_risk & whole, weight, self.thinning or _WIDE, rng)
        if hit[rows].any():
            model = ExtraTreesRegressor(
                n_estimators=self.n_trees,
                max_depth=self.max_depth,
                min_samples_leaf=20,
                max_features=0.3,
                bootstrap=True,
                max_samples=min(self.max_samples, len(rows)),
                random_state=self.seed,
            )
            with by_itself():
                self.model_ = model.fit(x[rows], hit[rows] if hit.shape[1] > 1 else hit[rows, 0], sample_weight=weights)
        return self

    def hazards(self, x: Float32Array) -> FloatArray:
        """Return hazards (n, 3) of feature rows."""
        if self.model_ is None or not len(x):
            return self.climatology_.hazards(x)
        with by_itself():
            reach = np.asarray(self.model_.predict(x), dtype=np.float64).reshape(
                len(x), -1
            )  # one horizon comes without its axis
        return self._of_reach(reach.T).T

    def shares(self, x: Float32Array, background: Float32Array, groups: IntArray) -> FloatArray:
        """Divide the distance in log odds (n, 3, n_groups), by working out the log odds of every coalition of groups.

        The trees add up to chances, which may be near 0 for row and background alike and far from it between the two. Shares of a
        chance that are stretched to its log odds are then off by any factor, so here that is not done. Each further group doubles
        the time.
        """
        if self.model_ is None or not len(x):
            return self.climatology_.shares(x, background, groups)
        games = tree_games(_averaged(self.model_), x, background, groups)
        with one_thread():
            shares = [shapley(to_logits(self._of_reach(begun))) for begun in games]
        return np.concatenate(shares, axis=-1).transpose(2, 0, 1)

    def importances(self) -> FloatArray:
        """Return the share of each column in what all splits gained."""
        return np.zeros(self.n_features_) if self.model_ is None else np.asarray(self.model_.feature_importances_, np.float64)

    def _of_reach(self, reach: FloatArray) -> FloatArray:
        """Return hazards of the chances that an incident began by each horizon's end, (intervals, ...) both."""
        left = 1.0 - reach
        before = np.concatenate([np.ones_like(left[:1]), np.maximum(left[:-1], EPSILON)])
        # A leaf without any event says 0; a thousandth of the base rate keeps its logit finite and honest.
        least = 1e-3 * self.climatology_.rates_.reshape(-1, *[1] * (reach.ndim - 1))
        return np.clip(np.maximum(1.0 - left / before, least), EPSILON, 1.0 - EPSILON)


def _boosted(model: HistGradientBoostingClassifier) -> Trees:
    """Return the trees of a boosted classifier, which has no public way to read them."""
    return Trees.of(
        Tree(
            nodes["feature_idx"].astype(np.int64),
            nodes["num_threshold"],
            nodes["left"].astype(np.int64),
            nodes["right"].astype(np.int64),
            nodes["is_leaf"].astype(np.bool_),
            nodes["value"][:, None],
        )
        for nodes in _nodes(model)
    )


def _nodes(model: HistGradientBoostingClassifier | None) -> list[Any]:
    return [] if model is None else [one.nodes for (one,) in cast("Any", model)._predictors]


def _averaged(model: ExtraTreesRegressor) -> Trees:
    """Return the trees of a forest; their leaves add up to its mean."""
    fitted = [cast("Any", one).tree_ for one in model.estimators_]
    return Trees.of(
        Tree(
            tree.feature.astype(np.int64),
            tree.threshold,
            tree.children_left.astype(np.int64),
            tree.children_right.astype(np.int64),
            tree.children_left < 0,
            tree.value[:, :, 0] / len(fitted),
        )
        for tree in fitted
    )
