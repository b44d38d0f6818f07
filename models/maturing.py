"""Forecasts that wait for their horizon to close, and the outcomes that they are joined with.

`app.flow.forecast` adds what each member said; `app.flow.settle` takes what has matured and lets the
online learner, the blend and the drift watch learn from it, once.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.arrays import BoolArray, Float32Array, FloatArray, IntArray
from models.hazard import labels
from models.prediction import HORIZONS
from models.recalibration import Subjects

__all__ = ["Matured", "Maturing", "Pending"]

_LARGEST_HALF = float(np.finfo(np.float16).max)


@dataclass(frozen=True, slots=True, eq=False)
class Pending:
    """What was forecast at one tick.

    Parameters
    ----------
    tick : int
        Number of the tick, the ``as_of`` of all rows.
    rows : IntArray, shape (n,)
        Rows of the directory.
    x : Float32Array, shape (n, n_features)
        What was known.
    hazards : Mapping of str to FloatArray, shape (n, 3)
        What each member said, and what they said together.
    version : str
        Of the model that served.
    quiet, record : BoolArray, FloatArray, shape (n, 3)
        Of the series as it was known then, see `models.recalibration.Subjects`.
    """

    tick: int
    rows: IntArray
    x: Float32Array
    hazards: Mapping[str, FloatArray]
    version: str
    quiet: BoolArray
    record: FloatArray

    def packed(self) -> Pending:
        """Return the same in a third of the bytes: what was known in half precision, what was said in single."""
        x = np.clip(self.x, -_LARGEST_HALF, _LARGEST_HALF).astype(np.float16)
        return self._with(x, np.float32)

    def unpacked(self) -> Pending:
        """Return the same for those who calculate with it."""
        return self._with(self.x.astype(np.float32), np.float64)

    def _with(self, x: NDArray[Any], dtype: type[Any]) -> Pending:
        hazards = {name: h.astype(dtype) for name, h in self.hazards.items()}
        return Pending(self.tick, self.rows, x, hazards, self.version, self.quiet, self.record.astype(dtype))

    @property
    def subjects(self) -> Subjects:
        """Whom the forecasts are about."""
        return Subjects(self.rows, self.quiet, self.record)

    def take(self, kept: BoolArray, rows: IntArray) -> Pending:
        """Return the kept forecasts, of series of these numbers."""
        hazards = {name: h[kept] for name, h in self.hazards.items()}
        return Pending(self.tick, rows, self.x[kept], hazards, self.version, self.quiet[kept], self.record[kept])


@dataclass(frozen=True, slots=True, eq=False)
class Matured:
    """A Pending with what happened.

    Parameters
    ----------
    pending : Pending
        The forecast.
    y, at_risk : FloatArray, BoolArray, shape (n, 3)
        Labels by interval.
    """

    pending: Pending
    y: FloatArray
    at_risk: BoolArray


class Maturing:
    """Forecasts in order of time, and the incidents that began since.

    Parameters
    ----------
    tick_s : int
        Seconds of a tick.
    patience : int
        Ticks after the longest horizon before a label is final: the rule needs a few windows to see an
        incident's start, and data may be late.

    Examples
    --------
    >>> maturing = Maturing(60, patience=5)
    >>> said = {"prior": np.full((1, 3), 0.1)}
    >>> maturing.add(Pending(10, np.array([0]), np.zeros((1, 1), np.float32), said, "v1", np.ones((1, 3), bool), np.zeros((1, 3))))
    >>> maturing.began(0, start=12, detected=14)
    >>> [m.y.tolist() for m in maturing.due(75)]
    [[[1.0, 0.0, 0.0]]]
    """

    def __init__(self, tick_s: int = 60, patience: int = 8) -> None:
        self.tick_s = tick_s
        self.patience = patience
        self.pending: list[Pending] = []
        self.starts: list[tuple[int, int, int]] = []
        self.gaps: list[tuple[int, int]] = []
        self._longest = max(HORIZONS.values())

    def add(self, pending: Pending) -> None:
        """Keep a forecast until its longest horizon has closed."""
        self.pending.append(pending.packed())

    def began(self, row: int, start: int, detected: int) -> None:
        """Note that an incident began in window `start` and was seen at tick `detected`."""
        self.starts.append((row, start, detected))

    def unheard(self, windows: range) -> None:
        """Note windows of which nothing is known: a horizon that reaches into them is censored there."""
        if len(windows):
            self.gaps.append((windows.start, windows.stop))

    def due(self, tick: int) -> list[Matured]:
        """Take out the forecasts whose labels are final at a tick."""
        wait = -(-self._longest // self.tick_s) + self.patience
        ready = [p for p in self.pending if p.tick + wait <= tick]
        self.pending = [p for p in self.pending if p.tick + wait > tick]
        matured = [self._label(p.unpacked()) for p in ready]
        oldest = tick - 2 * wait
        self.starts = [s for s in self.starts if s[1] >= oldest]
        self.gaps = [g for g in self.gaps if g[1] >= oldest]
        return matured

    def _label(self, pending: Pending) -> Matured:
        place = {row: i for i, row in enumerate(pending.rows.tolist())}
        wait_s = np.full(len(pending.rows), np.inf)
        undetected = np.zeros(len(pending.rows), bool)
        for row, start, detected in self.starts:
            i = place.get(row)
            if i is None:
                continue
            if start >= pending.tick:  # begun by the end of its first broken window
                wait_s[i] = min(wait_s[i], (start - pending.tick + 1) * self.tick_s)
            elif pending.tick < detected:
                undetected[i] = True
        blind = min((max(first, pending.tick) for first, end in self.gaps if end > pending.tick), default=None)
        observed_s = float(self._longest) if blind is None else min((blind - pending.tick) * self.tick_s, self._longest)
        y, at_risk = labels(wait_s, np.full(len(wait_s), float(observed_s)))
        return Matured(pending, y * ~undetected[:, None], at_risk & ~undetected[:, None])

    def snapshot(self) -> bytes:
        """Return everything as an archive of arrays; rows are those of the directory."""
        arrays: dict[str, NDArray[Any]] = {
            "starts": np.array(self.starts, np.int64).reshape(-1, 3),
            "gaps": np.array(self.gaps, np.int64).reshape(-1, 2),
        }
        for i, p in enumerate(self.pending):
            arrays |= {
                f"{i:03d}/tick": np.array(p.tick),
                f"{i:03d}/rows": p.rows,
                f"{i:03d}/x": p.x,
                f"{i:03d}/version": np.array(p.version),
                f"{i:03d}/quiet": p.quiet,
                f"{i:03d}/record": p.record,
            }
            arrays |= {f"{i:03d}/hazards/{name}": h for name, h in p.hazards.items()}
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)  # pyright: ignore[reportArgumentType]
        return buffer.getvalue()

    def restore(self, data: bytes, row_of: Callable[[IntArray], IntArray]) -> None:
        """Put a snapshot back.

        Parameters
        ----------
        data : bytes
            From `snapshot`.
        row_of : callable
            Maps the snapshot's rows to today's, -1 for a series that is gone.
        """
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            starts = arrays["starts"]
            now = row_of(starts[:, 0])
            self.starts = [(int(r), int(s), int(d)) for r, (_, s, d) in zip(now, starts, strict=True) if r >= 0]
            self.gaps = [(int(first), int(end)) for first, end in arrays["gaps"]]
            prefixes = sorted({name.partition("/")[0] for name in arrays.files if "/" in name}, key=int)
            self.pending = [self._pending(arrays, prefix, row_of) for prefix in prefixes]

    def join(self, other: Maturing) -> None:
        """Take what waits in another one of the same rows; a forecast of a row and tick that both have counts once."""
        for theirs in other.pending:
            ours = [p.rows for p in self.pending if p.tick == theirs.tick]
            new = ~np.isin(theirs.rows, np.concatenate(ours)) if ours else np.ones(len(theirs.rows), np.bool_)
            if new.any() or not ours:
                self.pending.append(theirs.take(new, theirs.rows[new]))
        self.pending.sort(key=lambda pending: pending.tick)
        self.starts = list(dict.fromkeys([*self.starts, *other.starts]))
        self.gaps = list(dict.fromkeys([*self.gaps, *other.gaps]))

    @staticmethod
    def _pending(arrays: Mapping[str, NDArray[Any]], prefix: str, row_of: Callable[[IntArray], IntArray]) -> Pending:
        rows, start = row_of(arrays[f"{prefix}/rows"]), f"{prefix}/hazards/"
        hazards = {name.removeprefix(start): arrays[name] for name in arrays if name.startswith(start)}
        tick, version = int(arrays[f"{prefix}/tick"]), str(arrays[f"{prefix}/version"])
        x, quiet, record = (arrays[f"{prefix}/{name}"] for name in ("x", "quiet", "record"))
        pending = Pending(tick, rows, x, hazards, version, quiet, record)
        kept: BoolArray = rows >= 0
        return pending.take(kept, rows[kept])
