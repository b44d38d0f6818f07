"""Whether the parts of a node do their work, for `/readyz` and at the start.

`app.main` asks about those that the node's roles need; `app.api.health` answers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from app.api.parts import Health
from app.store.contract import Log
from app.telemetry import Telemetry
from app.worker import Worker
from features.errors import ForeshockError

__all__ = ["log_health", "look_at_history", "worker_health"]

logger = logging.getLogger(__name__)

_LATE_TICKS = 3  # a worker further behind the clock is not ready


def worker_health(worker: Worker, tick_s: int, runs: bool, now_s: float | None) -> Health:
    """Say how far a worker is.

    Parameters
    ----------
    worker : Worker
        Of this node.
    tick_s : int
        Seconds of a window.
    runs : bool
        Whether its thread does.
    now_s : float or None
        Unix seconds by which it may be late; None where no wall clock moves the ticks.
    """
    if not runs:
        return Health(False, "the worker does not run")
    tick = worker.flow.memory.tick
    as_of = datetime.fromtimestamp(tick * tick_s, UTC).isoformat() if tick >= 0 else "no tick"
    detail = f"as of {as_of}, {worker.lag()} offsets behind"
    if worker.failing:
        return Health(False, f"{detail}; the last tick failed, and the log says why")
    late = now_s is not None and now_s - tick * tick_s > _LATE_TICKS * tick_s
    return Health(not late, f"{detail}, more than {_LATE_TICKS} ticks" if late else detail)


def log_health(log: Log, failure: str) -> Health:
    """Say how long the log is, or why nothing is written any more."""
    if failure:
        return Health(False, failure)
    ends = sum(log.end(number) for number in range(log.n_partitions))
    return Health(True, f"{log.n_partitions} partitions, {ends} offsets")


def look_at_history(versions_of: Callable[[], Mapping[str, int]], place: object, telemetry: Telemetry) -> None:
    """Say at the start that history cannot be reached, or what of it is new; the service starts all the same, and rows wait."""
    try:
        versions = versions_of()
    except ForeshockError as exc:
        logger.warning("%s; rows wait until it can be reached", exc)
        telemetry.faults.labels(place="history").inc()
    else:
        logger.info("history lies in %s; versions of its tables: %s", place, versions or "none yet")
