"""Which faults of simulated shops an alert budget announces, how early, and what else it pays for.

    python -m benchmarks.shop_faults [--seeds 2001-2010] [--days 60] [--faults-a-day 1.5] [--budget 2] [--keep DIR] [--json] [--out FILE]

Each seed is a shop of its own (`app.demo`, as issue 2 froze it). Its telemetry goes through the line of the service, minute by minute:
OTLP requests, decoder, messages of the log, Memory, features, rule; only the log's disk is left out. Rows are of whole services, every
second minute. At 1.5 faults a day just under one a day has warning signs, so that twenty of them are there to learn from when the first
forecast is judged: a third of the time goes before the first of four folds, each forecast by what lies before it
(`training.walkforward`), corrected by outcomes as they come, with thresholds that follow what was said.

Alerts of all services within an hour are one page, since the shop is one system; the budget is pages a day, right or wrong. A fault is
announced when a service that it will reach stands above the threshold in the hour before its errors begin; the lead is from the first
such minute. Per seed and for all: the recall of faults with warning signs and its lead, the share of faults without warning signs before
which the same is true by chance, pages a day, and how many decoys (traffic spikes and others) have a page of their own.
"""

from __future__ import annotations

import argparse
import json
import pickle
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from app.chronicle import Chronicle
from app.demo.faults import Fault
from app.demo.render import requests
from app.demo.simulate import Shop
from app.flow import Flow, FlowPlan
from app.ingest.codec import BatchMessage, unpack
from app.ingest.otlp import decode
from app.ingest.receive import messages_of
from app.telemetry import Telemetry
from training.dataset import Gathering
from training.rows import Rows

__all__ = ["Simulated", "simulate"]

_BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
_STRIDE = 2  # minutes between two rows of a service


@dataclass(frozen=True, slots=True, eq=False)
class Simulated:
    """What the line made of a shop, and the truth about it."""

    rows: Rows
    truth: tuple[Fault, ...]
    decoys: tuple[Fault, ...]


def simulate(seed: int, days: float, faults_a_day: float) -> Simulated:
    """Send a shop's telemetry through the line, without a disk."""
    shop = Shop(seed, days, faults_a_day, _BEGIN)
    flow = Flow(FlowPlan(), Telemetry())
    gathering = Gathering(flow.memory, stride=_STRIDE, services=True)
    tick_s = flow.plan.memory.tick_s
    for number in range(shop.n_minutes):
        end_s = int(shop.time(number + 1).timestamp())
        for signal, body in requests(shop.minute(number)):
            batch = decode(body, signal, "protobuf")  # pyright: ignore[reportArgumentType] - the three signals by name
            for partition, _, data in messages_of(batch, "default", body, end_s * 10**9 - 1, 1):
                message = unpack(data)
                assert isinstance(message, BatchMessage)
                flow.absorb(partition, message)
        gathering.add(flow.memory.advance(end_s // tick_s).standing)
        flow.chronicle = Chronicle()  # nothing goes to history
        for errors in flow.errors.values():
            errors.repeats.forget(end_s // tick_s)
            errors.recent.cut()
    return Simulated(gathering.dataset().rows, shop.truth(), shop.decoys())


def _kept(seed: int, asked: argparse.Namespace) -> Simulated:
    """Return a simulated shop, from the folder of those that were kept where it is there."""
    path = asked.keep / f"shop-{seed}-{asked.days:g}-{asked.faults_a_day:g}.pickle" if asked.keep else None
    if path is not None and path.exists():
        return pickle.loads(path.read_bytes())  # noqa: S301 - our own file
    begun = time.perf_counter()
    made = simulate(seed, asked.days, asked.faults_a_day)
    print(f"shop {seed}: {time.perf_counter() - begun:.0f} s to simulate", file=sys.stderr, flush=True)
    if path is not None:
        path.write_bytes(pickle.dumps(made))
    return made
