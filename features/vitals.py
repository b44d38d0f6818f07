"""The vital signs of services besides their errors: the share of requests that failed, the mean duration, the traffic.

Reads a `features.memory.Memory` when a tick ends; `app.anomalies` has them judged, each on a scale on which it is as likely to be off at
much traffic as at little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.arrays import BoolArray, FloatArray, IntArray
from features.batch import channel
from features.memory import Memory
from features.rates import ratio
from features.rhythm import EXPECTED

__all__ = ["ENOUGH", "VITALS", "Vitals", "busy"]

VITALS = ("failed", "latency", "traffic")
"""In order: share of requests that failed, mean duration in seconds, requests."""

ENOUGH = 10.0
"""Requests of a window from which a share and a mean say anything. Guessed: of ten, one is a tenth."""

_LEAST_S = 1e-6
_TOTAL, _FAILED, _DURATION = channel("total"), channel("failed"), channel("duration_sum_s")


@dataclass(frozen=True, slots=True, eq=False)
class Vitals:
    """Vital signs of the newest window.

    Parameters
    ----------
    judged : FloatArray, shape (n, 3)
        In order of `VITALS`, on the scales on which they are judged: failures above those due at the traffic that came, in units of the
        root of those due and one; the logarithm of the mean duration; the root of the requests.
    known : BoolArray, shape (n, 3)
        Whether there was enough to say it.
    total, due : FloatArray, shape (n,)
        Requests, and failures due.
    """

    judged: FloatArray
    known: BoolArray
    total: FloatArray
    due: FloatArray

    @classmethod
    def of(cls, memory: Memory, rows: IntArray) -> Vitals:
        """Read some rows of a Memory."""
        counts = memory.windows.recent(1)[rows, 0].astype(float)
        total, failed = np.maximum(counts[:, _TOTAL], 0.0), np.maximum(counts[:, _FAILED], 0.0)
        usual = memory.rhythm.expected(memory.tick - 1)[rows]
        share = ratio(usual[:, EXPECTED.index("failed")], usual[:, EXPECTED.index("total")], 0.001, 10.0)
        due, seconds = share * total, ratio(np.maximum(counts[:, _DURATION], 0.0), total)
        judged = [(failed - due) / np.sqrt(due + 1.0), np.log(np.maximum(seconds, _LEAST_S)), np.sqrt(total)]
        enough = total >= ENOUGH
        known = [enough, enough & (seconds > 0.0), np.ones(len(rows), np.bool_)]
        return cls(np.stack(judged, axis=1), np.stack(known, axis=1), total, due)

    def shown(self, judged: FloatArray) -> FloatArray:
        """Return values of the judged scales as people read them: a share, seconds, requests; shape (n, 3).

        Examples
        --------
        >>> one = np.ones(1)
        >>> vitals = Vitals(np.zeros((1, 3)), np.ones((1, 3), np.bool_), 200.0 * one, 3.0 * one)
        >>> vitals.shown(np.array([[0.5, 0.0, 4.0]])).tolist()
        [[0.02, 1.0, 16.0]]
        """
        failed, latency, traffic = judged.T
        share = ratio(self.due + failed * np.sqrt(self.due + 1.0), self.total)
        return np.stack([np.clip(share, 0.0, 1.0), np.exp(latency), np.maximum(traffic, 0.0) ** 2], axis=1)


def busy(memory: Memory) -> IntArray:
    """Return the rows of whole services that have, and usually have at this hour, enough requests for a share and a mean."""
    usual = memory.rhythm.expected(memory.tick - 1)[:, EXPECTED.index("total")]
    enough = np.minimum(memory.windows.recent(1)[:, 0, _TOTAL], usual) >= ENOUGH
    return np.flatnonzero(memory.directory.is_whole & enough)
