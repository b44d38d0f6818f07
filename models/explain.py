"""Why a forecast is what it is, in words: the feature groups with the largest shares of the log odds.

`app.members.Members.shares` divides the log odds; `app.publish` puts the reasons into the `models.prediction.Prediction`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from features.arrays import Float32Array, FloatArray, IntArray
from features.errors import InvalidValue
from features.schema import FeatureSchema
from models.phrases import PHRASES, Phrase, listing
from models.prediction import Reason

__all__ = ["grouping", "reasons"]


def grouping(schema: FeatureSchema) -> IntArray:
    """Return the group of every column, shape (n_features,), as its place in ``schema.groups``.

    Examples
    --------
    >>> from features.schema import Feature
    >>> grouping(FeatureSchema(1, (Feature("a", "first"), Feature("b", "second"), Feature("c", "first")))).tolist()
    [0, 1, 0]
    """
    return np.array([schema.groups.index(feature.group) for feature in schema.features], dtype=np.int64)


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
        Shape (n_groups,), one row of `app.members.Members.shares`.
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


def _words(group: str, values: Mapping[str, float], schema: FeatureSchema, phrases: Mapping[str, Phrase]) -> str:
    columns = tuple(schema.names[i] for i in schema.columns(group))
    try:
        return phrases[group](values)
    except KeyError:  # no phrase, or a schema without the phrase's columns: both are fine
        return listing(group, values, columns)
