"""Everything that is remembered of all series: the one state that live code, replay and training share.

`app.flow.absorb` calls `add` for what one Batch says and `advance` when a tick ends; history keeps what
`advance` returns; `training.replay` gives that back through `apply`. `features.extract` reads it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from features.afar import Afar
from features.arrays import BoolArray, Float32Array, FloatArray, IntArray
from features.batch import CHANNELS, N_CHANNELS, Batch, channel
from features.directory import Directory
from features.durations import Meters
from features.event import ErrorRecord
from features.excitation import Excitation
from features.facts import Fact, Facts
from features.graph import Graph, resolve
from features.incident import IncidentRule, Standing, broken
from features.join import EdgeJoin
from features.onsets import Onsets, Pools
from features.rhythm import EXPECTED, Rhythm
from features.series import WHOLE, SeriesKey
from features.shares import Shares
from features.windows import Increment, Windows

__all__ = ["Closed", "Memory", "MemoryPlan"]

_USUAL = np.array([CHANNELS.index(name) for name in EXPECTED])
_JUDGED = slice(0, int(_USUAL.max()) + 1)
_TOTAL = channel("total")
_HEARD = (_TOTAL, channel("inner"), channel("logs"))
_ERRORS = channel("errors")
_FEW_DUE = 10.0  # of ten due requests at most one comes by chance five times in ten thousand


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """Sizes and rules of a Memory.

    Parameters
    ----------
    tick_s : int
        Seconds of a window.
    lateness : int
        Ticks for which a closed window takes data.
    max_operations, max_series, max_series_per_tenant : int
        Bounds of the directory.
    rule : IncidentRule
        What an incident is.
    """

    tick_s: int = 60
    lateness: int = 5
    max_operations: int = 64
    max_series: int = 20_000
    rule: IncidentRule = field(default_factory=IncidentRule)
    max_series_per_tenant: int = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class Closed:
    """What the end of a tick made known.

    Parameters
    ----------
    increment : Increment
        Counts received during the tick.
    facts : list of Fact
        Facts received during the tick.
    standing : Standing
        Incidents that stand, began or ended.
    limited : Mapping of str to int
        Points in which services measured themselves that were left out, by reason.
    """

    increment: Increment
    facts: list[Fact]
    standing: Standing
    limited: Mapping[str, int]


class Memory:
    """State of all series of the partitions that a process owns.

    Parameters
    ----------
    plan : MemoryPlan
        Sizes and rules.

    Examples
    --------
    >>> from features.batch import Batch, N_BUCKETS
    >>> memory = Memory(MemoryPlan())
    >>> counts = np.zeros((1, len(CHANNELS))); counts[0, 0] = 3
    >>> batch = Batch("traces", 3, (("cart", "GET /"),), np.array([0]), np.array([6000]), counts, np.zeros((1, N_BUCKETS)))
    >>> memory.begin(100)
    >>> _ = memory.add("default", 0, batch)
    >>> closed = memory.advance(101)
    >>> [str(key) for key in memory.directory.keys], closed.increment.values[:, 0].tolist()
    (['default/cart/*', 'default/cart/GET /'], [3.0, 3.0])
    """

    def __init__(self, plan: MemoryPlan | None = None) -> None:
        self.plan = plan = plan or MemoryPlan()
        self.directory = Directory(plan.max_operations, plan.max_series, plan.max_series_per_tenant)
        self.windows = Windows(plan.lateness)
        self.rhythm = Rhythm(plan.tick_s)
        self.facts = Facts()
        self.onsets = Onsets(plan.rule, plan.tick_s)
        self.excitation = Excitation(plan.tick_s)
        self.graph = Graph()
        self.shares = Shares()
        self.joins: dict[int, EdgeJoin] = {}
        self.meters: dict[int, Meters] = {}
        self.tenants: dict[str, int] = {}
        self.late = 0
        self.unheard: dict[str, range] = {}
        """Windows, by tenant, that the last tick closed without knowing what happened in them."""
        self.afar = Afar()
        """What is known of services whose partitions other nodes hold; `app.flow` replaces it before a tick ends."""
        self.strays: dict[tuple[str, str, str], float] = {}
        """Calls of such services, (tenant, caller, callee), that the last tick's span ends told of here."""
        self._afar_before = self.afar
        self._calls: dict[tuple[str, str, str], float] = {}
        self._known: dict[str, dict[tuple[str, str], int]] = {}  # rows by tenant and name, as Batches name them
        self._measured: tuple[int, frozenset[int]] = (-1, frozenset())  # partitions with measured services, at a tick

    @property
    def tick(self) -> int:
        """Number of the open window: everything before it is closed."""
        return self.windows.tick

    def begin(self, tick: int) -> None:
        """Open the first window; later calls change nothing."""
        self.windows.begin(tick)

    def add(self, tenant: str, partition: int, batch: Batch) -> int:
        """Gather what a Batch says until the tick ends.

        Parameters
        ----------
        tenant : str
            Whose.
        partition : int
            Where it was read, kept with the rows for snapshots.
        batch : Batch
            Placed in time by `features.clock.place`.

        Returns
        -------
        int
            Groups refused as too late.
        """
        known = self._known.setdefault(tenant, {})
        rows = [known.get(name, -1) for name in batch.series]
        if -1 in rows:
            rows = [self.row(tenant, service, operation, partition) for service, operation in batch.series]
        if batch.durations:
            self.meters.setdefault(partition, Meters(self.plan.tick_s)).gather(tenant, batch.durations)
        late = 0
        if len(batch.group_series):
            windows = batch.group_time_s // self.plan.tick_s
            counts, histogram = self._unmeasured(tenant, partition, batch, windows)
            late = self.windows.add(rows, batch.group_series, windows, counts, histogram)
            self.late += late
        if batch.levels or batch.presences:
            self._gather_facts(tenant, partition, batch)
        for call in batch.calls:
            key = (tenant, call.caller, call.callee)
            self._calls[key] = self._calls.get(key, 0.0) + call.count
        if len(batch.end_trace):
            if partition not in self.joins:
                self.joins[partition] = EdgeJoin()
            self.joins[partition].add(tenant, batch)
        return late

    def row(self, tenant: str, service: str, operation: str, partition: int) -> int:
        """Return the row of a series, making it where there is room, else -1."""
        known = self._known.setdefault(tenant, {})
        row = known.get((service, operation))
        if row is not None:
            return row
        row = self.directory.row(tenant, service, operation, partition)
        if len(self.directory) > len(self.facts.columns):
            self._grow(tenant)
        if row is None:
            return -1
        if row == self.directory.find(tenant, service, operation):  # what was folded is counted every time
            known[service, operation] = row
        return row

    def row_of_snapshot(self, key: SeriesKey, partition: int) -> int:
        """Return the row of a key that a snapshot names, whatever the quotas are now."""
        row = self.directory.restore(key, partition)
        self._grow(key.tenant)
        return row

    def row_of_history(self, key: SeriesKey) -> int:
        """Return the row of a key that history names; its whole service gets a row first."""
        if key.operation != WHOLE:
            self.row_of_snapshot(SeriesKey(key.tenant, key.service, WHOLE), 0)
        return self.row_of_snapshot(key, 0)

    def add_error(self, row: int, record: ErrorRecord, category: str, novel: str | None, fingerprint: str = "") -> None:
        """Gather an error of a whole service: its category, what it is a part of, and its fingerprint if that is new.

        Row -1 is left out.
        """
        window = record.time_ns // 10**9 // self.plan.tick_s
        if row < 0 or window < self.windows.tick - self.windows.lateness:  # refused with the counts of its window
            return
        self.facts.gather(row, window, "category", category, record.weight)
        if novel is not None:
            self.facts.gather(row, window, "novel", novel, 1.0)
        if fingerprint := fingerprint or novel or "":
            self.shares.add(row, window, record, fingerprint)

    def take_back_error(self, tenant: str, record: ErrorRecord) -> None:
        """Subtract an error that turned out to be another report of one that was counted."""
        row = self.directory.find(tenant, record.service)
        if row is None:
            return
        self.windows.put(row, record.time_ns // 10**9 // self.plan.tick_s, _ERRORS, -record.weight)

    def advance(self, tick: int) -> Closed:
        """Close every window before `tick` with what was gathered."""
        skipped = self._skipped(tick)
        self._gather_edges()
        limited = self._gather_measured(tick)
        facts = self.facts.advance(tick)
        increment = self.windows.advance(tick, self.directory.whole)
        self._apply_edges(facts)
        self.excitation.advance(increment)
        return Closed(increment, facts, self._judge(skipped), limited)

    def apply(self, increment: Increment, facts: Sequence[Fact]) -> Standing:
        """Close a tick with what history says was received in it."""
        skipped = self._skipped(increment.tick)
        self.facts.apply(increment.tick, facts)
        self.windows.apply(increment)
        self.excitation.advance(increment)
        self._apply_edges(facts)
        return self._judge(skipped)

    def pools(self) -> Pools:
        """Return who borrows from whom."""
        tenant = np.array([self.tenants[key.tenant] for key in self.directory.keys], np.int64)
        return Pools(self.directory.whole, tenant, self.afar.beyond(self.tenants))

    def services(self) -> dict[tuple[str, str], int]:
        """Return rows of whole services by (tenant, service)."""
        return {(k.tenant, k.service): row for row, k in enumerate(self.directory.keys) if k.operation == WHOLE}

    def last_data(self) -> IntArray:
        """Return ticks since each series last had a span or log record within 60, else 60, shape (n,)."""
        return self.windows.silence(_HEARD)

    def _grow(self, tenant: str) -> None:
        self.tenants.setdefault(tenant, len(self.tenants))
        for part in (self.windows, self.rhythm, self.onsets, self.excitation):
            part.columns.grow(len(self.directory))
        self.facts.grow(len(self.directory))
        born = self.facts.columns["born"]
        born[born < 0] = max(self.tick, 0)

    def _gather_facts(self, tenant: str, partition: int, batch: Batch) -> None:
        facts, tick, tick_ns = self.facts, self.tick, self.plan.tick_s * 10**9
        for level in batch.levels:
            if (row := self.row(tenant, level.service, WHOLE, partition)) >= 0:
                facts.gather(row, level.time_ns // tick_ns, "level", level.name, level.value)
        for presence in batch.presences:
            if (row := self.row(tenant, presence.service, WHOLE, partition)) < 0:
                continue
            for kind, known, name in (
                ("instance", facts.instances[row], presence.instance),
                ("version", facts.versions[row], presence.version),
            ):
                if name in known:
                    known[name] = max(known[name], tick)
                elif name:
                    facts.gather(row, tick, kind, name, 1.0)

    def _unmeasured(self, tenant: str, partition: int, batch: Batch, windows: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return counts and histogram without the requests that services measure themselves."""
        if self._measured[0] != self.tick:  # who measures changes only between two ticks
            self._measured = self.tick, frozenset(number for number, meters in self.meters.items() if meters)
        if partition not in self._measured[1]:
            return batch.counts, batch.histogram
        services = [batch.series[place][0] for place in batch.group_series.tolist()]
        groups = np.concatenate([batch.counts, batch.histogram], axis=1)
        groups = self.meters[partition].unmeasured(tenant, services, windows, groups)
        return groups[:, :N_CHANNELS], groups[:, N_CHANNELS:]

    def _gather_measured(self, tick: int) -> Mapping[str, int]:
        """Count the requests that services measured themselves, for the operation and for the whole service.

        What is returned are points left out, by reason.
        """
        place, limited = np.zeros(1, np.int64), Counter[str]()
        for partition, meters in sorted(self.meters.items()):
            for served in meters.settle(tick):
                row = self.row(served.tenant, served.service, served.operation, partition)
                values = served.values[None]
                self.late += self.windows.add(
                    [row], place, np.array([served.window]), values[:, :N_CHANNELS], values[:, N_CHANNELS:]
                )
            limited += meters.limited
            meters.limited.clear()
        return limited

    def _gather_edges(self) -> None:
        """Make facts of the tick's calls, once everybody is heard: a caller's own data may come after its traces' ends."""
        for _, join in sorted(self.joins.items()):
            for edge, calls in join.close(self.tick).items():
                self._calls[edge] = self._calls.get(edge, 0.0) + calls
        for edge, calls in self.afar.calls(self._afar_before):
            if self.directory.find(*edge[:2]) is not None:
                self._calls[edge] = self._calls.get(edge, 0.0) + calls
        self._afar_before, self.strays = self.afar, {}
        for (tenant, caller, callee), calls in self._calls.items():
            if (row := self.directory.find(tenant, caller)) is not None:
                self.facts.gather(row, self.tick, "edge", callee, calls)
            elif (tenant, caller) in self.afar.services:
                self.strays[tenant, caller, callee] = calls
        self._calls.clear()

    def _apply_edges(self, facts: Iterable[Fact]) -> None:
        edges = [fact for fact in facts if fact.kind == "edge"]
        if not edges:
            return
        names: dict[str, set[str]] = {}
        for tenant, service in (*self.services(), *self.afar.services):
            names.setdefault(tenant, set()).add(service)
        for fact in edges:
            key = self.directory.keys[fact.row]
            self.graph.add(key.tenant, key.service, resolve(fact.name, names[key.tenant]), fact.value, self.tick)

    def _skipped(self, tick: int) -> int:
        """Return how many ticks before this one were never closed, because nothing ran."""
        return max(tick - 1 - self.tick, 0) if self.tick >= 0 else 0

    def _judge(self, skipped: int) -> Standing:
        """Judge the window that just closed, and the one before it again with what came late."""
        window = self.tick - 1
        recent = self.windows.fine(_JUDGED)
        expected = self.rhythm.expected(window)
        heard = self._heard(recent, expected)
        self._note_unheard(window, skipped, recent[:, -1:, _TOTAL].astype(float), expected[:, 0])
        before = broken(recent[:, :-1], expected, heard[:, :-1], self.plan.rule)
        now = broken(recent, expected, heard, self.plan.rule)
        standing = self.onsets.advance(window, np.stack([before, now], axis=1), skipped)
        usual: BoolArray = heard[:, -2] & ~now & (self.onsets.columns["open_since"] < 0)
        # Late data is in by now, so the rhythm learns the window before the last.
        self.rhythm.learn(window - 1, recent[:, -2][:, _USUAL].astype(float), usual & ~before)
        return standing

    def _heard(self, recent: Float32Array, expected: FloatArray) -> BoolArray:
        """Return for every row and window whether the tenant's other services were heard, shape (n, 60).

        A service that falls silent while others speak is down; if all are silent, the way to us is. A tenant's
        only service has no others to be judged by, and its silence counts.
        """
        tenant, whole = self.pools().tenant, self.directory.whole
        of_service = recent[:, :, _TOTAL].astype(float)[whole]
        due_of_service = expected[:, 0][whole]
        got, due = self._totals(of_service, due_of_service, tenant)
        return _enough(got[tenant] - of_service, (due[tenant] - due_of_service)[:, None])

    def _note_unheard(self, window: int, skipped: int, got: FloatArray, due: FloatArray) -> None:
        """Note the windows up to this one of which nothing is known: nothing ran, or nothing came."""
        totals = self._totals(got, due, self.pools().tenant)
        heard = _enough(totals[0][:, 0], totals[1])
        self.unheard = {name: range(window - skipped, window + (not heard[code])) for name, code in self.tenants.items()}

    def _totals(self, got: FloatArray, due: FloatArray, tenant: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return what came, shape (t, w), and what was due, shape (t,), over each tenant's whole services, here and elsewhere."""
        whole = np.flatnonzero(self.directory.is_whole)
        sums = np.zeros((len(self.tenants), got.shape[1]))
        np.add.at(sums, tenant[whole], got[whole])
        dues = np.bincount(tenant[whole], due[whole], len(self.tenants)).astype(float)
        if (beyond := self.afar.beyond(self.tenants)) is not None:
            return sums + self.afar.got(self.tenants, self.tick - 1, got.shape[1]), dues + beyond.due
        return sums, dues


def _enough(got: FloatArray, due: FloatArray) -> BoolArray:
    """Return whether at least a tenth came of what was due; where less than ten were due, none can be chance."""
    return (got >= 0.1 * due) | (due < _FEW_DUE)
