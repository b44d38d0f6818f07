"""How unusual every series' errors are, tick by tick.

`app.flow.forecast` asks it when a tick ends; `app.publish` puts what it says into the predictions. The judge is
`models.judge.Judge`; here it meets `features.memory.Memory`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import numpy as np

from features.arrays import BoolArray
from features.batch import channel
from features.clock import Clock
from features.memory import Memory
from features.rates import given_traffic
from features.rhythm import EXPECTED
from features.rings import Columns
from models.anomaly import Counts, Verdict
from models.judge import Judge
from models.prediction import AnomalyScore
from models.strongest import Chosen, Strongest

__all__ = ["ErrorAnomalies", "heard"]

_ERRORS, _TOTAL = channel("errors"), channel("total")


class ErrorAnomalies:
    """The judge of errors, with a row for every row of a Memory.

    Parameters
    ----------
    tick_s : int
        Seconds of a window.
    """

    def __init__(self, tick_s: int) -> None:
        self.tick_s = tick_s
        self.newest: Chosen | None = None
        """What was said of the newest window, in arrays."""
        self._judge, self._strongest = Judge(), Strongest()
        self._values = np.zeros(0)
        self._verdict: Verdict | None = None

    def parts(self) -> Mapping[str, Columns]:
        """Return all state by name, for a snapshot beside that of the Memory."""
        return {f"anomaly_{name}": columns for name, columns in {**self._judge.parts(), **self._strongest.parts()}.items()}

    def advance(self, memory: Memory) -> None:
        """Judge the window that just closed, and learn it where it belongs to no incident and its tenant was heard."""
        for part in (self._judge, self._strongest):
            part.grow(len(memory.directory))
        window = memory.tick - 1
        counts = memory.windows.recent(1)[:, 0].astype(float)
        self._values = np.maximum(counts[:, _ERRORS], 0.0)
        errors, total = memory.rhythm.expected(window)[:, [EXPECTED.index("errors"), EXPECTED.index("total")]].T
        expected = given_traffic(errors, total, counts[:, _TOTAL])
        time_s = np.full(len(counts), float(window * self.tick_s))
        usual = ~memory.onsets.in_incident() & heard(memory, window)
        due = Counts(expected, memory.rhythm.dispersion())
        said = self._verdict = self._judge.advance(self._values, time_s, usual, due)
        self.newest = self._strongest.advance(said.tail[:, None], said.begins[:, None], usual, window)

    def scores(self, tick: int) -> list[AnomalyScore]:
        """Return what was said of the newest window, as of the tick at whose start it had closed."""
        said, newest = self._verdict, self.newest
        if said is None or newest is None:
            return []
        columns = np.stack([1.0 - newest.tail, self._values, said.expected, said.lower, said.upper], axis=1).tolist()
        closed = Clock.at((tick - 1) * self.tick_s)
        began = [closed - timedelta(seconds=ago * self.tick_s) if ago >= 0 else None for ago in newest.since.tolist()]
        return [
            AnomalyScore(score, value, expected, lower, upper, since)
            for (score, value, expected, lower, upper), since in zip(columns, began, strict=True)
        ]


def heard(memory: Memory, window: int) -> BoolArray:
    """Return the rows of tenants of which something was heard in a window."""
    deaf = [code for name, code in memory.tenants.items() if window in memory.unheard.get(name, range(0))]
    return ~np.isin(memory.pools().tenant, deaf)
