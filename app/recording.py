"""History read back into the Recording that `training.replay` walks.

`app.job` calls it before a run; rows come from `app.history`, arrays go to `training.dataset`.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from app.history.contract import History
from features.arrays import FloatArray, IntArray
from features.batch import CHANNELS, N_BUCKETS
from features.series import WHOLE, SeriesKey
from training.replay import Recording

__all__ = ["read_recording"]


def read_recording(history: History, tenant: str, tick_s: int, since: int | None = None, until: int | None = None) -> Recording:
    """Read what a tenant's history holds of ``[since, until)``.

    Parameters
    ----------
    history : History
        Where the rows are.
    tenant : str
        Whose.
    tick_s : int
        Seconds of a window.
    since, until : int or None
        Unix seconds of window starts; None is open.

    Returns
    -------
    Recording
        In order of receipt.
    """
    windows = history.read("windows", since=since, until=until, tenant=tenant)
    facts = history.read("facts", since=since, until=until, tenant=tenant)
    # Markers belong to no tenant: they say which ticks were closed at all.
    markers = history.read("facts", since=since, until=until, tenant="", columns=["received"])
    series, keys = _codes(windows, facts)
    received, fact_received = _numbers(windows, "received") // tick_s, _numbers(facts, "received") // tick_s
    order = np.lexsort((_numbers(windows, "window"), series[: len(received)], received))
    fact_order = np.lexsort((_numbers(facts, "window"), fact_received))
    kinds, names = facts["kind"].to_pylist(), facts["name"].to_pylist()
    return Recording(
        keys=keys,
        ticks=np.unique(np.concatenate([_numbers(markers, "received") // tick_s, received, fact_received])),
        received=received[order],
        series=series[: len(received)][order],
        window=(_numbers(windows, "window") // tick_s)[order],
        values=_values(windows)[order],
        fact_received=fact_received[fact_order],
        fact_series=series[len(received) :][fact_order],
        fact_window=(_numbers(facts, "window") // tick_s)[fact_order],
        fact_kind=tuple(kinds[i] for i in fact_order.tolist()),
        fact_name=tuple(names[i] for i in fact_order.tolist()),
        fact_value=facts["value"].to_numpy().astype(float)[fact_order],
    )


def _codes(windows: pa.Table, facts: pa.Table) -> tuple[IntArray, tuple[SeriesKey, ...]]:
    """Return the code of every row's series, windows first, and the keys, whole services before operations."""
    named = [
        *zip(*(windows[c].to_pylist() for c in ("tenant", "service", "operation")), strict=True),
        *((t, s, WHOLE) for t, s in zip(facts["tenant"].to_pylist(), facts["service"].to_pylist(), strict=True)),
    ]
    distinct = sorted(set(named), key=lambda key: (key[2] != WHOLE, key))
    code = {key: i for i, key in enumerate(distinct)}
    return np.array([code[key] for key in named], np.int64), tuple(SeriesKey(*key) for key in distinct)


def _numbers(table: pa.Table, column: str) -> IntArray:
    return table[column].to_numpy().astype(np.int64)


def _values(windows: pa.Table) -> FloatArray:
    channels = [windows[name].to_numpy() for name in CHANNELS]
    histogram = windows["histogram"].combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(-1, N_BUCKETS)
    return np.concatenate([np.stack(channels, axis=1), histogram], axis=1).astype(float)
