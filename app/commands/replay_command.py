"""``foreshock replay``: recorded telemetry into a data folder; `app.commands.send_command` sends it to a running service.

`app.cli` calls it; `app.replay` merges the files and moves the clock.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from app.main import Node
from app.replay import ReplayClock, ReplayReport, merged
from app.replay import into_folder as replay_into
from app.settings import Settings
from features.errors import InvalidSetting, InvalidValue

__all__ = ["into_folder"]

_MAX_LAG = 4_000  # log offsets that the worker may be behind before the replay waits for it


def into_folder(files: Sequence[Path], settings: Settings, progress: Callable[[float, str], None]) -> dict[str, Any]:
    """Replay into a data folder, with event time as the clock, and bring it up to the end.

    Returns
    -------
    dict
        What was taken, found and left behind.

    Raises
    ------
    InvalidValue
        When a file cannot be read.
    """
    sizes = _sizes(files)
    if settings.nats_url:
        raise InvalidSetting("setting nats_url: a recording goes into a cluster through one of its nodes: use --to")
    clock = ReplayClock()
    node = Node(settings, now_ns=clock, replays=True)
    began = time.monotonic()
    with closing(node):
        node.start_worker()

        def after_line(report: ReplayReport) -> None:
            while node.worker.lag() > _MAX_LAG:
                node.check_alive()
                time.sleep(0.01)
            progress(min(report.bytes / max(sizes, 1), 1.0), "reading the recording")

        log, documents = node.store.log, node.store.documents
        report = replay_into(merged(files), node.receiver, clock, (log, documents), node.plan.tick_s, after_line)
        while node.worker.lag() > 0 or not node.worker.published:
            node.check_alive()
            time.sleep(0.02)
        node.worker.checkpoint()
        return _summary(node, report, time.monotonic() - began)


def _summary(node: Node, report: ReplayReport, seconds: float) -> dict[str, Any]:
    telemetry, memory = node.telemetry, node.worker.flow.memory
    # Of the whole folder, not of this run: a replay that was resumed reports what one that never stopped does.
    errors = node.history.read("errors", columns=["severity"]).num_rows
    incidents = node.history.read("incidents", columns=["ended"])["ended"].null_count
    records = {s: int(telemetry.value("records", signal=s)) for s in ("traces", "logs", "metrics")}
    services = sum(bool(whole) for whole in memory.directory.is_whole)
    return {
        "lines": report.lines,
        "resumed_after": report.skipped,
        "malformed": report.malformed,
        "records": records,
        "error_events": errors,
        "repeated_errors": int(telemetry.value("repeated_errors")),
        "misdated": int(telemetry.value("limited", reason="misdated")),
        "incidents": incidents,
        "services": services,
        "series": len(memory.directory),
        "predictions": len(node.store.documents.items("predictions")),
        "as_of": memory.tick * node.plan.tick_s,
        "seconds": round(seconds, 3),
        "records_per_second": round(report.records / seconds, 1),
        "peak_memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


def _sizes(files: Sequence[Path]) -> int:
    try:
        # A gzip member's uncompressed size is about ten times its own for OTLP/JSON: good enough for a bar.
        return sum(path.stat().st_size * (10 if path.suffix == ".gz" else 1) for path in files)
    except OSError as exc:
        raise InvalidValue(f"cannot read {exc.filename}: {exc.strerror}") from exc
