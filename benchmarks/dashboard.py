"""What the dashboard costs a node, and how it feels in a browser with thousands of services.

    python -m benchmarks.dashboard [--services 2000] [--ticks 5] [--rounds 5] [--json] [--out FILE]

Starts nodes over folders of their own, with and without the dashboard, and measures from the start of the process until REST answers, and the
memory then. On one with `--services` services it opens Debian's Chromium: how long until the first row is seen, with an empty cache and a full
one; then it scrolls through all rows while ticks change every prediction, and takes the times between frames, the memory of scripts, and what
is sent. At last what a tick costs the node's processor, with no browser and with one. Services are published as documents, as a worker does.
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, Page, sync_playwright

from app.main import Node
from app.settings import load_settings
from benchmarks.answers import answers_as_json, deliver
from benchmarks.processes import cpu_s
from tests.browsers import QUIET
from tests.dashboard_seed import seed_many

__all__ = ["main"]

_STARTED_S = 120.0
_SETTLED_S = 2.0
_FRAMES = """async (seconds) => {
  const port = document.querySelector('.port'), times = [];
  let last = performance.now(), down = 1;
  const end = last + seconds * 1000;
  await new Promise((done) => {
    const frame = (now) => {
      times.push(now - last);
      last = now;
      port.scrollTop += down * 400;
      if (port.scrollTop <= 0 || port.scrollTop + port.clientHeight >= port.scrollHeight) down = -down;
      now < end ? requestAnimationFrame(frame) : done();
    };
    requestAnimationFrame(frame);
  });
  return times.slice(1);
}"""


def serve(pipe: Any, folder: str, services: int, enabled: bool) -> None:
    """Run a node until told to stop; every word that comes is a tick of all services."""
    free = {f"server.{name}": 0 for name in ("otlp_http_port", "otlp_grpc_port", "api_port")}
    node = Node(load_settings(None, data=Path(folder), **free, **{"dashboard.enabled": enabled}))
    with closing(node):
        documents = node.store.documents
        if services:
            seed_many(documents, services, datetime.now(UTC))
        pipe.send(node.start_servers().api)
        while (shift := pipe.recv()) is not None:
            seed_many(documents, services, datetime.now(UTC), shift=shift)
            pipe.send(True)


@contextmanager
def node(services: int, enabled: bool) -> Generator[tuple[str, Any, int, float]]:
    """Run a node in a process of its own: its address, what it is told by, its process, and seconds from the start until REST answered."""
    context = multiprocessing.get_context("spawn")
    mine, its = context.Pipe()
    with tempfile.TemporaryDirectory() as folder:
        begun = time.monotonic()
        process = context.Process(target=serve, args=(its, folder, services, enabled))
        process.start()
        url = str(mine.recv())
        httpx.get(f"{url}/livez").raise_for_status()
        seconds = time.monotonic() - begun
        try:
            yield url, mine, int(process.pid or 0), seconds
        finally:
            mine.send(None)
            process.join(_STARTED_S)


def memory_mb(pid: int) -> float:
    """Return the resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def starts(rounds: int) -> dict[str, Any]:
    """Measure starts with and without, in turns."""
    found: dict[str, list[tuple[float, float]]] = {"with": [], "without": []}
    for _ in range(rounds):
        for name, enabled in (("with", True), ("without", False)):
            with node(0, enabled) as (_, _, pid, seconds):
                found[name].append((seconds, memory_mb(pid)))
    return {
        name: {"start_s": statistics.median(s for s, _ in some), "memory_mb": statistics.median(m for _, m in some)}
        for name, some in found.items()
    }


def imports(rounds: int) -> dict[str, float]:
    """Measure the processor time of loading the service, and of loading the dashboard after it."""
    code = (
        "import time; a = time.process_time(); import app.main; b = time.process_time(); import app.dashboard.site; "
        "print(b - a, time.process_time() - b)"
    )
    told = [subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True) for _ in range(rounds)]
    service, pages = zip(*(map(float, one.stdout.split()) for one in told), strict=True)
    return {"service_s": statistics.median(service), "dashboard_s": statistics.median(pages)}


def first_view(browser: Browser, url: str, rounds: int) -> dict[str, float]:
    """Measure from the request until the first row can be seen, with an empty cache and a full one."""
    cold, warm = list[float](), list[float]()
    for _ in range(rounds):
        context = browser.new_context(viewport={"width": 1360, "height": 850})
        page = context.new_page()
        cold.append(_seen(page, url))
        warm.append(_seen(page, url))
        context.close()
    return {"cold_s": statistics.median(cold), "warm_s": statistics.median(warm), "cold_worst_s": max(cold)}


def _seen(page: Page, url: str) -> float:
    begun = time.monotonic()
    page.goto(url, wait_until="commit")
    page.locator(".port [role=row]").first.wait_for()
    return time.monotonic() - begun


def frames(browser: Browser, url: str, pipe: Any, ticks: int) -> dict[str, Any]:
    """Scroll while every prediction changes, and take the times between frames."""
    page = browser.new_context(viewport={"width": 1360, "height": 850}).new_page()
    sent: list[int] = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda data: sent.append(len(data))))
    _seen(page, url)
    time.sleep(_SETTLED_S)
    still = page.evaluate(_FRAMES, 2.0)
    before, moving = sum(sent), list[float]()
    for number in range(ticks):
        pipe.send(number + 1.0)
        moving += page.evaluate(_FRAMES, 3.0)
        pipe.recv()
    memory = page.evaluate("performance.memory.usedJSHeapSize") / 1e6
    rows = page.locator(".port [role=row]").count()
    page.context.close()
    return {
        "scrolling_ms": _spread(still),
        "with_ticks_ms": _spread(moving),
        "script_memory_mb": memory,
        "rows_in_document": rows,
        "sent_a_tick_kb": (sum(sent) - before) / ticks / 1e3,
    }


def _spread(times: list[float]) -> dict[str, float]:
    ordered = sorted(times)
    return {
        "p50": ordered[len(ordered) // 2],
        "p99": ordered[int(len(ordered) * 0.99)],
        "worst": ordered[-1],
        "frames": len(ordered),
    }


def ticks_cost(browser: Browser, url: str, pipe: Any, pid: int, ticks: int) -> dict[str, float]:
    """Measure the processor time of ticks with no browser and with one; publishing them is the same in both."""
    found: dict[str, float] = {}
    for name in ("no_browser", "one_browser"):
        page = browser.new_context().new_page() if name == "one_browser" else None
        if page is not None:
            _seen(page, url)
        time.sleep(12.0 if page is None else _SETTLED_S)  # what browsers before left behind is let go of
        begun = cpu_s(pid)
        for number in range(ticks):
            pipe.send(10.0 + number)
            pipe.recv()
            time.sleep(1.0)
        found[f"{name}_s_a_tick"] = (cpu_s(pid) - begun) / ticks
        if page is not None:
            page.context.close()
    return found


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--services", type=int, default=2000)
    parser.add_argument("--ticks", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    answers_as_json(parser)
    asked = parser.parse_args()
    found: dict[str, Any] = {"imports": imports(asked.rounds), "starts": starts(asked.rounds)}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(QUIET))
        with node(asked.services, enabled=True) as (url, pipe, pid, _):
            found["first_view"] = first_view(browser, url, asked.rounds)
            found["frames"] = frames(browser, url, pipe, asked.ticks)
            found["cost"] = ticks_cost(browser, url, pipe, pid, asked.ticks)
        browser.close()
    for name, values in found.items():
        print(f"{name}: {values}", file=sys.stderr)
    deliver(asked, services=asked.services, ticks=asked.ticks, rounds=asked.rounds, **found)


if __name__ == "__main__":
    main()
