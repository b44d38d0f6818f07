"""What forecasts and learns: the members of every tenant, and the forecasts that wait for what really happens.

`app.flow.forecast` asks it for the hazards of all rows of a Memory; `app.flow.settle` tells it what happened; the worker keeps its state
beside that of the tenant's lowest one, since what is learned belongs to a tenant and not to a partition.
"""

from __future__ import annotations

import msgspec
import numpy as np

from app.members import SERVED, Members, add_records, subjects_of
from app.telemetry import Telemetry
from features.arrays import Float32Array, FloatArray, IntArray
from features.incident import Standing
from features.memory import Memory
from features.series import SeriesKey
from models.maturing import Maturing, Pending
from training.dataset import settled

__all__ = ["MOST_ROWS", "Learners"]

_LEARN_EVERY = 5  # ticks between two forecasts that the learners wait for; neighbours say nearly the same

MOST_ROWS = 1_000
"""Rows of a tenant that wait of one tick. Of more series every other, third, ... waits, another one each time: as many rows teach what holds
for all, and 14 forecasts of every row would be most of a series' memory."""


class Learners:
    """The forecasters of all tenants of a Memory.

    Parameters
    ----------
    memory : Memory
        Whose rows are forecast.
    telemetry : Telemetry
        Where it counts.
    most_rows : int
        Rows of a tenant that wait of one tick.
    """

    def __init__(self, memory: Memory, telemetry: Telemetry, most_rows: int = MOST_ROWS) -> None:
        self.memory = memory
        self.most_rows = most_rows
        self.telemetry = telemetry
        self.members: dict[str, Members] = {}
        self.maturing: dict[str, Maturing] = {}
        self._rank: IntArray = np.zeros(0, np.int64)

    def of(self, tenant: str) -> Members:
        """Return the forecasters of a tenant."""
        if tenant not in self.members:
            self.members[tenant] = self._new_members()
        return self.members[tenant]

    def waiting(self, tenant: str) -> Maturing:
        """Return the forecasts of a tenant that wait for their horizon to close."""
        if tenant not in self.maturing:
            self.maturing[tenant] = self._new_maturing()
        return self.maturing[tenant]

    def hazards(self, x: Float32Array, tick: int) -> FloatArray:
        """Return blended hazards of all rows, tenant by tenant, and keep what the learners will be asked about."""
        out = np.zeros((len(x), 3))
        tenant_of = self.memory.pools().tenant
        teaching = settled(self.memory)
        for tenant, code in self.memory.tenants.items():
            rows: IntArray = np.flatnonzero(tenant_of == code)
            members = self.of(tenant)
            subjects = subjects_of(members, self.memory, rows)
            said = members.together(members.hazards(x[rows]), subjects)
            out[rows] = said[SERVED]
            kept = teaching[rows]
            if tick % _LEARN_EVERY == 0 and kept.any():
                chosen = np.searchsorted(rows, self._thinned(self._by_name(rows[kept]), tick))
                hazards = {name: h[chosen] for name, h in said.items()} | members.rivalry.hazards(x[rows[chosen]])
                about = subjects.take(chosen)
                pending = Pending(tick, about.series, x[about.series], hazards, members.version, about.quiet, about.record)
                self.waiting(tenant).add(pending)
        return out

    def settle(self, tick: int, standing: Standing) -> None:
        """Join forecasts whose horizon has closed with what happened, and learn from them once."""
        for row in np.flatnonzero(standing.began).tolist():
            tenant = self.memory.directory.keys[row].tenant
            self.waiting(tenant).began(row, int(standing.open_since[row]), tick)
            self.of(tenant).began(1)
        for tenant, maturing in self.maturing.items():
            maturing.unheard(self.memory.unheard.get(tenant, range(0)))
            members = self.of(tenant)
            for matured in maturing.due(tick):
                if members.learn(matured):
                    self.telemetry.drifts.inc()
                self.telemetry.matured.labels(outcome="incident").inc(float(matured.y.any(1).sum()))
                self.telemetry.matured.labels(outcome="quiet").inc(float((matured.at_risk.any(1) & ~matured.y.any(1)).sum()))
        self._show_learning()

    def snapshot(self) -> dict[str, bytes]:
        """Return what was learned from matured forecasts, and what waits to mature, by tenant, with its own series only."""
        keys = self.memory.directory.keys
        found: dict[str, bytes] = {}
        for tenant in sorted(self.maturing):
            own = self._by_name(np.array([row for row, key in enumerate(keys) if key.tenant == tenant], np.int64)).tolist()
            place = np.full(len(keys), -1, np.int64)
            place[own] = np.arange(len(own))
            wire = _LearnerWire(
                keys=[_parts(keys[row]) for row in own],
                members=self.of(tenant).snapshot(np.array(own, np.int64)),
                maturing=_renumbered(self.maturing[tenant], place).snapshot(),
            )
            found[tenant] = msgspec.msgpack.encode(wire)
        return found

    def restore(self, tenant: str, data: bytes) -> None:
        """Put back what `snapshot` returned, after all partitions are restored.

        Where the tenant has learners already, since another node shared it and handed its part over, those that learned from more rows
        are kept. What waits to mature is kept of both, and so is what the others know of series that these do not know.
        """
        wire = msgspec.msgpack.decode(data, type=_LearnerWire)
        now = np.array([self._row_or_gone(key) for key in wire.keys], np.int64)
        found, here = self._new_members(), self.members.get(tenant)
        if not found.restore(wire.members, now):
            return  # what waits has the columns of the same schema
        if here is not None and here.champion is not None:
            found.promote(here.champion)
        kept = found if here is None or found.online.n_rows >= here.online.n_rows else here
        for other in (found, here):
            if other is not None:
                add_records(kept, other)
        self.members[tenant] = kept
        waited = self._new_maturing()
        waited.restore(wire.maturing, lambda rows: now[rows])
        self.waiting(tenant).join(waited)

    def _new_members(self) -> Members:
        return Members(self.memory.plan.tick_s * _LEARN_EVERY)

    def _new_maturing(self) -> Maturing:
        return Maturing(self.memory.plan.tick_s, self.memory.plan.rule.m + self.memory.plan.lateness)

    def _row_or_gone(self, key: tuple[str, str, str]) -> int:
        row = self.memory.directory.find(*key)
        return -1 if row is None else row

    def _by_name(self, rows: IntArray) -> IntArray:
        """Return rows in an order that partitions do not change: in which they came to be first known hangs on what was read first."""
        keys = self.memory.directory.keys
        if len(self._rank) != len(keys):
            order = sorted(range(len(keys)), key=lambda row: _parts(keys[row]))
            self._rank = np.empty(len(keys), np.int64)
            self._rank[order] = np.arange(len(keys))
        return rows[np.argsort(self._rank[rows])]

    def _thinned(self, rows: IntArray, tick: int) -> IntArray:
        """Return at most `most_rows` rows, evenly spread, so that every row has its turn."""
        step = -(-len(rows) // self.most_rows)
        return rows[tick // _LEARN_EVERY % step :: step]

    def _show_learning(self) -> None:
        """Set the gauges of the members: the worst tenant's loss, and the mean of the tenants' weights."""
        members = [self.of(tenant) for tenant in self.maturing]
        worst: dict[tuple[str, str], float] = {}
        for name, horizon, found in (
            (n, h, v) for m in members for n, by in m.progressive.said().items() for h, v in by.items()
        ):
            worst[name, horizon] = max(found.log_loss, worst.get((name, horizon), 0.0))
        for (name, horizon), loss in worst.items():
            self.telemetry.log_loss.labels(member=name, horizon=horizon).set(loss)
        for name in {name for m in members for name in m.blend.members}:
            mean = float(np.mean([m.blend.weights[name] for m in members]))
            self.telemetry.blend_weight.labels(member=name).set(mean)


class _LearnerWire(msgspec.Struct):
    keys: list[tuple[str, str, str]]
    members: bytes
    maturing: bytes


def _renumbered(maturing: Maturing, place: IntArray) -> Maturing:
    """Return a copy whose rows are those of `place`; rows that it maps to -1 are left out."""
    copy = Maturing(maturing.tick_s, maturing.patience)
    starts = [(int(place[row]), start, seen) for row, start, seen in maturing.starts if place[row] >= 0]
    copy.starts = sorted(starts, key=lambda found: (found[2], found[1], found[0]))
    copy.gaps = list(maturing.gaps)
    for p in maturing.pending:
        kept = place[p.rows] >= 0
        copy.add(p.take(kept, place[p.rows[kept]]))
    return copy


def _parts(key: SeriesKey) -> tuple[str, str, str]:
    return key.tenant, key.service, key.operation
