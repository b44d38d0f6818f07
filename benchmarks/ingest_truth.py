"""Whether a Foreshock that was measured did all of its work: nothing left out, nothing cut, every record in a window.

Read from `/metrics` while it runs, and from its data folder after it ended, which a node opens again.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from app.main import Node
from app.settings import Settings
from features.batch import channel
from features.series import WHOLE

__all__ = ["faults_of", "services_of", "windows_of"]

_FORBIDDEN = ("foreshock_limited_total", "foreshock_rejected_records_total", "foreshock_late_groups_total")
_NEVER = ("foreshock_faults_total", "foreshock_repeated_batches_total", *_FORBIDDEN)
_DRAIN_S = 300.0


def faults_of(metrics: Mapping[str, float], sent: Mapping[str, int], refusals: Collection[str] = ()) -> list[str]:
    """Return what speaks against the measurement, empty when all is well.

    Parameters
    ----------
    metrics : mapping
        Samples of `/metrics`.
    sent : mapping
        Records sent, by signal.
    refusals : collection of str
        Limits that may have bitten, as `foreshock_limited_total` names them: what they refused was not acknowledged.
    """
    allowed = {f'foreshock_limited_total{{reason="{reason}"}}' for reason in refusals}
    found = [f"{n} is {value:g}" for n, value in metrics.items() if n.startswith(_NEVER) and value and n not in allowed]
    for signal, n in sent.items():
        counted = metrics.get(f'foreshock_records_total{{signal="{signal}"}}', 0.0)
        if counted != n:
            found.append(f"{counted:g} records of {signal} were counted, {n} sent")
    if not metrics.get('foreshock_tick_seconds_count{stage="forecast"}'):
        found.append("no tick passed")
    return found


def windows_of(folder: Path) -> dict[str, int]:
    """Return how many spans and log records stand in the windows of all whole services of an ended node's folder."""
    services = services_of(folder).values()
    return {signal: sum(counts[name] for counts in services) for signal, name in (("traces", "spans"), ("logs", "logs"))}


def services_of(folder: Path) -> dict[str, dict[str, int]]:
    """Return the spans, log records and errors that stand in the windows of each whole service of an ended node's folder."""
    node = Node(Settings(data=folder))
    try:
        node.start_worker()
        deadline = time.monotonic() + _DRAIN_S
        while node.worker.lag() > 0 and time.monotonic() < deadline:
            node.check_alive()
            time.sleep(0.05)
    finally:
        node.close()
    memory = node.worker.flow.memory
    memory.advance(memory.tick + 5)  # what was received since the last tick joins the windows
    counts = sum(grain.astype(float).sum(axis=1) for grain in (memory.windows.fine(), memory.windows.coarse()))
    assert isinstance(counts, np.ndarray)
    return {
        key.service: {
            "spans": round(row[channel("total")] + row[channel("inner")]),
            "logs": round(row[channel("logs")]),
            "errors": round(row[channel("errors")]),
        }
        for key, row in zip(memory.directory.keys, counts.tolist(), strict=False)
        if key.operation == WHOLE
    }
