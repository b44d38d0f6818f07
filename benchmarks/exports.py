"""What it costs to show the probabilities of many services to Prometheus, and to send them over OTLP.

    python -m benchmarks.exports [--services 10000] [--operations 3] [--most 1000] [--seed 0] [--json] [--out FILE]

A watch holds a prediction of every service and of some operations of each, with random risks. Measured are the CPU seconds of the
process for a look at `/metrics` after all predictions changed, as once a tick, and after none did; with the limit, and with none; the bytes of
the page; and of one export to a receiver in a thread of the same process, which answers at once.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry, generate_latest

from app.cache.documents import prediction_document, prediction_key
from app.cache.news import News
from app.export_settings import ExportSettings
from app.exports.chances import Chances
from app.exports.exposition import Exposition
from app.exports.otlp import OtlpExport
from app.store.contract import Document
from app.store.watched import Change, WatchedBucket
from app.telemetry import Telemetry
from benchmarks.answers import answers_as_json, deliver
from features.series import WHOLE, SeriesKey
from models.prediction import AnomalyScore, Chance, Prediction, Reason

__all__ = ["main"]

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def predict(watch: WatchedBucket, services: int, operations: int, rng: np.random.Generator) -> None:
    """Let a new prediction of every series come."""
    names = (WHOLE, *(f"GET /{n}" for n in range(operations)))
    for service in range(services):
        for name in names:
            risk = float(rng.random())
            series = SeriesKey("default", f"service-{service}", name)
            horizons = {
                horizon: Chance(risk * share, 0.0, risk) for horizon, share in (("5min", 0.3), ("15min", 0.6), ("60min", 1.0))
            }
            prediction = Prediction(
                f"{service}-{name}-{risk}", series, NOON, NOON + timedelta(minutes=3), "ok", horizons, (),
                (Reason("errors rise", "errors", 1.0),), AnomalyScore(0.5, 1.0, 1.0, 0.0, 2.0), "prior",
            )  # fmt: skip
            document = Document(prediction_key(series), prediction_document(prediction), int(rng.integers(1, 2**60)))
            watch.apply([Change("predictions", document.key, document, None)])


def cpu_s(work: Callable[[], object]) -> float:
    """Return the CPU seconds of some work."""
    begin = time.process_time()
    work()
    return round(time.process_time() - begin, 4)


def sent_s(chances: Chances, most: int) -> float:
    """Return the CPU seconds of one export, receiver included."""

    class Taken(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    with HTTPServer(("127.0.0.1", 0), Taken) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        settings = ExportSettings(otlp_endpoint=f"http://127.0.0.1:{server.server_port}", max_series=most)
        export = OtlpExport(chances, lambda _tenant, _service: True, settings, "1", Telemetry())
        found = cpu_s(export.send)
        export.close()
        server.shutdown()
        thread.join()
    return found


def measure(services: int, operations: int, most: int, rng: np.random.Generator) -> dict[str, dict[str, float]]:
    """Return what each look costs, with the limit and without."""
    answer: dict[str, dict[str, float]] = {}
    predictions, models, feedback = (WatchedBucket(lambda: 0.0, lambda _: None) for _ in range(3))
    chances = Chances(predictions, News(models, feedback), lambda: NOON)
    for name, shown in (("limited", most), ("all", services)):
        registry = CollectorRegistry()
        registry.register(Exposition(chances, shown))
        predict(predictions, services, operations, rng)
        changed_s = cpu_s(lambda registry=registry: generate_latest(registry))
        answer[name] = {
            "changed_cpu_s": changed_s,
            "same_cpu_s": cpu_s(lambda registry=registry: generate_latest(registry)),
            "page_bytes": len(generate_latest(registry)),
            "otlp_cpu_s": sent_s(chances, shown),
        }
    return answer


def main() -> None:
    """Measure, and print or write what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--services", type=int, default=10_000)
    parser.add_argument("--operations", type=int, default=3)
    parser.add_argument("--most", type=int, default=1000)
    answers_as_json(parser)
    asked = parser.parse_args()
    found = measure(asked.services, asked.operations, asked.most, np.random.default_rng(asked.seed))
    for name, row in found.items():
        print(name, ", ".join(f"{key} {value:.4g}" for key, value in row.items()), file=sys.stderr)
    deliver(asked, services=asked.services, operations=asked.operations, most=asked.most, **found)


if __name__ == "__main__":
    main()
