"""Sample the traces of one minute: who calls whom, what fails, when it begins and ends.

Everything is drawn as arrays, level by level down the call graph; failures then climb up, times go down.
`app.demo.simulate` keeps the result as a `SpanTable`, `app.demo.render` writes it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app.demo.effects import Effects
from app.demo.symptom import STATUS, Symptom
from app.demo.topology import TOPOLOGY
from features.arrays import BoolArray, FloatArray, IntArray

__all__ = ["CALL", "DEPEND", "ENTRY", "SpanTable", "sample_traces"]

ENTRY, CALL, DEPEND = 0, 1, 2
"""Roles of a span: entry of an operation, call of an edge, call of a dependency."""

# Guessed: background failures an entry by service (0.1 to 0.5 %), and handled exceptions.
BACKGROUND = 0.001 + 0.0035 * ((np.arange(len(TOPOLOGY.components)) * 7) % 12) / 11
HANDLED = 0.003
NETWORK_S = 0.0012
MINUTE_S = 60.0
STATUSES = np.array([STATUS.get(Symptom(code), 200) for code in range(len(Symptom))])
# What a failure takes, in seconds: median and sigma; None keeps the own latency. Guessed from usual time limits.
TAKES = {
    Symptom.POOL: (4.0, 0.3),
    Symptom.THROTTLED: (1.2, 0.5),
    Symptom.OUTAGE: (3.0, 0.5),
    Symptom.CUT: (3.0, 0.2),
    Symptom.DISK: (0.25, 0.8),
    Symptom.MEMORY: (0.9, 0.8),
}
WAITS = np.zeros((2, len(Symptom)))
for _symptom, (_median, _sigma) in TAKES.items():
    WAITS[:, _symptom] = np.log(_median), _sigma
DEPENDS = np.isin(np.arange(len(Symptom)), [Symptom.THROTTLED, Symptom.OUTAGE, Symptom.CUT])
"""Symptoms that show on the call to the dependency, too."""


@dataclass(frozen=True, slots=True, eq=False)
class SpanTable:
    """The spans of one minute, one row each; a parent's row is named, a trace's rows share `trace`.

    Parameters
    ----------
    role, ref : IntArray, shape (n,)
        `ENTRY`, `CALL` or `DEPEND`; the operation, or the edge of a call.
    instance, trace, parent : IntArray, shape (n,)
        Index of the instance, of the trace, and the parent's row or -1.
    start_ns, end_ns : IntArray, shape (n,)
        Since the minute's start; both within the minute.
    symptom, status, handled : IntArray, shape (n,)
        Why it failed (0: it did not), its HTTP status, and the symptom of an exception that it handled.
    cause : IntArray, shape (n,)
        Row of the call that made it fail, or -1.
    """

    role: IntArray
    ref: IntArray
    instance: IntArray
    trace: IntArray
    parent: IntArray
    start_ns: IntArray
    end_ns: IntArray
    symptom: IntArray
    status: IntArray
    handled: IntArray
    cause: IntArray

    def __len__(self) -> int:
        return len(self.role)


@dataclass(slots=True, eq=False)
class _Nodes:
    """Entries, and calls that never arrived, in breadth-first order: a parent comes before its children."""

    op: IntArray
    edge: IntArray
    parent: IntArray
    trace: IntArray
    arrived: BoolArray
    own: IntArray  # symptom of a failure of its own
    levels: list[tuple[int, int]]

    @property
    def n(self) -> int:
        return len(self.op)


def sample_traces(rng: np.random.Generator, now: Effects, load: float) -> SpanTable:
    """Draw the traces of one minute.

    Parameters
    ----------
    rng : Generator
        Randomness of this minute.
    now : Effects
        Odds of this minute.
    load : float
        Traffic relative to an average minute, noise included.

    Returns
    -------
    SpanTable

    Examples
    --------
    >>> table = sample_traces(np.random.default_rng(1), Effects(1.0), 1.0)
    >>> bool((table.parent < np.arange(len(table))).all()), bool((table.end_ns <= 60 * 10**9).all())
    (True, True)
    """
    nodes = _grow(rng, now, load)
    asks = nodes.arrived & ((rng.random(nodes.n) < TOPOLOGY.dependency_p[nodes.op]) | (DEPENDS[nodes.own] & (nodes.own != 0)))
    symptom, cause, handled = _fail(rng, now, nodes)
    own_s, pause_s = _own_seconds(rng, now, nodes)
    start_s, total_s = _times(nodes, own_s, pause_s)
    return _table(rng, nodes, asks, (symptom, cause, handled), (start_s, total_s, own_s))


def _grow(rng: np.random.Generator, now: Effects, load: float) -> _Nodes:
    alive = ~now.dead[TOPOLOGY.service]
    op = np.repeat(np.arange(len(alive)), rng.poisson(TOPOLOGY.rate * load * alive))
    n_roots = len(op)
    layer = (op, np.full(n_roots, -1), np.full(n_roots, -1), np.arange(n_roots), np.ones(n_roots, np.bool_))
    layers: list[tuple[IntArray, IntArray, IntArray, IntArray, BoolArray]] = []
    owns: list[IntArray] = []
    levels: list[tuple[int, int]] = []
    offset = 0
    while len(layer[0]):
        own = _own_failures(rng, now, layer[0]) * layer[4]
        layers.append(layer)
        owns.append(own)
        levels.append((offset, offset + len(own)))
        layer = _children(rng, now, layer, own, offset)
        offset = levels[-1][1]
    if not layers:  # nobody came in this minute
        return _Nodes(op, op, op, op, layer[4], op, [])
    joined = [np.concatenate(parts) for parts in zip(*layers, strict=True)]
    return _Nodes(joined[0], joined[1], joined[2], joined[3], joined[4].astype(np.bool_), np.concatenate(owns), levels)


def _own_failures(rng: np.random.Generator, now: Effects, op: IntArray) -> IntArray:
    u = rng.random(len(op))
    blip = rng.random(len(op)) < BACKGROUND[TOPOLOGY.service[op]]
    return np.where(u < now.error[op], now.symptom[op], np.where(blip, int(Symptom.BLIP), 0))


def _children(
    rng: np.random.Generator,
    now: Effects,
    layer: tuple[IntArray, IntArray, IntArray, IntArray, BoolArray],
    own: IntArray,
    offset: int,
) -> tuple[IntArray, IntArray, IntArray, IntArray, BoolArray]:
    first, count = TOPOLOGY.fan_out
    n = count[layer[0]] * layer[4]
    row = np.repeat(np.arange(len(n)), n)
    edge = first[layer[0][row]] + np.arange(len(row)) - np.repeat(np.cumsum(n) - n, n)
    # What failed early seldom goes on to call others.
    odds = TOPOLOGY.edge_odds[0][edge] * np.where(own[row] != 0, 0.35, 1.0)
    kept = rng.random(len(edge)) < odds
    row, edge = row[kept], edge[kept]
    op = TOPOLOGY.ends[1][edge]
    service = TOPOLOGY.service[op]
    arrived = (rng.random(len(op)) >= now.cut[service]) & ~now.dead[service]
    return op, edge, row + offset, layer[3][row], arrived


def _fail(rng: np.random.Generator, now: Effects, nodes: _Nodes) -> tuple[IntArray, IntArray, IntArray]:
    """Let failures climb: symptom and causing node of each node, and what it handled."""
    service = TOPOLOGY.service[nodes.op]
    symptom = np.where(nodes.arrived, nodes.own, np.where(now.dead[service], int(Symptom.REFUSED), int(Symptom.CUT)))
    cause = np.full(nodes.n, -1)
    u = rng.random(nodes.n)
    handled = np.where(rng.random(nodes.n) < now.handled[nodes.op], now.handled_symptom[nodes.op], 0)
    handled = np.where((handled == 0) & (rng.random(nodes.n) < HANDLED), int(Symptom.ODD_WARNING), handled)
    for since, until in reversed(nodes.levels[1:]):
        rows = np.arange(since, until)[(symptom[since:until] != 0) & ~TOPOLOGY.queued[nodes.edge[since:until]]]
        parents = nodes.parent[rows]
        fatal = u[rows] < TOPOLOGY.edge_odds[1][nodes.edge[rows]] * now.relay[service[parents]]
        calm = ~fatal & (symptom[parents] == 0)
        handled[parents[calm]] = Symptom.FALLBACK
        cause[parents[calm]] = rows[calm]
        fresh = fatal & (symptom[parents] == 0)
        symptom[parents[fresh]] = Symptom.UPSTREAM
        cause[parents[fresh]] = rows[fresh]
    return symptom, cause, np.where((symptom == 0) & nodes.arrived, handled, 0)


def _own_seconds(rng: np.random.Generator, now: Effects, nodes: _Nodes) -> tuple[FloatArray, FloatArray]:
    """Own time of each node, and how long a message waits in its queue."""
    mu, sigma = TOPOLOGY.latency
    z = rng.standard_normal(nodes.n)
    own = np.exp(mu[nodes.op] + sigma[nodes.op] * z) * now.latency[nodes.op]
    own *= np.where(rng.random(nodes.n) < now.tail[nodes.op], rng.uniform(3, 12, nodes.n), 1.0)
    code = np.where(nodes.arrived, nodes.own, int(Symptom.CUT))
    code = np.where(nodes.arrived | (now.cut[TOPOLOGY.service[nodes.op]] > 0), code, int(Symptom.REFUSED))
    waits = np.exp(WAITS[0][code] + WAITS[1][code] * z)
    own = np.where(WAITS[1][code] > 0, waits, np.where(code == Symptom.REFUSED, 0.002, own))
    return np.minimum(own, 6.0), rng.uniform(0.02, 0.4, nodes.n)


def _times(nodes: _Nodes, own_s: FloatArray, pause_s: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Start since the trace's start, and duration; a caller waits for its calls one after the other."""
    total = own_s.copy()
    queued = TOPOLOGY.queued[nodes.edge] & (nodes.edge >= 0)
    for since, until in reversed(nodes.levels[1:]):
        cost = np.where(queued[since:until], 0.003, total[since:until] + NETWORK_S)
        total += np.bincount(nodes.parent[since:until], weights=cost, minlength=nodes.n)
    start = np.zeros(nodes.n)
    for since, until in nodes.levels[1:]:
        parent = nodes.parent[since:until]
        cost = np.where(queued[since:until], 0.003, total[since:until] + NETWORK_S)
        before = np.cumsum(cost) - cost
        opens = np.concatenate([[True], parent[1:] != parent[:-1]])
        before -= np.maximum.accumulate(np.where(opens, before, 0.0))
        lag = np.where(queued[since:until], pause_s[since:until], NETWORK_S / 2)
        start[since:until] = start[parent] + own_s[parent] * 0.7 + before + lag
    return start, total


