"""The way of rows into history: appended with their offsets before each checkpoint, and patience while history refuses.

`app.worker` calls it between two ticks; the rows come from `app.chronicle.Chronicle` and go to `app.history`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.breaker import Breaker, BreakerPlan
from app.chronicle import Chronicle
from app.history.contract import History
from app.store.contract import Documents
from app.telemetry import Telemetry
from features.errors import StoreFailed

__all__ = ["Archive", "HistoryRefused", "Upkeep"]

logger = logging.getLogger(__name__)

_DAY_S = 86_400
_BUCKET = "worker"
_PLAN = BreakerPlan(0.0, 30.0, 600.0)
"""Left alone after the first refusal, for 15 to 30 seconds, in the end for 5 to 10 minutes. Guessed: nothing waits for history but rows."""


class HistoryRefused(StoreFailed):
    """Rows could not be appended to history; they still wait."""


@dataclass(frozen=True, slots=True)
class Upkeep:
    """Who tends history once a day.

    Parameters
    ----------
    leads : callable
        Whether this node does what one node of a cluster does; of a history that all share one is enough.
    mark : str
        The document with the log's time of the last upkeep. Nodes whose history lies in folders of their own need one each.
    """

    leads: Callable[[], bool] = lambda: True
    mark: str = "optimised"


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
    upkeep : Upkeep
        Whether and for whom this node tends history.
    """

    def __init__(
        self,
        history: History,
        documents: Documents,
        telemetry: Telemetry,
        monotonic: Callable[[], float],
        upkeep: Upkeep = Upkeep(),
    ) -> None:
        self.history = history
        self.documents = documents
        self.telemetry = telemetry
        self.upkeep = upkeep
        self._thread: threading.Thread | None = None
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
        """Drop old days and join history's files once a day of the log's time, whatever the number of restarts in it.

        Only the node that leads does it, in a thread of its own: a tick does not wait for it.

        Parameters
        ----------
        now_s : int
            The log's time, seconds since the epoch.
        """
        if not self.upkeep.leads() or self._busy():
            return
        try:
            last = self.documents.get(_BUCKET, self.upkeep.mark)
            if last is None or now_s - int(last.value) >= _DAY_S:
                # Written first: what fails is tried again tomorrow, not at every checkpoint.
                self.documents.put(_BUCKET, self.upkeep.mark, str(now_s).encode())
                if last is not None:
                    self._thread = threading.Thread(target=self._optimise, args=(now_s,), name="history-upkeep", daemon=True)
                    self._thread.start()
        except Exception:
            self._note_failure()

    def finish(self, timeout_s: float | None = None) -> None:
        """Wait for what runs in the background; what does not end in time leaves nothing but files that a later upkeep deletes."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _busy(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _optimise(self, now_s: int) -> None:
        try:
            with self.telemetry.tick_seconds.labels(stage="upkeep").time():
                self.history.optimise(now_s)
        except Exception:
            self._note_failure()

    def _note_failure(self) -> None:
        """Log and count a failure, which is being handled."""
        logger.exception("history's old days were not dropped or its files not joined")
        self.telemetry.faults.labels(place="history").inc()
