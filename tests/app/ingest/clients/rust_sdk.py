"""The OpenTelemetry SDK for Rust, as Deno has it built in."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from deno import find_deno_bin

from tests.app.ingest.truth import RESOURCES, Log, Span, Truth, Value

__all__ = ["sayable", "send"]

_PROGRAM = Path(__file__).parent / "send.ts"
_TIMEOUT_S = 60
_CONSOLE = {5: "stdout", 9: "stdout", 13: "stderr", 17: "stderr"}


def sayable(truth: Truth, now_ns: int) -> Truth:
    """Return the table as this SDK can say it.

    Times are seconds in a double, and a log record is a line of the console, of now, without ids.
    """

    def span(told: Span) -> Span:
        return replace(told, start_ns=_double(told.start_ns), end_ns=_double(told.end_ns), trace_state="")

    def log(told: Log) -> Log:
        stream: dict[str, Value] = {"log.iostream": _CONSOLE[told.severity]}
        return replace(told, time_ns=now_ns, attributes=stream, body=f"{told.body}\n", trace="", span="")

    lines = tuple(log for log in truth.logs if log.severity in _CONSOLE and isinstance(log.body, str))
    return replace(truth, logs=lines).changed(span, log)


def _double(time_ns: int) -> int:
    """Return the time that milliseconds make once they are seconds in a double."""
    return round(Fraction(time_ns // 10**6 / 1000) * 10**9)


def send(truth: Truth, protocol: str, address: str, folder: Path) -> tuple[Truth, dict[str, dict[str, str]]]:
    """Send a `sayable` table; return it with the ids that the SDK chose, and by span id what it wrote of what was raised."""
    sent, raised = Truth((), (), ()), dict[str, dict[str, str]]()
    for service in RESOURCES:
        printed = json.loads(_run(service, truth, protocol, address, folder))
        truth = truth.named(printed["ids"])
        mine = truth.of(service)
        sent = Truth(sent.spans + mine.spans, sent.logs + mine.logs, sent.points + mine.points)
        raised |= printed["raised"]
    return sent, raised


def _run(service: str, truth: Truth, protocol: str, address: str, folder: Path) -> str:
    resource = ",".join(f"{key}={value}" for key, value in RESOURCES[service].items())
    environment = os.environ | {
        "DENO_DIR": str(folder),
        "DENO_NO_UPDATE_CHECK": "1",
        "OTEL_DENO": "true",
        "OTEL_DENO_CONSOLE": "replace",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{address}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_RESOURCE_ATTRIBUTES": resource,
    }
    # The console adds the end of a line itself.
    told = truth.changed(lambda span: span, lambda log: replace(log, body=str(log.body).removesuffix("\n")))
    ended = subprocess.run(
        [find_deno_bin(), "run", "--no-config", "--no-lock", "--no-remote", str(_PROGRAM), service],
        env=environment,
        input=told.as_json(),
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout
