"""``foreshock demo``: a simulated shop's history through the ingest path, a model from it, then live.

`app.demo` makes the telemetry; `app.main.Node` is the same service that ``foreshock serve`` runs. History goes
in with event time as the clock; live telemetry comes through the exporters of the OpenTelemetry SDK.
"""

from __future__ import annotations

import json
import multiprocessing
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from rich.console import Console

from app.api.parts import TrainingRequest
from app.commands.terminal import bar
from app.demo.faults import truth_json
from app.demo.live import live
from app.demo.render import requests
from app.demo.simulate import Shop
from app.main import Node, Served
from app.replay import ReplayClock, append_markers
from app.settings import Settings
from app.succession import champion_of
from app.trained import register, run_job
from app.tuning import settled_collector
from features.errors import InvalidSetting, InvalidValue

__all__ = ["DemoOptions", "feed_history", "run", "shop_of"]

_CHUNK = 20  # minutes that the rendering process hands over at once
_AHEAD = 4
_MAX_LAG = 2_000
_FLUSH_S = 10.0
_MARK = "demo"


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What to simulate.

    Parameters
    ----------
    seed : int
        Decides the whole shop.
    days : float
        Days of history.
    faults_per_day : float
        Expected faults a day.
    live : bool
        Whether to go on live.
    """

    seed: int = 1
    days: float = 3.0
    faults_per_day: float = 24.0
    live: bool = True


def run(settings: Settings, options: DemoOptions, as_json: bool, console: Console) -> None:
    """Make history, train, report, and go on live until stopped.

    Raises
    ------
    InvalidValue
        When the folder holds another demo.
    """
    if settings.nats_url:
        raise InvalidSetting(
            "setting nats_url: the demonstration makes a folder of its own; for a cluster there is `foreshock cluster-demo`"
        )
    clock = ReplayClock()
    node = Node(settings, now_ns=clock, replays=True)
    stop = threading.Event()
    with closing(node), _stopped_by_signals(node, stop):
        shop = shop_of(node, options)
        served = node.start_servers()
        console.print(f"Foreshock demo: {served.api}/api/v1/predictions (ready when the history is in)")
        if served.dashboard:
            console.print(f"dashboard: {served.dashboard}")
        node.start_worker()
        with bar(as_json, console) as progress:
            feed_history(node, shop, clock, progress, "history of the shop")
            (settings.data / "truth.json").write_text(truth_json((*shop.truth(), *shop.decoys())), encoding="utf-8")
            trained = _train(node, progress)
            if options.live:  # the minutes that went by meanwhile
                feed_history(node, shop, clock, progress, "catching up")
        print(json.dumps(trained[0], default=str) if as_json else trained[1], flush=True)
        if options.live and not stop.is_set():
            _go_live(node, shop, clock, served, console, stop)


def _go_live(node: Node, shop: Shop, clock: ReplayClock, served: Served, console: Console, stop: threading.Event) -> None:
    clock.follow_wall()
    node.store.documents.put(_MARK, "live", b"1")
    node.start_clock()
    node.start_jobs()
    node.start_alerts()
    _say_where(console, served)
    player = threading.Thread(target=live, args=(served.otlp_http, shop, lambda: datetime.now(UTC), stop), daemon=True)
    player.start()
    try:
        with settled_collector():
            node.wait()
    finally:
        stop.set()
        player.join(_FLUSH_S)  # while the receiver still listens


def shop_of(node: Node, options: DemoOptions) -> Shop:
    """Return the shop of a data folder: the one it was begun with, or a new one that ends now.

    Raises
    ------
    InvalidValue
        When the folder was begun with other options.
    """
    wanted = {"seed": options.seed, "days": options.days, "faults_per_day": options.faults_per_day}
    known = node.store.documents.get(_MARK, "shop")
    if known is None:
        end = datetime.now(UTC).replace(second=0, microsecond=0)
        start = end - timedelta(days=options.days)
        node.store.documents.put(_MARK, "shop", json.dumps({**wanted, "start": start.isoformat()}).encode())
    else:
        held = json.loads(known.value)
        start = datetime.fromisoformat(held.pop("start"))
        if held != wanted:
            raise InvalidValue(f"{node.settings.data} holds the demo {held}, asked for {wanted}; choose another --data")
    return Shop(options.seed, options.days, options.faults_per_day, start)


def feed_history(node: Node, shop: Shop, clock: ReplayClock, progress: Callable[[float, str], None], text: str) -> None:
    """Send what the folder lacks of the shop's history through the receiver, minute by minute in event time."""
    first = _first_missing(node, shop)
    last = max(shop.n_minutes, int((datetime.now(UTC) - shop.start) / timedelta(minutes=1)))
    shop = shop.extended(last)
    tick_s = node.plan.tick_s
    for number, bodies in _rendered(shop, range(first, last)):
        end_s = int(shop.time(number + 1).timestamp())
        clock.now_ns = end_s * 10**9 - 1
        for signal_name, body in bodies:
            node.receiver.receive("default", signal_name, "protobuf", body)  # pyright: ignore[reportArgumentType]
        append_markers(node.store.log, range(end_s // tick_s, end_s // tick_s + 1), tick_s)
        if number % _CHUNK == 0:
            node.store.documents.put(_MARK, "fed", str(number + 1).encode())
            _wait(node, _MAX_LAG)
        progress((number - first) / max(last - first, 1), text)
    _wait(node, 0)
    node.store.documents.put(_MARK, "fed", str(last).encode())
    node.worker.checkpoint()


def _first_missing(node: Node, shop: Shop) -> int:
    """Return the first minute that the folder lacks, once all that is in the log is absorbed."""
    _wait(node, 0)
    known = node.store.documents.get(_MARK, "fed")
    fed = int(known.value) if known else 0
    if node.store.documents.get(_MARK, "live") is None:
        return fed  # a minute that is sent again has the same bodies, so it counts once
    # The minute in which a live run stopped was sent in part by the SDK, in other bodies: it is not sent again.
    closed = node.worker.flow.memory.tick * node.plan.tick_s - int(shop.start.timestamp())
    return max(fed, closed // 60 + 1)


def _wait(node: Node, lag: int) -> None:
    while node.worker.lag() > lag:
        node.check_alive()
        time.sleep(0.005)


def _rendered(shop: Shop, minutes: range) -> Iterator[tuple[int, list[tuple[str, bytes]]]]:
    """Render minutes in a process of its own, in order."""
    chunks = iter([minutes[i : i + _CHUNK] for i in range(0, len(minutes), _CHUNK)])
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        # A bounded number of chunks ahead: rendering is faster than the line, and days of bodies are large.
        ahead = deque(pool.apply_async(_render, (shop, chunk)) for chunk in islice(chunks, _AHEAD))
        while ahead:
            rendered = ahead.popleft().get()
            ahead.extend(pool.apply_async(_render, (shop, chunk)) for chunk in islice(chunks, 1))
            yield from rendered


def _render(shop: Shop, minutes: range) -> list[tuple[int, list[tuple[str, bytes]]]]:
    return [(number, requests(shop.minute(number))) for number in minutes]


def _train(node: Node, progress: Callable[[float, str], None]) -> tuple[dict[str, Any], str]:
    """Train on the history, with its last third held out, and let the model serve if the gate says so.

    A folder that has a champion keeps it: the service itself trains again when there is a reason.
    """
    champion = champion_of(node.registry("default"))
    if champion is not None:
        return {"model_version": champion.version, "promoted": True}, f"model {champion.version} serves already"
    now = datetime.now(UTC)
    job = node.job(TrainingRequest("default", "foreshock demo", None, None, None, now))
    trained = run_job(job, node.history, None, now, lambda share: progress(share, "training"))
    version = register(node.registry("default"), trained)
    report = {"model_version": version, "promoted": trained.promote, "incidents": trained.incidents, "report": trained.report}
    return report, f"{trained.table}\nmodel {version}: {'serves' if trained.promote else 'kept as candidate'}"


def _say_where(console: Console, served: Served) -> None:
    if served.dashboard:
        console.print(f"dashboard:   {served.dashboard}")
    console.print(
        f"live: OTLP/HTTP {served.otlp_http}, OTLP/gRPC {served.otlp_grpc}\n"
        f"predictions: {served.api}/api/v1/predictions\n"
        f"incidents:   {served.api}/api/v1/incidents\n"
        "stop with Ctrl-C"
    )


@contextmanager
def _stopped_by_signals(node: Node, stop: threading.Event) -> Generator[None]:
    def end(_signal: int, _frame: object) -> None:
        if stop.is_set() or not node.is_live:
            sys.exit(130)
        stop.set()
        node.request_stop()

    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, end)
    yield
