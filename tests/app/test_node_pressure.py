"""A worker that stands still: its lag is seen, senders are refused before anything is lost, and what was answered counts once."""

from __future__ import annotations

import itertools
import os
import subprocess
import threading
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from app.main import Node
from app.replay import append_markers
from tests.app.ingest.requests import a_span, as_json, traces
from tests.nodes import TICK_NS, RunningNode, counted, run_node, settings_in, until

SPANS = 50
_ids = itertools.count(1)


@contextmanager
def halted_node(folder: Path, **overrides: Any) -> Generator[RunningNode]:
    """Run a node that takes in, and whose worker holds the partitions and does nothing until `go` is called."""
    clock_ns = [time.time_ns() // TICK_NS * TICK_NS - 30 * TICK_NS]
    node = Node(settings_in(folder, **overrides), now_ns=lambda: clock_ns[0])
    try:
        append_markers(node.store.log, range(clock_ns[0] // TICK_NS, clock_ns[0] // TICK_NS + 1), 60)
        node.worker.acquire()
        running = RunningNode(node, clock_ns, node.start_servers())
        with running.client:
            yield running
    finally:
        node.close()


def go(running: RunningNode) -> None:
    running.node.start_worker()


def spans(now_ns: int) -> bytes:
    found = [
        a_span(
            startTimeUnixNano=str(now_ns + n),
            endTimeUnixNano=str(now_ns + n + 1),
            traceId=f"{next(_ids):032x}",
            spanId=f"{next(_ids):016x}",
            attributes=[{"key": "note", "value": {"stringValue": "x" * 50}}],
            status={"code": 2, "message": f"failed {n}"} if n % 5 == 0 else {},
        )
        for n in range(SPANS)
    ]
    return as_json(traces(*found, service="shop"))


def post_until_refused(running: RunningNode) -> int:
    """Send until a request is refused; return how many were taken."""
    for taken in range(5000):
        answer = running.post("traces", spans(running.now_ns))
        if answer.status_code != 200:
            assert answer.status_code == 503, answer.text
            assert int(answer.headers["retry-after"]) >= 1
            return taken
    raise AssertionError("never refused")


def rss_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_worker_that_stands_still_makes_lag_seen_then_senders_are_refused_and_memory_is_flat(tmp_path: Path) -> None:
    with halted_node(tmp_path, ingest__max_lag=200) as running:
        taken = post_until_refused(running)
        assert taken > 100
        assert running.metric("foreshock_backlog_entries") > 200
        body, before = spans(running.now_ns), rss_bytes()
        with ThreadPoolExecutor(8) as pool, httpx.Client() as client:
            url, headers = f"{running.served.otlp_http}/v1/traces", {"content-type": "application/json"}
            codes = list(pool.map(lambda _: client.post(url, content=body, headers=headers).status_code, range(2000)))
        assert set(codes) == {503}
        assert running.metric("foreshock_limited_total", reason="lag") >= 2000
        assert rss_bytes() - before < 30 * 2**20
        go(running)
        until(lambda: running.post("traces", body).status_code == 200, "the worker")
        running.tick()
        assert counted(running.node, "total", "shop") == (taken + 1) * SPANS


def test_an_exporter_that_is_refused_comes_again_until_everything_is_counted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.pressure.LOOK_S", 0.0)  # all of it is sent in less than a look's time
    with halted_node(tmp_path, ingest__max_lag=20) as running:
        provider = TracerProvider(resource=Resource.create({"service.name": "shop"}))
        exporter = OTLPSpanExporter(f"{running.served.otlp_http}/v1/traces", timeout=120)
        provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=2**16, max_export_batch_size=16))
        tracer = provider.get_tracer("test")
        for n in range(1600):
            now_ns = running.now_ns + n
            tracer.start_span("pay", start_time=now_ns).end(now_ns + 1)
        flush = threading.Thread(target=provider.force_flush, args=(120_000,))
        flush.start()
        until(lambda: running.metric("foreshock_limited_total", reason="lag") >= 1, "a refusal")
        go(running)
        flush.join()
        running.tick()
        assert counted(running.node, "total", "shop") == 1600
        provider.shutdown()


def test_a_log_that_is_full_refuses_and_has_room_again_once_the_worker_has_passed_it(tmp_path: Path) -> None:
    with halted_node(tmp_path, store__log_max_bytes=100_000, store__checkpoint_s=3600.0) as running:
        taken = first = post_until_refused(running)
        assert running.metric("foreshock_log_bytes") >= 100_000
        assert running.metric("foreshock_limited_total", reason="log_size") == 1
        go(running)
        running.tick()
        until(lambda: running.metric("foreshock_log_bytes") < 10_000, "a checkpoint before its time")
        for _ in range(3):
            again = post_until_refused(running)
            assert again > first / 2
            taken += again
            running.tick()
        assert counted(running.node, "total", "shop") == taken * SPANS


def test_the_file_does_not_grow_under_a_steady_load_that_is_trimmed(tmp_path: Path) -> None:
    with run_node(tmp_path, store__log_max_bytes=400_000) as running:
        sizes: list[int] = []
        for _ in range(12):
            for _ in range(10):
                assert running.post("traces", spans(running.now_ns)).status_code == 200
            running.tick()
            sizes.append((tmp_path / "store.db").stat().st_size)
        assert max(sizes[6:]) <= 1.05 * max(sizes[3:6]), sizes
        assert running.metric("foreshock_log_bytes") < 400_000


def test_a_full_disk_refuses_and_takes_again_once_there_is_room(tmp_path: Path) -> None:
    with _small_disk(tmp_path / "disk", "24m") as disk:
        ballast = disk / "ballast"
        with run_node(disk / "data", store__checkpoint_s=3600.0) as running:
            assert running.post("traces", spans(running.now_ns)).status_code == 200
            _fill(ballast)
            taken = 1 + post_until_refused(running)
            assert "full" in running.post("traces", spans(running.now_ns)).text
            ballast.unlink()
            until(lambda: running.post("traces", spans(running.now_ns)).status_code == 200, "room")
            running.tick()
            assert counted(running.node, "total", "shop") == (taken + 1) * SPANS


@contextmanager
def _small_disk(place: Path, size: str) -> Generator[Path]:
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def _fill(ballast: Path) -> None:
    """Take what is left, but for some hundred kilobytes."""
    left = os.statvfs(ballast.parent)
    ballast.write_bytes(bytes(max(0, left.f_bavail * left.f_frsize - 300_000)))
