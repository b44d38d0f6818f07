"""Combinations of vital signs that are unusual together, where each may be usual.

`app.anomalies` gives the deviations of every busy service's vital signs once a tick and takes a tail probability as one more signal. There
is one forest a tenant (`models.multivariate.Multivariate`); how surprised it usually is by a service is kept with the service.
"""

from __future__ import annotations

from collections.abc import Mapping
from zlib import crc32

import numpy as np

from features.arrays import BoolArray, FloatArray, IntArray
from features.memory import Memory
from features.rings import Columns
from features.sparse import Slots, Sparse
from features.vitals import VITALS
from models.frequencies import Frequencies, Scale
from models.multivariate import MOST_ROWS, Multivariate
from models.routine import Routine

__all__ = ["Combinations"]

_FAILED, _LATENCY, _TRAFFIC = (VITALS.index(name) for name in ("failed", "latency", "traffic"))
_WIDTH = 2 * len(VITALS)
_LATELY = 10.0  # ticks over which deviations are averaged, for what is mild and lasts; 5 and 10 tried
_STEEP = 0.2  # of the map into [0, 1]: five deviations are halfway to its end. 0.2 to 0.5 tried: steep ones put what is rare together
_SPREADS, _SPREAD_TICKS, _SPREAD_BORROWED = 0.05, 1_000.0, 60.0  # guessed: variance before any is known, and what it weighs
_SPREAD_BOUND = 16.0  # guessed: variances that one square counts for at most
_MOST = 10.0  # guessed: bounds of 95 % that a deviation counts for at most
_YOUNG = 60  # guessed: usual ticks before which a service's own deviations teach nothing, and its surprises before which none is said
_MEMORY = 2_000.0  # guessed: ticks over which a service's surprise is averaged
_LEAST_TAIL = 1e-12
_SIDE = 1.96 * 1.2533  # mean absolute deviations to each side that hold 95 % of a normal distribution

_FALL, _FROM = 5.5, 1.4
"""Octaves by which tails fall with each bit of surprise, and the bits from which they do: measured on independent normal deviations."""

_SCALE = Scale(
    low=0.5,
    high=6.5,
    bins=48,
    believed=lambda bits: np.minimum(np.exp2(-_FALL * (bits - _FROM)), 1.0),
    weight=300.0,
    memory=60_000,
    beyond=0.01,
)


