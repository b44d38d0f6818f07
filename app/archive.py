"""The way of rows into history: appended with their offsets before each checkpoint, and patience while history refuses.

`app.worker` calls it between two ticks; the rows come from `app.chronicle.Chronicle` and go to `app.history`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from app.breaker import Breaker, BreakerPlan
from app.chronicle import Chronicle
from app.history.contract import History
from app.store.contract import Documents
from app.telemetry import Telemetry
from features.errors import StoreFailed

__all__ = ["Archive", "HistoryRefused"]

logger = logging.getLogger(__name__)

_DAY_S = 86_400
_OPTIMISED = ("worker", "optimised")  # the document with the log's time of the last attempt to join files
_PLAN = BreakerPlan(0.0, 30.0, 600.0)
"""Left alone after the first refusal, for 15 to 30 seconds, in the end for 5 to 10 minutes. Guessed: nothing waits for history but rows."""


class HistoryRefused(StoreFailed):
    """Rows could not be appended to history; they still wait."""


class Archive:
    """History as a worker writes it.

    Parameters
    ----------
    history : History
        Where rows go.
    documents : Documents
        Remember when files were last joined.
    telemetry : Telemetry
        Where it counts.
    monotonic : callable
        Seconds; decides only when to try again.
    """

    def __init__(self, history: History, documents: Documents, telemetry: Telemetry, monotonic: Callable[[], float]) -> None:
        self.history = history
        self.documents = documents
        self.telemetry = telemetry
        self._breaker = Breaker("history", telemetry, _PLAN, monotonic)

    @property
    def ready(self) -> bool:
        """Whether it may be tried: not while it is waited after a refusal."""
        return self._breaker.ready

    def append(self, chronicle: Chronicle, offsets: Mapping[int, int]) -> None:
        """Append what a chronicle gathered up to these offsets, and let the chronicle begin anew.

        Raises
        ------
        HistoryRefused
            When history took nothing, or is left alone after a refusal; the chronicle keeps its rows.
        """
        rows = chronicle.tables()
        try:
            with self._breaker.call(), self.telemetry.tick_seconds.labels(stage="history").time():
                self.history.append(rows, offsets)
        except Exception as exc:  # of whatever kind: object stores fail in many ways
            raise HistoryRefused(f"history took no rows: {exc}") from exc
        chronicle.clear()
        for name, table in rows.items():
            self.telemetry.history_rows.labels(table=name).inc(table.num_rows)

    def note(self) -> None:
        """Say and count a refusal, which is being handled."""
        logger.exception("history refused; its rows wait")
        self.telemetry.faults.labels(place="history").inc()

    def optimise_daily(self, now_s: int) -> None:
        """Join history's files once a day of the log's time, whatever the number of restarts in it.

        Parameters
        ----------
        now_s : int
            The log's time, seconds since the epoch.
        """
        try:
            last = self.documents.get(*_OPTIMISED)
            if last is None or now_s - int(last.value) >= _DAY_S:
                # Written first: what fails is tried again tomorrow, not at every checkpoint.
                self.documents.put(*_OPTIMISED, str(now_s).encode())
                if last is not None:
                    self.history.optimise()
        except Exception:
            logger.exception("history's files were not joined")
            self.telemetry.faults.labels(place="history").inc()
