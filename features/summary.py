"""What a partition's services show those of other nodes, at the end of a tick.

Reads a `features.memory.Memory`; `app.flow` publishes what `summarise` returns where other nodes hold partitions, and
`features.afar` is what they make of it.
"""

from __future__ import annotations

import numpy as np

from features.afar import HEARD_WINDOWS, Summary
from features.arrays import FloatArray
from features.excitation import AROUND_MIN
from features.memory import Memory
from features.surroundings import shown
from features.view import View

__all__ = ["summarise"]


def summarise(memory: Memory) -> list[Summary]:
    """Sum up the services of every partition that has any, as of the end of the last closed tick.

    Parameters
    ----------
    memory : Memory
        With windows closed; what is gathered since changes nothing.

    Returns
    -------
    list of Summary
        By partition.

    Examples
    --------
    >>> summarise(Memory())
    []
    """
    directory = memory.directory
    if not len(directory) and not memory.strays:
        return []
    whole = np.flatnonzero(directory.is_whole)
    view = View.of(memory)
    signals = np.stack(shown(view), axis=1)[whole]
    got, sums = view.counts("total")[whole, -HEARD_WINDOWS:].astype(float), _sums(view)
    tenant_of, names = view.pools.tenant, list(memory.tenants)
    edges, calls = _edges(memory), _calls(memory)
    summaries: list[Summary] = []
    for partition in sorted({*directory.partition.tolist(), *calls}):
        rows = np.flatnonzero(directory.partition == partition)
        tenants, place = np.unique(tenant_of[rows], return_inverse=True)
        of_tenant = np.zeros((len(tenants), sums.shape[1]))
        np.add.at(of_tenant, place, sums[rows])
        mine = np.flatnonzero(directory.partition[whole] == partition)
        got_of_tenant = np.zeros((len(tenants), got.shape[1]))
        np.add.at(got_of_tenant, np.searchsorted(tenants, tenant_of[whole[mine]]), got[mine])
        summaries.append(
            Summary(
                partition,
                memory.tick,
                [(directory.keys[row].tenant, directory.keys[row].service) for row in whole[mine].tolist()],
                signals[mine],
                [names[code] for code in tenants.tolist()],
                got_of_tenant,
                of_tenant,
                edges.get(partition, ()),
                calls.get(partition, ()),
            )
        )
    return summaries


def _sums(view: View) -> FloatArray:
    """Return what every series adds to the sums of `features.afar.Beyond`, shape (n, 8)."""
    memory, is_whole = view.memory, view.memory.directory.is_whole
    onsets, events = memory.onsets.columns, memory.excitation.columns
    intensity = memory.excitation.intensity(memory.tick - 1)[:, : len(AROUND_MIN)]
    return np.column_stack(
        [
            np.where(is_whole, view.usual("total"), 0.0),
            onsets["onsets"],
            onsets["observed"],
            events["events"],
            events["ticks"] * (memory.plan.tick_s / 3600.0),
            np.where(is_whole[:, None], intensity, 0.0),
        ]
    )


def _edges(memory: Memory) -> dict[int, list[tuple[str, str, str]]]:
    """Return calls of own services to services elsewhere by the caller's partition, those with most calls first."""
    n, keys = len(memory.directory), memory.directory.keys
    if not memory.afar:
        return {}
    rows = memory.afar.rows(memory.services(), n)
    callers, callees, weights = memory.graph.arrays(memory.tick, rows)
    names = {row: service for (_, service), row in rows.items() if row >= n}
    found: dict[int, list[tuple[str, str, str]]] = {}
    leaving = np.flatnonzero((callers < n) & (callees >= n))
    for edge in leaving[np.argsort(-weights[leaving], kind="stable")].tolist():
        caller = keys[callers[edge]]
        partition = int(memory.directory.partition[callers[edge]])
        found.setdefault(partition, []).append((caller.tenant, caller.service, names[int(callees[edge])]))
    return found


def _calls(memory: Memory) -> dict[int, list[tuple[str, str, str, float]]]:
    """Return calls of services elsewhere, by the partition whose summary tells of them: the first that joins span ends."""
    if not memory.strays:
        return {}
    ordered = sorted(memory.strays.items(), key=lambda stray: -stray[1])
    return {min(memory.joins): [(*edge, calls) for edge, calls in ordered]}