class Combinations:
    """One more signal of busy services.

    Parameters
    ----------
    slots : Slots
        Whose columns these are.
    """

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._forests: dict[str, Multivariate] = {}
        self._seen, self._routine = Frequencies(1, _SCALE), Routine()
        self._own = Columns(
            lately=("f4", (len(VITALS),), 0),
            spread=("f4", (_WIDTH,), _SPREADS),
            ticks=("u4", (2,), 0),  # usual ones, and those of them with a surprise
            level=("f4", (2,), 0),  # mean and deviation of surprise
        )
        self._hashes: IntArray = np.zeros(0, np.int64)

    def parts(self) -> Mapping[str, Columns]:
        """Return what is kept of each service by name."""
        own = {"seen": self._seen.columns, "routine": self._routine.columns, "own": self._own}
        return {name: Sparse(self._slots, columns) for name, columns in own.items()}

    def has(self, tenant: str) -> bool:
        """Return whether a tenant has a forest."""
        return tenant in self._forests

    def snapshot(self) -> dict[str, bytes]:
        """Return the forests by tenant; they are nobody's alone."""
        return {tenant: forest.snapshot() for tenant, forest in sorted(self._forests.items())}

    def restore(self, tenant: str, data: bytes) -> None:
        """Put a forest back; one of other trees begins anew."""
        self._forest(tenant).restore(data)

    def advance(self, memory: Memory, deviations: FloatArray, usual: BoolArray) -> tuple[FloatArray, FloatArray]:
        """Judge a tick's combinations, then learn them.

        Parameters
        ----------
        memory : Memory
            Whose rows the slots are.
        deviations : FloatArray, shape (n_slots, 3)
            Of the vital signs from what was expected, in units of the distance to the bounds.
        usual : BoolArray, shape (n_slots,)
            Where all vital signs are known and no incident stands.

        Returns
        -------
        tail : FloatArray, shape (n_slots,)
            1 before the forest has seen a window, and an hour after it.
        numbers : FloatArray, shape (n_slots, 4)
            Bits of surprise, those expected, and bounds.
        """
        settled = self._own["ticks"][:, 0] >= _YOUNG
        x = self._vectors(np.clip(deviations, -_MOST, _MOST), usual)
        bits = np.full(len(x), np.nan)
        usual = usual & settled
        tenant_of = memory.pools().tenant[self._slots.rows]
        for tenant, code in memory.tenants.items():
            rows = np.flatnonzero(tenant_of == code)
            if len(rows):
                forest = self._forest(tenant)
                bits[rows] = forest.score(x[rows])
                forest.learn(x[self._sample(memory, rows[usual[rows]])])
        known, seen = np.isfinite(bits) & settled, self._own["ticks"][:, 1].astype(np.int64)
        bits = np.where(known, bits, 0.0)
        told = np.clip(self._seen.tail(bits[:, None])[:, 0], _LEAST_TAIL, 1.0)
        tail = np.where(known & (seen >= _YOUNG), told, 1.0)
        level, deviation = self._own["level"].astype(float).T
        tail = self._routine.excused(tail, bits, level, np.full(len(bits), float((memory.tick - 1) * memory.plan.tick_s)))
        side = _SIDE * deviation
        numbers = np.stack([bits, level, np.maximum(level - side, 0.0), level + side], axis=1)
        self._seen.learn(bits[:, None], usual & known)
        self._learn(bits, np.flatnonzero(usual & known))
        return tail, numbers

    def _forest(self, tenant: str) -> Multivariate:
        if tenant not in self._forests:
            self._forests[tenant] = Multivariate(_WIDTH)
        return self._forests[tenant]

    def _vectors(self, deviations: FloatArray, usual: BoolArray) -> FloatArray:
        """Return recent deviations, and sums and differences of two, each in units of its own, in [0, 1]; then learn the units.

        Trees cut along axes: what two signs seldom do together must be an axis to be seen while both are mild.
        """
        lately, spread = self._own["lately"], self._own["spread"]
        lately[:] += (deviations - lately) / _LATELY
        one = lately.astype(float)
        failed, latency, traffic = one[:, _FAILED], one[:, _LATENCY], one[:, _TRAFFIC]
        x = np.concatenate([one, np.stack([latency - traffic, failed + latency, failed - traffic], axis=1)], axis=1)
        told = 0.5 + 0.5 * np.tanh(_STEEP * x / np.sqrt(spread.astype(float)))
        self._own["ticks"][:, 0] += usual
        rows = np.flatnonzero(usual)
        number = np.minimum(self._own["ticks"][rows, 0] + _SPREAD_BORROWED, _SPREAD_TICKS)[:, None]
        spread[rows] += (np.minimum(x[rows] ** 2, _SPREAD_BOUND * spread[rows]) - spread[rows]) / number
        return told

    def _sample(self, memory: Memory, places: IntArray) -> IntArray:
        """Return the services that this tick is learned of: all of a few, of many others every time, in an order of their names."""
        keys = memory.directory.keys
        if len(self._hashes) < len(self._slots.rows):
            new = [
                crc32(str(keys[row]).encode("utf-8", "surrogatepass")) for row in self._slots.rows[len(self._hashes) :].tolist()
            ]
            self._hashes = np.concatenate([self._hashes, np.array(new, np.int64)])
        turns = -(-len(places) // MOST_ROWS)
        chosen = places[self._hashes[places] % turns == memory.tick % turns] if turns > 1 else places
        return chosen[np.argsort(self._hashes[chosen], kind="stable")][:MOST_ROWS]

    def _learn(self, bits: FloatArray, rows: IntArray) -> None:
        """Let the mean surprise of services, and its mean deviation, follow."""
        self._own["ticks"][rows, 1] += 1
        level, number = self._own["level"], np.minimum(self._own["ticks"][rows, 1], _MEMORY)
        level[rows, 0] += (bits[rows] - level[rows, 0]) / number
        level[rows, 1] += (np.abs(bits[rows] - level[rows, 0]) - level[rows, 1]) / number
