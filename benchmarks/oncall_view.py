"""The on-call view of one cascade in five screenshots.

    python -m benchmarks.oncall_view [--seed 1] [--history-days 2] [--pictures DIR] [--json] [--out FILE]

A node with its dashboard takes the simulated shop's telemetry over OTLP/HTTP, with event time as the clock of the node and of its pages. After
`--history-days` it trains, and the model serves if the gate says so. From an hour before the first signs of the next fault that shows
warnings, reaches three services and follows no other closely on, each minute is sent, forecast and looked at as a live node does it: incidents are put together
(`app.correlation`), alerts made (`app.alerts.alerting`). Nothing is written by hand. Debian's Chromium takes the pictures: the services by risk and
the page of the service at the minute before its incident in which its risk was highest; then, some minutes after three services were found to
belong together, their incident with causes and plan, the propagation part-way, and the alert as a notice's link shows it.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
from playwright.sync_api import FloatRect, Locator, Page, sync_playwright

from app.api.parts import ApiParts, Health, TrainingRequest
from app.cache.alert_records import AlertRecord
from app.cache.documents import decode_document, prediction_key
from app.cache.group_records import GroupRecord
from app.cache.records import IncidentRecord, PredictionRecord
from app.demo.faults import Fault
from app.demo.render import requests
from app.demo.simulate import Shop
from app.main import Node, Served
from app.replay import ReplayClock, append_markers
from app.settings import load_settings
from app.trained import register, run_job
from benchmarks.answers import answers_as_json, deliver
from features.errors import InvalidValue
from features.series import WHOLE, SeriesKey
from tests.browsers import QUIET

__all__ = ["main"]

_START = datetime(2026, 11, 26, tzinfo=UTC)
_FAULTS_PER_DAY = 24.0  # as `foreshock demo` has it
_LONGEST_DAYS = 4.0
_WATCHED = 60  # minutes that are looked at one by one before the first signs
_AFTER = 3  # minutes from the group of three services to the pictures of it
_LAG = 2_000
_SHORTEST, _QUIET = timedelta(minutes=12), timedelta(minutes=40)  # of the fault, and without another one before it
_WIDTH, _HEIGHT, _MARGIN = 1280, 860, 8
_DRAWN_MS = 500
_ROUTES = [{"name": "predictions", "shadow": False}, {"name": "incidents", "on": "incident", "shadow": False}]

_RUNBOOK = "https://automation.example.com/foreshock"  # so that steps have their button; it is not pressed


class _EventTimeNode(Node):
    """A node whose pages go by the clock of what is sent, as in a replay nothing else is now."""

    def _api_parts(self, checks: Mapping[str, Callable[[], Health]]) -> ApiParts:
        return replace(super()._api_parts(checks), now=self.now)


@dataclass
class _Line:
    """The shop, and the node that it is sent to."""

    node: Node
    served: Served
    shop: Shop
    clock: ReplayClock
    client: httpx.Client

    def send(self, number: int) -> None:
        """Send a minute, then its end."""
        end_s = int(self.shop.time(number + 1).timestamp())
        self.clock.now_ns = end_s * 10**9 - 1
        for signal, body in requests(self.shop.minute(number)):
            headers = {"content-type": "application/x-protobuf"}
            self.client.post(f"{self.served.otlp_http}/v1/{signal}", content=body, headers=headers).raise_for_status()
        append_markers(self.node.store.log, [end_s // 60], 60)
        self.clock.now_ns = end_s * 10**9

    def live(self, number: int) -> None:
        """Send a minute and let the node do all that it does with one."""
        self.send(number)
        tick = int(self.shop.time(number + 1).timestamp()) // 60
        self.wait(0)
        while not (self.node.worker.flow.memory.tick == tick and self.node.worker.published):
            time.sleep(0.005)
        self.node.worker.checkpoint()
        self.node.correlation.look_at_all()
        self.node.alerting.look_at_all()

    def wait(self, lag: int) -> None:
        """Wait until the node has read on."""
        while self.node.worker.lag() > lag:
            self.node.check_alive()
            time.sleep(0.005)

    def all(self, bucket: str, kind: type[Any]) -> list[Any]:
        """Return a bucket's documents."""
        return [decode_document(document.value, kind) for document in self.node.store.documents.items(bucket)]

    def risk(self, service: str) -> float:
        """Return the newest probability of the longest horizon."""
        found = self.node.store.documents.get("predictions", prediction_key(SeriesKey("default", service, WHOLE)))
        return decode_document(found.value, PredictionRecord).horizons["60min"].probability if found else 0.0


