"""Lists as pandas frames: the columns and their types come from the wire models of `app.api`, so that an empty list has them too.

Flat members are columns under their names. A member that holds flat members is one column for each (``anomaly_score``), one that holds
something by horizon one for each horizon (``probability_5min``). What has a length of its own (reasons, operations) stays a Python object.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

import pandas as pd
from pydantic import AwareDatetime, BaseModel

from app.client.failures import UnknownAnswer
from models.prediction import HORIZONS

__all__ = ["Column", "columns_of", "frame"]

_DTYPES: Mapping[type, tuple[str, str]] = {
    datetime: ("datetime64[us, UTC]", "datetime64[us, UTC]"),
    bool: ("bool", "boolean"),
    int: ("int64", "Int64"),
    float: ("float64", "float64"),
    str: ("str", "str"),
}
"""By type of a member the dtype of its column, where it is always there and where it may be null."""

_FIRST = ("id", "tenant", "service", "operation")
"""Columns that stand first, where there are any."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a frame.

    Parameters
    ----------
    name : str
        As users write it.
    path : tuple of str
        Where it is in an item.
    dtype : str
        Of pandas.
    """

    name: str
    path: tuple[str, ...]
    dtype: str


def frame(model: type[BaseModel], items: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return the items of a list as a frame.

    Parameters
    ----------
    model : type
        The wire model of an item.
    items : sequence of mapping
        As they were decoded from JSON. Members that the model does not know are left out.

    Returns
    -------
    pandas.DataFrame
        One row an item, in their order.

    Raises
    ------
    UnknownAnswer
        When values are not what the model says.

    Examples
    --------
    >>> from app.api.group_schemas import EdgeOut
    >>> frame(EdgeOut, [{"caller": "cart", "callee": "payment", "calls": 3.0, "errors": 0.0, "lag_s": 0.5}]).dtypes.to_list()[1:3]
    [<StringDtype(na_value=nan)>, dtype('float64')]
    """
    columns = columns_of(model)
    try:
        return pd.DataFrame({column.name: _series(column, items) for column in columns}, columns=[c.name for c in columns])
    except (TypeError, ValueError) as exc:
        raise UnknownAnswer(f"a list of {model.__name__} has values of another type: {exc}") from exc


@cache
def columns_of(model: type[BaseModel]) -> tuple[Column, ...]:
    """Return the columns that the items of a wire model have, which series it is first, then in the order of its members.

    Examples
    --------
    >>> from app.api.schemas import AnomalyOut
    >>> [column.dtype for column in columns_of(AnomalyOut) if column.name == "since"]
    ['datetime64[us, UTC]']
    """
    columns = _columns(model, (), optional=False, prefix="")
    return tuple(sorted(columns, key=lambda column: _FIRST.index(column.name) if column.name in _FIRST else len(_FIRST)))


def _columns(model: type[BaseModel], path: tuple[str, ...], *, optional: bool, prefix: str) -> Iterator[Column]:
    for name, member in model.model_fields.items():
        kind, nullable = _plain(member.annotation)
        yield from _of_member(f"{prefix}{name}", kind, (*path, name), optional=optional or nullable)


def _of_member(name: str, kind: object, path: tuple[str, ...], *, optional: bool) -> Iterator[Column]:
    if isinstance(kind, type) and kind in _DTYPES:
        yield Column(name, path, _DTYPES[kind][optional])
    elif isinstance(kind, type) and issubclass(kind, BaseModel) and _is_flat(kind):
        yield from _columns(kind, path, optional=optional, prefix=f"{name}_")
    elif _by_horizon(kind):
        of, nullable = _plain(get_args(kind)[1])
        for horizon in HORIZONS:
            yield from _at_horizon(name, of, (*path, horizon), optional=optional or nullable)
    else:
        yield Column(name, path, "object")


def _at_horizon(name: str, of: object, path: tuple[str, ...], *, optional: bool) -> Iterator[Column]:
    if isinstance(of, type) and issubclass(of, BaseModel):
        for column in _columns(of, path, optional=optional, prefix=""):
            yield Column(f"{column.name}_{path[-1]}", column.path, column.dtype)
    else:
        yield from _of_member(f"{name}_{path[-1]}", of, path, optional=optional)


def _is_flat(model: type[BaseModel]) -> bool:
    return all(_plain(member.annotation)[0] in _DTYPES for member in model.model_fields.values())


def _by_horizon(kind: object) -> bool:
    key = get_args(kind)[0] if get_origin(kind) is dict else None
    return get_origin(key) is Literal and set(get_args(key)) == set(HORIZONS)


def _plain(annotation: object) -> tuple[object, bool]:
    """Return a type without bounds and null, and whether it may be null; a choice of texts is a text."""
    if annotation is AwareDatetime:
        return datetime, False
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        others = [one for one in get_args(annotation) if one is not NoneType]
        nullable = len(others) < len(get_args(annotation))
        return (*_plain(others[0])[:1], nullable) if len(others) == 1 else (object, nullable)
    if get_origin(annotation) is Literal:
        return str, False
    return annotation, False


def _series(column: Column, items: Sequence[Mapping[str, Any]]) -> pd.Series:
    values = [_at(item, column.path) for item in items]
    if column.dtype.startswith("datetime64"):
        times = pd.to_datetime(pd.Series(values, dtype="str"), utc=True, format="ISO8601")
        return times.astype(column.dtype)
    return pd.Series(values, dtype=column.dtype)


def _at(item: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = item
    for name in path:
        if not isinstance(value, dict):
            return None
        value = cast("dict[str, Any]", value).get(name)
    return value