def _table(
    rng: np.random.Generator,
    nodes: _Nodes,
    asks: BoolArray,
    failure: tuple[IntArray, IntArray, IntArray],
    times: tuple[FloatArray, FloatArray, FloatArray],
) -> SpanTable:
    symptom, cause, handled = failure
    start, total, own = times
    first, count = TOPOLOGY.instances
    service = TOPOLOGY.service[nodes.op]
    instance = first[service] + (rng.random(nodes.n) * count[service]).astype(np.int64)
    start = start + _placement(rng, nodes, start + total)[nodes.trace]
    entry, call, depend = np.flatnonzero(nodes.arrived), np.flatnonzero(nodes.edge >= 0), np.flatnonzero(asks)
    n_all = len(entry) + len(call) + len(depend)
    # Rows go node by node, a call before its entry before the entry's dependency, so parents come first.
    node = np.concatenate([call, entry, depend])
    order = np.argsort(node, kind="stable")
    place = np.empty(n_all, np.int64)
    place[order] = np.arange(n_all)
    call_row, entry_row = np.full(nodes.n + 1, -1), np.full(nodes.n + 1, -1)
    call_row[call], entry_row[entry] = place[: len(call)], place[len(call) : len(call) + len(entry)]
    queued = TOPOLOGY.queued[nodes.edge[call]]
    asked = np.where(DEPENDS[nodes.own[depend]], nodes.own[depend], 0)
    missed = np.where(nodes.arrived[call], np.where(symptom[call] != 0, int(Symptom.UPSTREAM), 0), symptom[call])
    begins = [
        start[call] - np.where(queued, 0.006, NETWORK_S / 2),
        start[entry],
        start[depend] + own[depend] * 0.05,
    ]
    lasts = [np.where(queued, 0.003, total[call] + NETWORK_S), total[entry], own[depend] * 0.6]
    caller = nodes.parent[call]
    begin_ns = (np.maximum(np.concatenate(begins)[order], 0.0) * 1e9).astype(np.int64)

    def column(*parts: IntArray) -> IntArray:
        return np.concatenate(parts)[order].astype(np.int64)

    return SpanTable(
        role=column(np.full(len(call), CALL), np.full(len(entry), ENTRY), np.full(len(depend), DEPEND)),
        ref=column(nodes.edge[call], nodes.op[entry], nodes.op[depend]),
        instance=column(instance[caller], instance[entry], instance[depend]),
        trace=column(nodes.trace[call], nodes.trace[entry], nodes.trace[depend]),
        parent=column(entry_row[caller], call_row[entry], entry_row[depend]),
        start_ns=begin_ns,
        end_ns=begin_ns + (np.concatenate(lasts)[order] * 1e9).astype(np.int64),
        symptom=column(np.where(queued, 0, missed), symptom[entry], asked),
        status=column(STATUSES[symptom[call]], STATUSES[symptom[entry]], STATUSES[asked]),
        handled=column(np.zeros_like(call), handled[entry], np.zeros_like(depend)),
        cause=column(np.full(len(call), -1), call_row[cause[entry]], np.full(len(depend), -1)),
    )


def _placement(rng: np.random.Generator, nodes: _Nodes, ends: FloatArray) -> FloatArray:
    """Where in the minute each trace begins, so that all of it lies within: no minute tells of the next one."""
    n_traces = nodes.levels[0][1] if nodes.levels else 0
    extent = np.zeros(n_traces)
    np.maximum.at(extent, nodes.trace, ends)
    return rng.random(n_traces) * np.maximum(MINUTE_S - extent - 0.05, 0.0) + 0.01
