"""How long a newcomer waits for an answer: from the start of the demonstration until the dashboard says why a service is at risk.

    nice -n 19 python -m benchmarks.newcomer [--json] [--out FILE]

Starts `foreshock demo`, as `make run` does once `.venv` is made, over a folder of its own, and looks at its dashboard with Debian's Chromium as
a person would: when the page answers, when the first row with a reason stands in it (made while the history comes in), when the shop
is live and its predictions are of the present, and when the page of the service at the top says why. The load of the machine is that of
the last minute at the beginning and at the end.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from playwright.sync_api import Page, sync_playwright

from app.demo.beside import beside
from benchmarks.answers import answers_as_json, deliver
from features.errors import PartStopped
from tests.browsers import QUIET

__all__ = ["main"]

_LONGEST_S = 1800.0
_FRESH = timedelta(minutes=3)
_ROW = ".port [role=row]"


def answers(process: subprocess.Popen[bytes], url: str) -> None:
    """Wait until the dashboard is there."""
    while True:
        if process.poll() is not None:
            raise PartStopped(f"the demonstration ended with {process.returncode}")
        try:
            httpx.get(url).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.1)
        else:
            return


def is_live(url: str) -> bool:
    """Whether the riskiest prediction is of the present."""
    items = httpx.get(f"{url}/api/v1/predictions?operations=whole&limit=1", timeout=60.0).json()["items"]
    return bool(items) and datetime.fromisoformat(items[0]["as_of"]) > datetime.now(UTC) - _FRESH


def look(page: Page, process: subprocess.Popen[bytes], url: str) -> dict[str, object]:
    """Look as a newcomer does, and return after how many seconds there was what."""
    begun = time.monotonic()
    answers(process, url)
    found: dict[str, object] = {"answers_s": round(time.monotonic() - begun, 1)}
    page.goto(url)
    page.locator(f"{_ROW} .reason:not([title=''])").first.wait_for()
    found["first_reason_s"] = round(time.monotonic() - begun, 1)
    while not is_live(url):
        if time.monotonic() - begun > _LONGEST_S or process.poll() is not None:
            raise PartStopped(f"the shop was not live after {_LONGEST_S:g} s")
        time.sleep(1.0)
    found["live_s"] = round(time.monotonic() - begun, 1)
    first = page.locator(_ROW).first
    found["service"] = first.locator(".service").inner_text()
    first.get_by_role("link").first.click()
    why = page.locator("section", has=page.get_by_role("heading", name="Why", exact=True)).locator("li").first
    why.wait_for()
    found["why_s"] = round(time.monotonic() - begun, 1)
    found["why"] = why.inner_text()
    found["status"] = page.locator(".title .chip").first.inner_text()
    return found


def main(argv: list[str] | None = None) -> int:
    """Time the path."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    answers_as_json(parser)
    asked = parser.parse_args(argv)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(QUIET))
        page = browser.new_page()
        page.set_default_timeout(_LONGEST_S * 1000)
        with beside(Path(folder) / "demo.log", "demo", "--data", folder) as (process, url):
            found = look(page, process, url)
        browser.close()
    found |= {"load_before": round(load, 1), "load_after": round(os.getloadavg()[0], 1)}
    deliver(asked, **found)
    if not asked.json:
        print("\n".join(f"{name:16}{value}" for name, value in found.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
