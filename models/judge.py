"""The judge of one signal of all series: how unlikely its newest value is, unless that is what the series does at this time of the day.

`app.anomalies` has one for errors and one for the vital signs of services; `models.strongest` makes one answer of theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from features.arrays import BoolArray, FloatArray
from features.rings import Columns
from models.anomaly import Anomalies, Counts, Verdict
from models.routine import Routine

__all__ = ["Judge"]


class Judge:
    """`models.anomaly.Anomalies`, corrected by `models.routine.Routine`.

    Examples
    --------
    >>> import numpy as np
    >>> judge, rng = Judge(), np.random.default_rng(0)
    >>> judge.grow(1)
    >>> for tick in range(300):
    ...     verdict = judge.advance(rng.normal(size=1), np.full(1, tick * 60.0), np.ones(1, np.bool_))
    >>> bool(judge.advance(np.full(1, 20.0), np.full(1, 300 * 60.0), np.ones(1, np.bool_)).tail[0] < 0.02)
    True
    """

    def __init__(self) -> None:
        self.anomalies, self.routine = Anomalies(), Routine()

    def grow(self, length: int) -> None:
        """Make room for `length` series."""
        for columns in self.parts().values():
            columns.grow(length)

    def parts(self) -> Mapping[str, Columns]:
        """Return all state by name."""
        return {**self.anomalies.parts(), "routine": self.routine.columns}

    def advance(self, value: FloatArray, time_s: FloatArray, usual: BoolArray, counts: Counts | None = None) -> Verdict:
        """Judge a tick's values, then learn them; parameters as of `models.anomaly.Anomalies.advance`."""
        said = self.anomalies.advance(value, time_s, usual, counts)
        return replace(said, tail=self.routine.excused(said.tail, value, said.expected, time_s))
