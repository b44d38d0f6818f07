"""The state of one partition as bytes, and back.

`app.worker` commits what `snapshot` returns with the offset up to which the log was read; after a
restart or a hand-over `restore` puts it back and reading goes on. The same log gives the same bytes.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.arrays import IntArray
from features.durations import Meters
from features.errors import NewerVersion, SnapshotMismatch
from features.join import EdgeJoin
from features.memory import Memory
from features.rings import Columns, Kept
from features.series import SeriesKey
from features.upgrade import meters_of_2

__all__ = ["READS", "VERSION", "restore", "snapshot"]

VERSION = 3
"""Layout of a snapshot; raised with every change of it but an array more, which begins empty when an older one is restored.
A release that brings another layout reads it and still writes this; the next one writes it (docs/operations.md, Upgrade)."""

READS = (2, 3)
"""Layouts that are restored. In 2 streams of durations were kept otherwise."""

_CHUNK = 64  # series a value: a few hundred KiB, so that a log of documents can carry it


def snapshot(
    memory: Memory, partition: int, beside: Mapping[str, Columns] | None = None, *, without: str | None = None
) -> dict[str, bytes]:
    """Return the state of a partition between two ticks.

    Parameters
    ----------
    memory : Memory
        With nothing gathered since the last `advance`.
    partition : int
        Whose rows.
    beside : Mapping of str to Columns, optional
        What others keep of the same rows, by names that the Memory's own parts don't have.
    without : str, optional
        A tenant that is left out, as if it had never been.

    Returns
    -------
    dict of str to bytes
        ``memory/head`` and one value for every 64 series.

    Examples
    --------
    >>> sorted(snapshot(Memory(), 0))
    ['memory/head']
    """
    rows = np.flatnonzero(memory.directory.partition == partition)
    if without is not None:
        rows = np.array([row for row in rows.tolist() if memory.directory.keys[row].tenant != without], np.int64)
    chunks = [rows[i : i + _CHUNK] for i in range(0, len(rows), _CHUNK)]
    state = {"memory/head": json.dumps(_head(memory, partition, rows, without), sort_keys=True).encode()}
    if shares := memory.shares.snapshot(rows.tolist()):
        state["memory/shares"] = json.dumps(shares).encode()
    for number, chunk in enumerate(chunks):
        state[f"memory/rows/{number:05d}"] = _pack(_arrays(_parts(memory, beside), chunk))
    return state


def restore(memory: Memory, partition: int, state: Mapping[str, bytes], beside: Mapping[str, Columns] | None = None) -> None:
    """Put the state of a partition back.

    Parameters
    ----------
    memory : Memory
        Of the same plan; other partitions may live in it already.
    partition : int
        Whose rows.
    state : Mapping of str to bytes
        What `snapshot` returned; without ``memory/head`` the partition is new and nothing happens.
    beside : Mapping of str to Columns, optional
        What others keep of the same rows; they get rows too.

    Raises
    ------
    SnapshotMismatch
        When the snapshot has an older version than are read, or another tick or rule.
    NewerVersion
        When a newer release wrote it.
    """
    if "memory/head" not in state:
        return
    head = json.loads(state["memory/head"])
    _check(memory, head)
    if memory.tick < 0:
        memory.windows.tick = memory.facts.tick = head["tick"]
    for part in (memory.windows, memory.facts):
        part.turn(head["tick"])  # rows of other partitions may come from an earlier tick
    rows = [memory.row_of_snapshot(SeriesKey(*key), partition) for key in head["keys"]]
    parts = _parts(memory, beside)
    for columns in (beside or {}).values():
        columns.grow(len(memory.directory))
    names = sorted(key for key in state if key.startswith("memory/rows/"))
    for number, name in enumerate(names):
        place = np.array(rows[number * _CHUNK : (number + 1) * _CHUNK], np.int64)
        arrays = _unpack(state[name])
        for part, columns in parts.items():
            columns.restore(place, {key.partition(".")[2]: v for key, v in arrays.items() if key.startswith(f"{part}.")})
    for part in (memory.windows, memory.facts):
        part.turn(memory.tick, np.array(rows, np.int64), since=head["tick"])  # and these rows too
    for row, service in zip(rows, head["services"], strict=True):
        facts = memory.facts
        for kept, name in ((facts.level_names, "levels"), (facts.instances, "instances"), (facts.versions, "versions")):
            if service[name]:
                kept[row] = dict(service[name])
    memory.shares.restore(rows, json.loads(state.get("memory/shares", b"[]")))  # older releases kept none
    for tenant, caller, callee, calls, tick in head["edges"]:
        memory.graph.edges[tenant, caller, callee] = (calls, tick)
    memory.meters[partition] = Meters(memory.plan.tick_s)
    memory.meters[partition].restore(head["meters"] if head["version"] == VERSION else meters_of_2(head["meters"]))
    memory.joins[partition] = EdgeJoin()
    memory.joins[partition].restore(head["join"])


def _head(memory: Memory, partition: int, rows: IntArray, without: str | None) -> dict[str, Any]:
    keys, facts = memory.directory.keys, memory.facts
    own = {(keys[r].tenant, keys[r].service) for r in rows}
    meters = memory.meters[partition].snapshot() if partition in memory.meters else []
    edges = [(*edge, calls, tick) for edge, (calls, tick) in memory.graph.edges.items() if edge[:2] in own]
    return {
        "version": VERSION,
        "plan": _plan(memory),
        "tick": memory.tick,
        "keys": [(keys[r].tenant, keys[r].service, keys[r].operation) for r in rows],
        # Pairs, not objects: their order is part of the state.
        "services": [
            {
                "levels": list(facts.level_names.get(r, {}).items()),
                "instances": list(facts.instances.get(r, {}).items()),
                "versions": list(facts.versions.get(r, {}).items()),
            }
            for r in rows
        ],
        "edges": edges,
        "meters": [meter for meter in meters if meter[0] != without],
        "join": memory.joins.get(partition, EdgeJoin()).snapshot(without),
    }


def _plan(memory: Memory) -> list[int]:
    return [memory.plan.tick_s, memory.plan.rule.m]


def _check(memory: Memory, head: Mapping[str, Any]) -> None:
    if head["version"] > VERSION:
        raise NewerVersion(
            f"snapshot has version {head['version']}, this release reads {READS}: a newer one wrote it; upgrade this node"
        )
    if head["version"] not in READS:
        raise SnapshotMismatch(
            f"snapshot version must be one of {READS}, got {head['version']}; let a release that reads it run on the folder first, "
            "or replay what was recorded into a new one"
        )
    if head["plan"] != _plan(memory):
        raise SnapshotMismatch(
            f"tick_s and incident_m are {_plan(memory)} in the settings, but {head['plan']} in the data folder; "
            "use the folder's values, or a new folder"
        )


def _parts(memory: Memory, beside: Mapping[str, Columns] | None) -> dict[str, Kept]:
    return {
        **(beside or {}),
        "windows": memory.windows.columns,
        "rhythm": memory.rhythm.columns,
        "facts": memory.facts.columns,
        "onsets": memory.onsets.columns,
        "excitation": memory.excitation.columns,
    }


def _arrays(parts: Mapping[str, Kept], rows: IntArray) -> dict[str, NDArray[Any]]:
    return {f"{part}.{name}": array for part, columns in parts.items() for name, array in columns.snapshot(rows).items()}


def _pack(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def _unpack(data: bytes) -> dict[str, NDArray[Any]]:
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}
