"""Recorded metrics through `features.causes.rank`: PetShop's issues and sock-shop's faults, for `benchmarks/rootcause.py`.

A metric's windows are judged by `features.deviation` as a service's levels are; the ranking and its constants are those of the product.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from features.arrays import FloatArray
from features.causes import rank
from features.deviation import RECENT, of_counts, of_values
from features.edges import leads
from features.symptom import Edge, Symptom, Symptoms
from features.symptoms import LEAST_BITS

__all__ = ["Case", "petshop", "placed", "sockshop"]

_SOCKSHOP_WINDOWS = 60
_SOCKSHOP = {"cpu": "saturation", "mem": "saturation", "lod": "traffic", "lat": "latency"}
_CALLS = {
    "front-end": ("carts", "catalogue", "orders", "user"),
    "orders": ("carts", "payment", "shipping", "user", "orders-db"),
    "carts": ("carts-db",),
    "catalogue": ("catalogue-db",),
    "user": ("user-db",),
    "shipping": ("rabbitmq",),
    "queue-master": ("rabbitmq",),
}
"""Who calls whom in the sock shop, as its documentation draws it: the recording has no traces."""


@dataclass(frozen=True, slots=True)
class Case:
    """One fault of a recording.

    Parameters
    ----------
    root : str
        The service that is to blame.
    kind : str
        Of fault.
    symptoms, edges
        What is ranked.
    affected : tuple of str
        What shows the trouble to users, if that is known.
    candidates : int
        Among how many the ranking chooses.
    """

    root: str
    kind: str
    symptoms: Sequence[Symptoms]
    edges: Sequence[Edge]
    affected: tuple[str, ...]
    candidates: int


def placed(case: Case) -> int:
    """Return the place of the root in the ranking, 0 where it is not in it."""
    ranked = [cause.service for cause in rank(case.symptoms, case.edges, case.affected)]
    return ranked.index(case.root) + 1 if case.root in ranked else 0


def petshop(folder: Path) -> Iterator[Case]:
    """Yield the issues: metrics of five minutes each, before and after the time at which the front end was seen to suffer."""
    usual = _table(folder / "high_traffic" / "noissue" / "metrics.csv")
    for target in sorted(folder.glob("*/*/issue_*/target.json")):
        told = json.loads(target.read_text())
        scenario = target.parents[2]
        table = _table(target.parent / "metrics.csv")
        since = told["target"]["timestamp"] - 300
        slow = {name: _series(usual, table, (name, "latency", "Average"), since) for name, *_ in table}
        edges = _moving(_petshop_edges(scenario / "graph.csv"), slow)
        symptoms = _petshop_symptoms(usual, table, since)
        front = told["target"]["node"]
        candidates = len({name for name, *_ in table})
        yield Case(told["root_cause"]["node"], told["target"]["metric"], symptoms, edges, (front,), candidates)


def sockshop(folder: Path) -> Iterator[Case]:
    """Yield the faults: metrics of every second, of a time without a fault and of one that begins with it."""
    edges = [Edge("default", caller, callee, 1.0) for caller, callees in _CALLS.items() for callee in callees]
    for path in sorted(folder.glob("*/*/anomalous.csv")):
        root, _, kind = path.parents[1].name.rpartition("-")
        usual, faulty = _seconds(path.parent / "normal.csv"), _seconds(path)
        found: dict[str, list[Symptom]] = {}
        slow: dict[str, FloatArray | None] = {}
        services = {name.split("_")[0] for name in faulty if name != "time"}
        for name, values in faulty.items():
            service, _, metric = name.partition("_")
            signal = _SOCKSHOP.get(metric.split("_")[0])
            if signal is not None and name in usual:
                series = np.concatenate([_windows(usual[name], _SOCKSHOP_WINDOWS), _windows(values, RECENT)])
                _note(found.setdefault(service, []), signal, name, series)
                if signal == "latency":
                    slow[service] = series
        yield Case(root, kind, _shown(found), _moving(edges, slow), (), len(services))


def _note(symptoms: list[Symptom], signal: str, name: str, series: FloatArray) -> None:
    """Judge a series and note its symptom, as `features.symptoms` does a level."""
    judged = of_values(series[None])
    bits, sign = float(judged.bits[0]), float(judged.sign[0])
    if bits >= LEAST_BITS and (sign > 0 or signal == "traffic"):
        since_s = int(60 * (RECENT - judged.length[0]))
        symptoms.append(
            Symptom(
                signal,
                since_s,
                bits,
                max(float(judged.value[0]), 0.0),
                max(float(judged.expected[0]), 0.0),
                "*",
                name if signal == "saturation" else "",
            )
        )


def _shown(found: Mapping[str, Sequence[Symptom]]) -> list[Symptoms]:
    return [
        Symptoms("default", name, 60 * RECENT, tuple(sorted(some, key=lambda one: -one.strength)))
        for name, some in found.items()
        if some
    ]


def _windows(values: FloatArray, count: int) -> FloatArray:
    """Return the means of so many equal parts of a series."""
    return np.array([float(np.nanmean(part)) if np.isfinite(part).any() else np.nan for part in np.array_split(values, count)])


def _moving(edges: Sequence[Edge], slow: Mapping[str, FloatArray | None]) -> list[Edge]:
    """Return edges with who moves first by latency, where both ends have one."""
    found: list[Edge] = []
    for edge in edges:
        callee, caller = slow.get(edge.callee), slow.get(edge.caller)
        if callee is None or caller is None or len(callee) != len(caller):
            found.append(edge)
            continue
        known = np.isfinite(callee) & np.isfinite(caller)
        bits = leads(np.where(known, callee, 0.0)[None], np.where(known, caller, 0.0)[None], known[None])
        found.append(replace(edge, lead_bits=float(bits[0])))
    return found


_Metrics = dict[tuple[str, str, str], dict[float, float]]


def _table(path: Path) -> _Metrics:
    """Read metrics by (node, metric, statistic) and time."""
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    columns = list(zip(*rows[:3], strict=True))
    found: _Metrics = {(name, metric, statistic): {} for name, metric, statistic in columns[1:]}
    for row in rows[4:]:
        for column, text in zip(columns[1:], row[1:], strict=True):
            if text:
                found[column][float(row[0])] = float(text)
    return found


def _petshop_symptoms(usual: _Metrics, table: _Metrics, since: float) -> list[Symptoms]:
    found: dict[str, list[Symptom]] = {}
    for name in {name for name, *_ in table}:
        latency, requests, availability = (
            _series(usual, table, (name, *column), since)
            for column in (("latency", "Average"), ("requests", "Sum"), ("availability", "Average"))
        )
        symptoms = found.setdefault(name, [])
        if latency is not None:
            _note(symptoms, "latency", "", latency)
        if requests is not None and availability is not None and len(requests) == len(availability):
            _note_failed(symptoms, requests, availability)
    return _shown(found)


def _note_failed(symptoms: list[Symptom], requests: FloatArray, availability: FloatArray) -> None:
    """Judge failures given the requests, as `features.symptoms` does."""
    total = np.nan_to_num(requests)
    failures = total * (1.0 - np.nan_to_num(availability, nan=100.0) / 100.0)
    judged = of_counts(failures[None], total[None, :, None], quantile=0.25)
    bits = float(judged.bits[0])
    if bits >= LEAST_BITS and judged.sign[0] > 0:
        symptoms.append(
            Symptom("failed", int(60 * (RECENT - judged.length[0])), bits, float(judged.value[0]), float(judged.expected[0]))
        )


def _series(usual: _Metrics, table: _Metrics, key: tuple[str, str, str], since: float) -> FloatArray | None:
    """Return a metric's hours without an issue, and at the end the three windows after a time; None where there are none of either."""
    values = table.get(key, {})
    before = list(usual.get(key, {}).values())[-60:] + [value for time, value in values.items() if time < since]
    after = [value for time, value in values.items() if time >= since][:RECENT]
    if not before or not after:
        return None
    return np.array([*before, *([np.nan] * (RECENT - len(after))), *after], float)


def _petshop_edges(path: Path) -> list[Edge]:
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    callees = rows[0][1:]
    return [
        Edge("default", row[0], callee, 1.0)
        for row in rows[1:]
        for callee, called in zip(callees, row[1:], strict=True)
        if float(called)
    ]


def _seconds(path: Path) -> dict[str, FloatArray]:
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    values = np.array([[float(text) if text else np.nan for text in row] for row in rows[1:]])
    return {name: values[:, place] for place, name in enumerate(rows[0])}
