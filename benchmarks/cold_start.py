"""From nothing to a calibrated forecast on one day of recorded telemetry: how long it takes, and how good it is afterwards.

    nice -n 19 python -m benchmarks.cold_start [--seeds 3] [--hours 12] [--json] [--out FILE]

A day of the simulated shop is written as the Collector's file exporter writes it (OTLP/JSON lines, gzipped). Then what a newcomer does is
timed, as commands: ``foreshock replay`` into an empty folder and ``foreshock train`` on it. The hours that follow are replayed into the
same folder, with the trained model serving (or the prior, where the gate refused it), and the predictions that were published are scored
against the incidents that the rule found: average precision, Brier skill against the day's own base rate, calibration error. The time of
the first prediction that is marked ``ok`` is counted from the first line of the first command. The shop has 24 faults a day by default, so
that a day holds enough incidents to learn from; ``--faults-per-day`` shows what fewer do.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from app.demo.beside import beside
from app.demo.render import requests
from app.demo.simulate import Shop
from app.folder import open_folder
from benchmarks.answers import answers_as_json, deliver
from models.calibration import ece
from models.hazard import reached
from training.bootstrap import average_precision

__all__ = ["main"]

_REQUESTS = {"traces": ExportTraceServiceRequest, "logs": ExportLogsServiceRequest, "metrics": ExportMetricsServiceRequest}
_IDS = ("traceId", "spanId", "parentSpanId")
_COLUMNS = {"5min": "p5", "15min": "p15", "60min": "p60"}
_SERVED_S = 300.0
_MINUTES_A_DAY = 1440


def write_lines(path: Path, shop: Shop, minutes: range) -> None:
    """Write minutes as the Collector's file exporter does."""
    with gzip.open(path, "wt", compresslevel=1, encoding="utf-8") as file:
        for number in minutes:
            for kind, body in requests(shop.minute(number)):
                document = MessageToDict(_REQUESTS[kind].FromString(body), use_integers_for_enums=True)
                _hex_ids(document)
                file.write(json.dumps(document, separators=(",", ":")) + "\n")


def _hex_ids(node: Any) -> None:
    """Write ids in hexadecimal, as OTLP/JSON has them, where protobuf's own JSON has base64."""
    if isinstance(node, list):
        for item in node:
            _hex_ids(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key in _IDS:
                node[key] = base64.b64decode(value).hex()
            else:
                _hex_ids(value)


def command(*words: str) -> tuple[float, dict[str, Any]]:
    """Run a command of ``foreshock`` and return its seconds and what it reports."""
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "app.cli", *words, "--json"], check=True, capture_output=True)
    return time.monotonic() - begun, json.loads(done.stdout)


def first_ok(folder: Path) -> float | None:
    """Start the service on a copy of a folder and return the seconds until a prediction is marked ``ok``, None without one."""
    begun = time.monotonic()
    with beside(folder.with_suffix(".log"), "serve", "--data", str(folder)) as (_, url):
        while time.monotonic() < begun + _SERVED_S:
            try:
                if httpx.get(f"{url}/api/v1/predictions?status=ok&limit=1").raise_for_status().json()["items"]:
                    return time.monotonic() - begun
            except httpx.HTTPError:
                pass
            time.sleep(0.2)
        return None


def quality(folder: Path, since_s: int) -> dict[str, Any]:
    """Score what was served since a time against the incidents that were found."""
    with open_folder(folder) as held:
        rows = held.dataset().rows
        served = held.history.read("predictions", since=since_s, tenant="default").to_pandas()
    y, at_risk = rows.targets()
    hit, known = reached(y, at_risk)
    truth = pd.DataFrame(
        {
            "service": [rows.keys[code].service for code in rows.series],
            "operation": [rows.keys[code].operation for code in rows.series],
            "as_of": rows.as_of_s,
            "row": np.arange(len(rows.as_of_s)),
        }
    )
    joined = served.merge(truth[truth["as_of"] >= since_s], on=["service", "operation", "as_of"])
    found: dict[str, Any] = {"statuses": served["status"].value_counts().to_dict()}
    for j, (horizon, column) in enumerate(_COLUMNS.items()):
        usable = known[joined["row"], j] & joined["status"].isin(["ok", "prior"]).to_numpy()
        p, outcome = joined[column].to_numpy(np.float64)[usable], hit[joined["row"], j][usable]
        base = float(outcome.mean()) if len(outcome) else 0.0
        found[horizon] = {
            "rows": len(p),
            "base_rate": base,
            "ap": average_precision(p, outcome),
            "brier_skill": 1.0 - float(((p - outcome) ** 2).mean() / max(base * (1.0 - base), 1e-12)),
            "ece": ece(p, outcome),
        }
    return found


def cold_start(seed: int, hours: float, faults_per_day: float) -> dict[str, Any]:
    """Begin with nothing but a recorded day, once."""
    start = (datetime.now(UTC) - timedelta(days=1)).replace(second=0, microsecond=0)
    shop = Shop(seed, 1.0 + hours / 24.0, faults_per_day, start)
    with tempfile.TemporaryDirectory() as name:
        data, day, rest = Path(name) / "data", Path(name) / "day.jsonl.gz", Path(name) / "rest.jsonl.gz"
        write_lines(day, shop, range(_MINUTES_A_DAY))
        write_lines(rest, shop, range(_MINUTES_A_DAY, _MINUTES_A_DAY + round(hours * 60)))
        replay_s, replayed = command("replay", str(day), "--data", str(data))
        train_s, trained = command("train", "--data", str(data))
        shutil.copytree(data, Path(name) / "copy")
        served_s = first_ok(Path(name) / "copy") if trained["promoted"] else None
        command("replay", str(rest), "--data", str(data))
        return {
            "seed": seed,
            "megabytes": round(day.stat().st_size / 1e6, 1),
            "records": sum(replayed["records"].values()),
            "incidents": trained["incidents"],
            "replay_s": round(replay_s, 1),
            "train_s": round(train_s, 1),
            "serve_s": served_s and round(served_s, 1),
            "first_ok_s": served_s and round(replay_s + train_s + served_s, 1),
            "promoted": trained["promoted"],
            "after": quality(data, int(start.timestamp()) + _MINUTES_A_DAY * 60),
        }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="shops")
    parser.add_argument("--hours", type=float, default=12.0, help="hours after the day, on which forecasts are scored")
    parser.add_argument("--faults-per-day", type=float, default=24.0, help="expected faults a day")
    answers_as_json(parser)
    asked = parser.parse_args()
    shops: list[dict[str, Any]] = []
    for seed in range(1, asked.seeds + 1):
        shops.append(cold_start(seed, asked.hours, asked.faults_per_day))
        print(json.dumps(shops[-1]), file=sys.stderr, flush=True)
    deliver(asked, shops=shops, load=os.getloadavg())


if __name__ == "__main__":
    main()
