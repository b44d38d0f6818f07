"""What a tick publishes for the home of each tenant: which services show symptoms, which parts of their errors grew, who calls whom.

`app.flow.publish` adds it to the documents of a tick; `app.correlation` puts incidents together by it, and the API shows it.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from app.cache.documents import encode_document, tenant_key
from app.cache.symptom_records import CalleeRecord, EdgesRecord, HotspotRecord, HotspotsRecord, SymptomsRecord
from app.store.contract import Output
from app.telemetry import Telemetry
from features.arrays import BoolArray, IntArray
from features.batch import channel
from features.edges import edges_of
from features.hotspots import hotspots_of
from features.memory import Memory
from features.symptom import Edge
from features.symptoms import symptoms_of

__all__ = ["EDGES_TTL_S", "SymptomDocuments"]

logger = logging.getLogger(__name__)

EDGES_TTL_S = 86_400.0
"""Seconds for which the calls of a service stay that nobody told of again: a day, in which they would have faded to a third."""

_FRESH = 4  # ticks after the detection of an incident in which somebody asks for its causes; measured: they are told best two ticks after it
_PERIOD = 4  # ticks where none is so new; a look takes a fifth to a quarter of what the rest of a tick does with 10,000 series (measured)
_CALLS_AWAY = 3  # as far as `features.causes` looks past services that show nothing
_HOTSPOT_PERIOD = 10  # ticks; they compare a quarter of an hour with a day, and take nearly as long as symptoms
_LIVES = 2.0  # periods that a document stays: what a worker that is gone said is nobody's, and one tick may be late
_TURNS = 10  # ticks in which every caller had its turn: what fades over a day is not worth a document a minute
_MOST_CALLEES = 500  # guessed: of a caller, those with the most calls; 40 KB
_MOST_SYMPTOMS = 12  # of a service, the strongest
_DIGITS = 4
_ERRORS = channel("errors")

_Placed = list[tuple[int, Output]]


class SymptomDocuments:
    """Makes the documents, and takes back those of services that show nothing any more.

    Parameters
    ----------
    telemetry : Telemetry
        Where failures are counted that cost no forecast.
    """

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._shown: dict[str, dict[tuple[str, str], int]] = {}  # by bucket the partitions of services with a document
        self._told: set[tuple[str, str]] = set()  # callers that were told of
        self._callees: dict[tuple[str, str], list[Edge]] = {}  # by caller, as of the last time that all had their turn

    def due(self, memory: Memory) -> bool:
        """Return whether somebody who puts incidents of the past together must see this tick: one is new, or what is shown is to be renewed."""
        asked = bool(self._shown.get("symptoms")) or bool(memory.onsets.in_incident().any())
        return bool(_began_lately(memory).any()) or (memory.tick % _PERIOD == 0 and asked)

    def outputs(self, memory: Memory) -> _Placed:
        """Return the documents of a tick by partition.

        Symptoms are looked for at every fourth tick, and in between at each of the four ticks from the detection of a whole service's incident
        on, since then somebody asks for causes: at that service and those some calls away.
        """
        outputs = self._edges(memory)
        try:
            outputs += self._symptoms_due(memory)
        except Exception:  # what explains must not stop what forecasts
            logger.exception("what services show could not be found out; their symptoms stay as they were")
            self._telemetry.faults.labels(place="symptoms").inc()
        if memory.tick % _HOTSPOT_PERIOD == 0:
            outputs += self._replaced(memory, "hotspots", self._hotspots(memory))
        return outputs

    def _symptoms_due(self, memory: Memory) -> _Placed:
        """Return the symptoms that are looked for at this tick."""
        new = np.flatnonzero(_began_lately(memory) & memory.directory.is_whole)
        if memory.tick % _PERIOD == 0:
            return self._replaced(memory, "symptoms", self._symptoms(memory))
        if len(new):
            near = _near(memory, new)
            return self._replaced(memory, "symptoms", self._symptoms(memory, near), near)
        return []

    def _symptoms(self, memory: Memory, rows: IntArray | None = None) -> dict[tuple[str, str], tuple[int, Output]]:
        found: dict[tuple[str, str], tuple[int, Output]] = {}
        for one in symptoms_of(memory, rows):
            row = memory.directory.find(one.tenant, one.service)
            if row is None:
                continue
            errors = memory.windows.channel(_ERRORS, slice(row, row + 1))[0]
            record = SymptomsRecord(
                one.tenant,
                one.service,
                one.as_of_s,
                one.symptoms[:_MOST_SYMPTOMS],
                one.traces,
                memory.plan.tick_s,
                tuple(np.maximum(errors, 0.0).tolist()) if errors.any() else (),
            )
            output = Output(
                "symptoms", tenant_key(one.tenant, one.service), encode_document(record), _PERIOD * _LIVES * memory.plan.tick_s
            )
            found[one.tenant, one.service] = int(memory.directory.partition[row]), output
        return found

    def _hotspots(self, memory: Memory) -> dict[tuple[str, str], tuple[int, Output]]:
        spots: dict[tuple[str, str], list[HotspotRecord]] = {}
        for one in hotspots_of(memory):
            numbers = one.errors, one.share, one.share_before, one.ratio, one.since_s
            spots.setdefault((one.tenant, one.service), []).append(HotspotRecord(one.dimension, one.name, one.state, *numbers))
        found: dict[tuple[str, str], tuple[int, Output]] = {}
        for key, of_service in spots.items():
            row = memory.directory.find(*key)
            if row is not None:
                record = HotspotsRecord(*key, memory.tick * memory.plan.tick_s, tuple(of_service))
                output = Output(
                    "hotspots", tenant_key(*key), encode_document(record), _HOTSPOT_PERIOD * _LIVES * memory.plan.tick_s
                )
                found[key] = int(memory.directory.partition[row]), output
        return found

    def _replaced(
        self, memory: Memory, bucket: str, now: Mapping[tuple[str, str], tuple[int, Output]], rows: IntArray | None = None
    ) -> _Placed:
        """Return the documents of a bucket, and the ends of those of services, all or of some rows, that had one before and have none now."""
        held, before, keys = set(memory.directory.partition.tolist()), self._shown.get(bucket, {}), memory.directory.keys
        left = before.keys() - now.keys()
        if rows is not None:
            left &= {(keys[row].tenant, keys[row].service) for row in rows.tolist()}
        gone = [(before[key], Output(bucket, tenant_key(*key), None)) for key in sorted(left) if before[key] in held]
        stay = {} if rows is None else {key: partition for key, partition in before.items() if key not in left}
        self._shown[bucket] = stay | {key: partition for key, (partition, _) in now.items()}
        return [*now.values(), *gone]

    def _edges(self, memory: Memory) -> _Placed:
        """Return whom services call: of those that are new to us at once, of the others in turns."""
        rows, turn = memory.services(), memory.tick % _TURNS
        callers = {(tenant, caller) for tenant, caller, _ in memory.graph.edges if (tenant, caller) in rows}
        new = callers - self._told
        if turn == 0 or new:
            self._callees = {}
            for edge in edges_of(memory):
                self._callees.setdefault((edge.tenant, edge.caller), []).append(edge)
        due = [key for key in self._callees if key in rows and (rows[key] % _TURNS == turn or key in new)]
        self._told = callers
        as_of_s = memory.tick * memory.plan.tick_s
        return [(int(memory.directory.partition[rows[key]]), _output(key, self._callees[key], as_of_s)) for key in due]


def _began_lately(memory: Memory) -> BoolArray:
    """Return whose incident was found so few ticks ago that somebody asks for its causes now."""
    return memory.onsets.columns["last_onset"] >= memory.tick - _FRESH


def _near(memory: Memory, rows: IntArray) -> IntArray:
    """Return some services and those at most three calls away, along calls either way, as far as they are here."""
    here, keys = memory.services(), memory.directory.keys
    around: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for tenant, caller, callee in memory.graph.edges:
        around[tenant, caller].append((tenant, callee))
        around[tenant, callee].append((tenant, caller))
    rim = {(keys[row].tenant, keys[row].service) for row in rows.tolist()}
    found = set(rim)
    for _ in range(_CALLS_AWAY):
        rim = {name for one in rim for name in around.get(one, ())} - found
        found |= rim
    return np.array(sorted(here[name] for name in found if name in here), np.int64)


def _output(key: tuple[str, str], edges: Sequence[Edge], as_of_s: int) -> Output:
    kept = sorted(edges, key=lambda one: (-one.calls, one.callee))[:_MOST_CALLEES]
    callees = tuple(CalleeRecord(one.callee, _short(one.calls), one.errors, one.lag_s, _short(one.lead_bits)) for one in kept)
    return Output("edges", tenant_key(*key), encode_document(EdgesRecord(*key, as_of_s, callees)), EDGES_TTL_S)


def _short(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
