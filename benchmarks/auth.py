"""What tokens cost: the same node asked with and without them, in turns, on the two ways that are taken most.

    python -m benchmarks.auth [--rounds 10] [--seconds 1.0] [--json]

Two nodes run in this process over folders of their own, on loopback: one demands tokens, the other does not. Per round each is asked, by
one client over one connection that is kept, for a service's prediction (`GET /api/v1/predictions/{service}`, answered from memory) and is
sent a request of 512 spans over OTLP/HTTP (protobuf, gzip), and so in turns with the order changed every round. Client and node share the machine, so what
is told is the median over rounds of the ratio of processor time of the process a request, with its quartiles; a third node without tokens says by
the same ratio how much of that is noise. `doorkeeper` is the look for a token alone, and `application` the whole way of such a read through the
application without a socket, with and without tokens in turns, all in microseconds of processor time.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import time
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from starlette.types import ASGIApp

from app.auth import ANYONE, Scope, Tokens, Wanted
from app.clock import utc_now
from app.main import Node
from app.settings import load_settings
from tests.api_builders import Api, a_prediction, put_prediction
from tests.app.ingest.requests import a_span, as_protobuf, traces

__all__ = ["main", "measure"]

_PORTS = {f"server.{name}_port": 0 for name in ("otlp_http", "otlp_grpc", "api")}
_SPANS = 512
_LOOKS = 20_000
_TURNS, _PER_TURN = 200, 100


class _Subject:
    """A node, and the two requests that it is asked."""

    def __init__(self, folder: Path, stack: ExitStack, *, demands: bool) -> None:
        settings = load_settings(
            None, data=folder, **_PORTS, **{"security.require_tokens": demands, "dashboard.enabled": False}
        )
        self.node = stack.enter_context(closing(Node(settings)))
        documents = self.node.store.documents
        self.headers: dict[str, str] = {}
        if demands:
            made = Tokens(documents, utc_now).add(Wanted("bench", [Scope.READ, Scope.INGEST], ["default"]), ANYONE)
            self.headers["Authorization"] = f"Bearer {made.text}"
        put_prediction(documents, a_prediction())
        served = self.node.start_servers()
        self._api, self._otlp = (HTTPConnection(urlsplit(url).netloc) for url in (served.api, served.otlp_http))
        packed = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}
        self._sent = self.headers | packed

    def read(self) -> None:
        """Ask for the prediction."""
        self._api.request("GET", "/api/v1/predictions/payment", headers=self.headers)
        answer = self._api.getresponse()
        body = answer.read()
        assert answer.status == 200, body

    def send(self, body: bytes) -> None:
        """Send spans."""
        self._otlp.request("POST", "/v1/traces", body=body, headers=self._sent)
        answer = self._otlp.getresponse()
        said = answer.read()
        assert answer.status == 200, said


def _cost_s(work: Callable[[], None], seconds: float) -> float:
    """Return the processor time of the process for one call."""
    n, until_s, begun_s = 0, time.perf_counter() + seconds, time.process_time()
    while time.perf_counter() < until_s:
        work()
        n += 1
    return (time.process_time() - begun_s) / n


async def _inside(apps: Mapping[str, ASGIApp], header: str) -> dict[str, float]:
    """Return the processor time of one read by application, the median over many short turns."""
    costs: dict[str, list[float]] = {name: [] for name in apps}
    path = "/api/v1/predictions/payment"
    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": ""}

    async def receive() -> dict[str, object]:
        return {"type": "http.request"}

    async def send(message: MutableMapping[str, Any]) -> None:
        assert message.get("status", 200) == 200, message

    for turn in range(2 * _TURNS):
        name = list(apps)[turn % 2]
        begun_s = time.process_time()
        for _ in range(_PER_TURN):
            await apps[name](dict(scope, headers=[(b"authorization", header.encode())]), receive, send)
        costs[name].append((time.process_time() - begun_s) / _PER_TURN)
    return {name: median(found) for name, found in costs.items()}


def measure(rounds: int, seconds: float) -> dict[str, Any]:
    """Return what was measured.

    Parameters
    ----------
    rounds : int
        At least 2.
    seconds : float
        Of each subject, way and round.
    """
    body = gzip.compress(as_protobuf(traces(*[a_span()] * _SPANS), "traces"), 6)
    with TemporaryDirectory() as folder, ExitStack() as stack:
        subjects = {
            name: _Subject(Path(folder) / name, stack, demands=name == "tokens") for name in ("tokens", "none", "none again")
        }
        found: dict[str, dict[str, list[float]]] = {way: {name: [] for name in subjects} for way in ("read", "ingest")}
        for each in subjects.values():
            _cost_s(each.read, seconds / 2)
            _cost_s(lambda each=each: each.send(body), seconds / 2)
        for number in range(rounds):
            names = list(subjects)
            for name in names[number % 3 :] + names[: number % 3]:
                each = subjects[name]
                found["read"][name].append(_cost_s(each.read, seconds))
                found["ingest"][name].append(_cost_s(lambda each=each: each.send(body), seconds))
        door, header = subjects["tokens"].node.doorkeeper, subjects["tokens"].headers["Authorization"]
        begun_s = time.process_time()
        for _ in range(_LOOKS):
            door.principal(header)
        look_s = (time.process_time() - begun_s) / _LOOKS
        documents = subjects["tokens"].node.store.documents
        inside = asyncio.run(_inside({"none": Api(documents).app, "tokens": Api(documents, doorkeeper=door).app}, header))
    told: dict[str, Any] = {"rounds": rounds, "seconds": seconds, "doorkeeper_us": 1e6 * look_s}
    told["application_us"] = {name: 1e6 * cost for name, cost in inside.items()}
    for way, costs in found.items():
        told[way] = {"none_us": 1e6 * median(costs["none"]), "tokens_us": 1e6 * median(costs["tokens"])}
        for name, other in (("ratio", "tokens"), ("noise", "none again")):
            ratios = [one / none for one, none in zip(costs[other], costs["none"], strict=True)]
            low, middle, high = quantiles(ratios, n=4)
            told[way][name] = {"median": middle, "low": low, "high": high}
    return told


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    told = measure(asked.rounds, asked.seconds)
    if asked.json:
        print(json.dumps(told))
        return
    inside = told["application_us"]
    print(f"the look for a token: {told['doorkeeper_us']:.2f} us")
    print(f"a read in the application: {inside['none']:.1f} us without, {inside['tokens']:.1f} us with tokens")
    for way in ("read", "ingest"):
        row = told[way]
        print(f"{way:7} {row['none_us']:8.0f} us without, {row['tokens_us']:8.0f} us with tokens, ", end="")
        for name in ("ratio", "noise"):
            one = row[name]
            print(f"{name} {one['median']:.3f} ({one['low']:.3f} to {one['high']:.3f})", end="  ")
        print()


if __name__ == "__main__":
    main()
