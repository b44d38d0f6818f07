"""``foreshock replay``: recorded telemetry into a data folder, or to a running service.

`app.cli` calls it; `app.replay` merges the files and moves the clock.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx

from app.main import Node
from app.replay import Line, ReplayClock, ReplayReport, merged, shifted
from app.replay import into_folder as replay_into
from app.settings import Settings
from features.errors import InvalidSetting, InvalidValue, Overloaded

__all__ = ["into_folder", "to_service"]

_MAX_LAG = 4_000  # log offsets that the worker may be behind before the replay waits for it
_RETRIES = 60


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


def to_service(files: Sequence[Path], url: str, speed: float, progress: Callable[[float, str], None]) -> dict[str, Any]:
    """Post the files to a service, times shifted so that they end now, or pass at `speed` times real time from now.

    Raises
    ------
    InvalidValue
        When the service refuses a line for good, or cannot be reached.
    """
    lines = list(merged(files))
    if not lines:
        raise InvalidValue(f"the files must hold at least one line, got none in {', '.join(map(str, files))}")
    first, last = lines[0].time_ns, lines[-1].time_ns
    began = time.time_ns()
    shift = began - (first if speed > 0 else last)
    sent = refused = 0
    with httpx.Client(base_url=url, timeout=30.0) as client:
        for number, line in enumerate(lines):
            if speed > 0:
                due = began + (line.time_ns - first) / speed
                time.sleep(max(due - time.time_ns(), 0) / 1e9)
                shift = time.time_ns() - line.time_ns
            refused += not _post(client, line, shifted(line.body, shift))
            sent += 1
            progress(number / len(lines), "sending the recording")
    return {"requests": sent, "refused": refused, "seconds": round((time.time_ns() - began) / 1e9, 3), "shift_s": shift / 1e9}


def _post(client: httpx.Client, line: Line, body: bytes) -> bool:
    """Return whether the service took a line; a malformed one is refused and passed over."""
    for _ in range(_RETRIES):
        try:
            answer = client.post(f"/v1/{line.signal}", content=body, headers={"content-type": "application/json"})
        except httpx.TransportError as exc:
            raise InvalidValue(f"cannot reach {client.base_url}: {exc}") from exc
        if answer.status_code not in (429, 502, 503, 504):
            break
        time.sleep(float(answer.headers.get("retry-after", 1)))
    else:
        raise Overloaded(f"{client.base_url} refused a line {_RETRIES} times")
    if answer.is_error and answer.status_code != HTTPStatus.BAD_REQUEST:
        raise InvalidValue(f"{client.base_url} answered {answer.status_code}: {answer.text[:200]}")
    return answer.is_success


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
