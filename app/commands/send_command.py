"""``foreshock replay --to``: recorded telemetry to a running service; `app.commands.replay_command` takes it into a data folder.

`app.cli` calls it; `app.replay` merges the files.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx

from app.replay import Line, merged, shifted
from features.errors import InvalidValue, Overloaded

__all__ = ["to_service"]

_RETRIES = 60


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