def cascade(shop: Shop, since: datetime) -> Fault:
    """Return the first fault that begins after a time, shows warnings, reaches three services, and follows no other closely."""
    before = shop.start
    for fault in shop.truth():
        lasts, calm = fault.end - fault.start, fault.start - before
        if fault.onset > since and fault.has_warning and len(fault.affected) >= 3 and lasts >= _SHORTEST and calm >= _QUIET:
            return fault
        before = max(before, fault.end)
    raise InvalidValue(f"no such fault within {shop.days:g} days of seed {shop.seed}")


@contextmanager
def line(shop: Shop, folder: Path) -> Generator[_Line]:
    """Run a node for a shop."""
    free = {f"server.{name}": 0 for name in ("otlp_http_port", "otlp_grpc_port", "api_port")}
    clock = ReplayClock(int(shop.start.timestamp()) * 10**9)
    given = {"alerts.routes": _ROUTES, "runbook.url": _RUNBOOK, "runbook.secret": "nothing is posted here"}
    node = _EventTimeNode(load_settings(None, data=folder, **free, **given), now_ns=clock)
    with closing(node), httpx.Client(timeout=60.0) as client:
        node.start_worker()
        yield _Line(node, node.start_servers(), shop, clock, client)


def learn(line: _Line) -> str:
    """Train on what came so far, and return the version and what became of it."""
    now = line.node.now()
    trained = run_job(
        line.node.job(TrainingRequest("default", "on-call view", None, None, None, now)),
        line.node.history,
        None,
        now,
        print_nothing,
    )
    version = register(line.node.registry("default"), trained)
    return f"{version} {'serves' if trained.promote else 'is kept as candidate'}"


def print_nothing(_: float) -> None:
    """Take progress without a word."""


class _Pictures:
    """Takes screenshots of a node's pages."""

    def __init__(self, page: Page, served: Served, folder: Path) -> None:
        self._page = page
        self._api = served.api
        self._folder = folder

    def open(self, path: str) -> Page:
        """Open a page and wait until it is drawn."""
        self._page.goto(self._api + path)
        self._page.wait_for_load_state("networkidle")
        return self._page

    def take(self, number: int, until: Locator, since: Locator | None = None) -> None:
        """Write the page in its whole width, down to the end of one part of it, from its top or that of another part."""
        last, first = until.bounding_box(), since.bounding_box() if since else None
        assert last is not None
        top = first["y"] - _MARGIN if first else 0.0
        clip = {"x": 0.0, "y": top, "width": float(_WIDTH), "height": min(last["y"] + last["height"] + _MARGIN, _HEIGHT) - top}
        path = self._folder / f"oncall-{number}.png"
        self._page.screenshot(path=path, animations="disabled", clip=FloatRect(**clip))


@contextmanager
def pictures(served: Served, folder: Path) -> Generator[_Pictures]:
    """Open a browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(QUIET))
        context = browser.new_context(
            viewport={"width": _WIDTH, "height": _HEIGHT}, color_scheme="light", reduced_motion="reduce"
        )
        yield _Pictures(context.new_page(), served, folder)
        browser.close()


def before(line: _Line, fault: Fault, shots: _Pictures) -> tuple[int, float]:
    """Go on until the service's incident is there; take the first two pictures whenever its risk is higher than ever."""
    number, highest = int((fault.onset - line.shop.start) / timedelta(minutes=1)) - _WATCHED, 0.0
    while True:
        line.live(number)
        number += 1
        incidents: list[IncidentRecord] = line.all("incidents", IncidentRecord)
        if any(one.service in fault.affected and one.start >= fault.start - timedelta(minutes=2) for one in incidents):
            return number, highest
        if line.shop.time(number) > fault.onset and line.risk(fault.service) > highest:
            highest = line.risk(fault.service)
            page = shots.open("/?range=1h")
            page.get_by_text(fault.service).first.wait_for()
            shots.take(1, page.locator(".port [role=row]").last)
            page = shots.open(f"/service/{fault.service}?range=1h")
            page.locator("canvas").first.wait_for()
            shots.take(2, _panel(page, "Forecasts and incidents"))


