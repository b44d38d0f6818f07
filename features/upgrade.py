"""What the version before wrote, as this one writes it: log messages and snapshots of version 2.

`app.ingest.codec` and `features.snapshot` ask for it. In version 2 a point of durations did not say which family of streams it belongs
to, and a stream was its last point alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

__all__ = ["meters_of_2", "with_family"]

_LAPSE_TICKS = 3  # as in `features.durations`, while version 3 is read
_STREAM, _END, _CUMULATIVE = 1, 3, 4  # places in a row of version 2


def with_family(columns: Sequence[Any]) -> tuple[Any, ...]:
    """Return columns of DurationPoints with a family: each stream stands for itself, so that nothing is concluded from others.

    Parameters
    ----------
    columns : sequence
        ``service, operation, stream`` and what follows them but the family.

    Examples
    --------
    >>> with_family([("cart",), ("GET /",), (7,), (0,)])
    (('cart',), ('GET /',), (7,), (7,), (0,))
    """
    return *columns[:3], columns[2], *columns[3:]


def meters_of_2(state: Iterable[Sequence[Any]]) -> list[list[Any]]:
    """Return the state of `features.durations.Meters` of version 2 as `Meters.restore` takes it.

    Parameters
    ----------
    state : iterable of sequence
        Tenant, service, since, heard, whether there were more streams than are kept, and a row for each stream.

    Returns
    -------
    list of list
        Where counters stood is kept, so that the next point counts what came since: nothing is lost or counted twice.

    Examples
    --------
    >>> row = ["GET /", 7, 0, 60, True, False, False, 5.0, 0.5, [5.0]]
    >>> meters_of_2([["default", "cart", 1, 2, False, [row]]])
    [['default', 'cart', 1, 2, -1, [['GET /', 7, 7, 0, 60, True, False, False, 5.0, 0.5, [5.0], [60], 2]]]]
    """
    return [
        [tenant, service, since, heard, heard + _LAPSE_TICKS if full else -1, [_stream(row, heard) for row in rows]]
        for tenant, service, since, heard, full, rows in state
    ]


def _stream(row: Sequence[Any], heard: int) -> list[Any]:
    *told, histogram = row
    kept = histogram if told[_CUMULATIVE] else []  # nothing is compared with that of deltas
    return [*told[: _STREAM + 1], told[_STREAM], *told[_STREAM + 1 :], kept, [told[_END]], heard]
