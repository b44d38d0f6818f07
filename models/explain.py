"""Why a forecast is what it is: each feature group's share of the log odds, and words for the largest.

`app.flow.forecast` gives the model's 60-minute log odds, the rows and a quiet row to compare with; the
reasons go into the `models.prediction.Prediction`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from features.arrays import Float32Array, FloatArray
from features.errors import InvalidValue
from features.schema import FeatureSchema
from models.phrases import PHRASES, Phrase, listing
from models.prediction import Reason

__all__ = ["contributions", "reasons"]


def contributions(
    predict_logit60: Callable[[Float32Array], FloatArray], x: Float32Array, background: Float32Array, schema: FeatureSchema
) -> FloatArray:
    """Divide each row's distance in log odds from a quiet row among the feature groups.

    Groups are replaced by the quiet row's values one after the other, in the schema's order and in its
    reverse, and the two are averaged: a Shapley estimate from one antithetic pair of permutations. It costs
    one batched call and adds up exactly.

    Parameters
    ----------
    predict_logit60 : callable
        From rows (m, n_features) to log odds (m,).
    x : Float32Array
        Shape (n, n_features), the rows to explain.
    background : Float32Array
        Shape (n_features,), a quiet row such as `models.ensemble.Ensemble.background_`.
    schema : FeatureSchema
        Names the groups.

    Returns
    -------
    FloatArray
        Shape (n, n_groups) in the order of ``schema.groups``; rows sum to
        ``predict_logit60(x) - predict_logit60(background)``.

    References
    ----------
    Štrumbelj, Kononenko (2014), Explaining prediction models and individual predictions with feature
    contributions, Knowledge and Information Systems 41.
    Mitchell, Cooper, Frank, Holmes (2022), Sampling permutations for Shapley value estimation, JMLR 23.

    Examples
    --------
    >>> from features.schema import Feature
    >>> schema = FeatureSchema(1, (Feature("a", "first"), Feature("b", "second")))
    >>> x = np.array([[2.0, 3.0]], np.float32)
    >>> contributions(lambda r: r[:, 0] * r[:, 1] + 0.0, x, np.zeros(2, np.float32), schema).tolist()
    [[3.0, 3.0]]
    """
    n, n_features = x.shape
    if n_features != len(schema.features) or background.shape != (n_features,):
        raise InvalidValue(f"x and background must have {len(schema.features)} columns, got {x.shape} and {background.shape}")
    groups = [list(schema.columns(group)) for group in schema.groups]
    k = len(groups)
    if n == 0:
        return np.zeros((0, k))
    forward = _paths(x, background, groups)
    backward = _paths(x, background, groups[::-1])
    batch = np.concatenate([forward, backward]).reshape(-1, n_features)
    z = np.asarray(predict_logit60(batch), dtype=np.float64).reshape(2, k + 1, n)
    steps = z[:, :-1] - z[:, 1:]
    return 0.5 * (steps[0] + steps[1, ::-1]).T


def reasons(
    shares: FloatArray,
    row: Float32Array,
    schema: FeatureSchema,
    phrases: Mapping[str, Phrase] = PHRASES,
    top: int = 4,
) -> tuple[Reason, ...]:
    """Put the largest contributions of one row into words.

    Parameters
    ----------
    shares : FloatArray
        Shape (n_groups,), one row of `contributions`.
    row : Float32Array
        Shape (n_features,), the values behind it.
    schema : FeatureSchema
        Names of both.
    phrases : mapping of str to callable
        Words by group; other groups are listed by their columns.
    top : int
        How many reasons at most.

    Returns
    -------
    tuple of Reason
        By falling absolute contribution; groups without any are left out.

    Examples
    --------
    >>> from features.schema import Feature
    >>> schema = FeatureSchema(1, (Feature("a", "queue"), Feature("b", "other")))
    >>> reasons(np.array([1.5, 0.0]), np.array([7.0, 1.0], np.float32), schema)
    (Reason(text='queue: a=7', group='queue', contribution=1.5),)
    """
    if shares.shape != (len(schema.groups),) or row.shape != (len(schema.features),):
        raise InvalidValue(
            f"shares and row must be ({len(schema.groups)},) and ({len(schema.features)},), got {shares.shape} and {row.shape}"
        )
    values: dict[str, float] = dict(zip(schema.names, row.tolist(), strict=True))
    order = [i for i in np.argsort(-np.abs(shares), kind="stable")[:top] if shares[i] != 0.0]
    return tuple(Reason(_words(schema.groups[i], values, schema, phrases), schema.groups[i], float(shares[i])) for i in order)


def _paths(x: Float32Array, background: Float32Array, groups: list[list[int]]) -> Float32Array:
    """Return the rows (k + 1, n, n_features) on the way from x to the background, a group at a step."""
    path = np.repeat(x[None], len(groups) + 1, axis=0)
    for step, columns in enumerate(groups, start=1):
        path[step:, :, columns] = background[columns]
    return path


def _words(group: str, values: Mapping[str, float], schema: FeatureSchema, phrases: Mapping[str, Phrase]) -> str:
    columns = tuple(schema.names[i] for i in schema.columns(group))
    try:
        return phrases[group](values)
    except KeyError:  # no phrase, or a schema without the phrase's columns: both are fine
        return listing(group, values, columns)