def after(line: _Line, fault: Fault, number: int) -> tuple[GroupRecord, AlertRecord]:
    """Go on until three services belong together and some minutes have gone by; return the group and an alert of it."""
    until = int((fault.end - line.shop.start) / timedelta(minutes=1))
    together = 0
    while number < until:
        groups: list[GroupRecord] = line.all("groups", GroupRecord)
        since = fault.start - timedelta(minutes=15)
        found = [one for one in groups if one.end is None and len(one.services) >= 3 and one.start >= since]
        together += bool(found)
        if together > _AFTER:
            break
        line.live(number)
        number += 1
    else:
        raise InvalidValue(f"the fault of {fault.service} was over before three services were put together")
    alerts: list[AlertRecord] = line.all("alerts", AlertRecord)
    own = [one for one in alerts if one.fired_at is not None and one.service in fault.affected and one.fired_at >= fault.onset]
    if not own:
        raise InvalidValue("no alert fired")
    return found[0], min(own, key=lambda one: one.fired_at or one.started_at)


def show(shots: _Pictures, group: GroupRecord, alert: AlertRecord) -> None:
    """Take the other three pictures."""
    page = shots.open(f"/incident/{group.id}?range=1h")
    page.locator("canvas").first.wait_for()
    shots.take(3, _panel(page, "Likely causes"))
    chart = _panel(page, "How it spread")
    slider = page.get_by_role("slider", name="Moment of the incident")
    slider.focus()
    slider.press("Home")
    for _ in range(int(slider.get_attribute("max") or "0") // 2):
        slider.press("ArrowRight")
    slider.blur()
    chart.scroll_into_view_if_needed()
    page.wait_for_timeout(_DRAWN_MS)
    shots.take(4, chart, chart)
    page = shots.open(f"/alerts?{urlencode({'alert': alert.id, 'range': '1h'})}")
    shots.take(5, page.locator("tr", has_text="inhibited").last)


def _panel(page: Page, title: str) -> Locator:
    return page.locator("section", has=page.get_by_role("heading", name=title, exact=True))


def main(argv: list[str] | None = None) -> int:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--history-days", type=float, default=2.0)
    parser.add_argument("--pictures", type=Path, default=Path("docs/images"))
    answers_as_json(parser)
    parser.set_defaults(seed=1)
    asked = parser.parse_args(argv)
    asked.pictures.mkdir(parents=True, exist_ok=True)
    shop = Shop(asked.seed, _LONGEST_DAYS, _FAULTS_PER_DAY, _START)
    fault = cascade(shop, _START + timedelta(days=asked.history_days) + timedelta(minutes=_WATCHED))
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, line(shop, Path(folder)) as running:
        first = int((fault.onset - shop.start) / timedelta(minutes=1)) - _WATCHED
        for number in range(first):
            running.send(number)
            running.wait(_LAG)
        running.wait(0)
        running.node.worker.checkpoint()
        fed = time.monotonic()
        model = learn(running)
        trained = time.monotonic()
        with pictures(running.served, asked.pictures) as shots:
            number, highest = before(running, fault, shots)
            group, alert = after(running, fault, number)
            show(shots, group, alert)
    found = {
        "fault": f"{fault.kind} of {fault.service} at {fault.start:%Y-%m-%d %H:%M} UTC, signs from {fault.onset:%H:%M}",
        "model": model,
        "highest_risk_before": round(highest, 3),
        "group": ", ".join(one.service for one in group.services),
        "first_cause": f"{group.causes[0].service} {group.causes[0].score:.2f}" if group.causes else "",
        "alert": f"{alert.rule} of {alert.service}, fired {alert.fired_at:%H:%M} UTC",
        "feed_s": round(fed - begun, 1),
        "train_s": round(trained - fed, 1),
        "watch_s": round(time.monotonic() - trained, 1),
        "bytes": [path.stat().st_size for path in sorted(asked.pictures.glob("oncall-?.png"))],
    }
    deliver(asked, **found)
    if not asked.json:
        print("\n".join(f"{name:22}{value}" for name, value in found.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
