"""How much of what one node sees two nodes see, without and with summaries of each other's services, and what that costs.

    python -m benchmarks.summaries [--minutes 360] [--services 1000] [--seed 0] [--json] [--out FILE]

The demo shop goes through one Flow that holds all partitions, and twice through two Flows that hold every second one: once saying
nothing to each other, once handing on after each tick the summaries that a node publishes and finding them before the next. Compared are
the feature matrices as of every tick after the first hour, series by series, and the incidents that began. A value differs where it is
further off than a millionth of its size and a millionth.

What it costs is measured on a population of `benchmarks.scale_population` with ten series a service, in two Memories: bytes of the packed
summaries of a tick by service, and CPU seconds to make and pack them, and to unpack and hear those of the other node.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np

from app.demo.render import requests
from app.demo.simulate import Shop
from app.flow import Flow, FlowPlan
from app.ingest.codec import BatchMessage, unpack
from app.ingest.otlp import decode
from app.ingest.receive import messages_of
from app.summaries import BUCKET, pack
from app.summaries import unpack as unpack_summary
from app.telemetry import Telemetry
from benchmarks.answers import answers_as_json, deliver
from benchmarks.scale_population import PARTITIONS, START_TICK, TENANT, Population
from features.afar import Afar, Summary
from features.arrays import Float32Array
from features.extract import SCHEMA, extract
from features.memory import Memory, MemoryPlan
from features.summary import summarise

__all__ = ["main"]

_PARTITIONS = 16  # two of them join span ends
_WARM_MINUTES = 60
_FAULTS_A_DAY = 24.0
_COST_TICKS, _COST_WARM = 5, 65
_SERIES_A_SERVICE = 16.6  # of that population
_NEAR = 1e-6
_START = datetime(2026, 3, 2, 9, tzinfo=UTC)


class _Cluster:
    """Flows that hold partitions between them."""

    def __init__(self, n: int, *, tell: bool) -> None:
        self.owned = [range(first, _PARTITIONS, n) for first in range(n)]
        self.flows = [Flow(FlowPlan(), Telemetry()) for _ in range(n)]
        self.tell = tell
        self.told: list[Summary] = []
        self.began: set[tuple[str, int]] = set()

    def minute(self, messages: list[tuple[int, BatchMessage]], tick: int) -> None:
        told: list[Summary] = []
        for flow, owned in zip(self.flows, self.owned, strict=True):
            for partition, message in messages:
                if partition in owned:
                    flow.absorb(partition, message)
            flow.memory.begin(tick - 1)
            flow.hear([one for one in self.told if one.partition not in owned] if self.tell else None)
            outputs = flow.forecast(tick, dict.fromkeys(owned, tick), publish=self.tell)
            told += [unpack_summary(o.value) for made in outputs.values() for o in made if o.bucket == BUCKET and o.value]
            began = flow.memory.onsets.columns["open_since"]
            self.began |= {(str(flow.memory.directory.keys[row]), int(began[row])) for row in np.flatnonzero(began >= 0)}
            flow.chronicle.clear()
        self.told = told

    def rows(self) -> dict[str, Float32Array]:
        """Return features as of the last tick by series."""
        return {str(k): x for flow in self.flows for k, x in zip(flow.memory.directory.keys, extract(flow.memory), strict=True)}


def shop_minutes(minutes: int, seed: int) -> Iterator[tuple[int, list[tuple[int, BatchMessage]]]]:
    """Yield the messages of each minute of the shop with the tick that begins at its end."""
    shop = Shop(seed, minutes / 1440, _FAULTS_A_DAY, _START)
    for number in range(minutes):
        end_s = int(shop.time(number + 1).timestamp())
        found: list[tuple[int, BatchMessage]] = []
        for signal, body in requests(shop.minute(number)):
            batch = decode(body, signal, "protobuf")  # pyright: ignore[reportArgumentType] - the three signals by name
            for partition, _, data in messages_of(batch, "default", body, end_s * 10**9 - 1, _PARTITIONS):
                message = unpack(data)
                assert isinstance(message, BatchMessage)
                found.append((partition, message))
        yield end_s // 60, found


def agreement(minutes: int, seed: int) -> dict[str, Any]:
    """Return how much two nodes see otherwise than one."""
    alone = _Cluster(1, tell=False)
    others = {"without": _Cluster(2, tell=False), "with": _Cluster(2, tell=True)}
    apart = {name: np.zeros(len(SCHEMA.names)) for name in others}
    far = {name: np.zeros(len(SCHEMA.names)) for name in others}
    n, size = 0, np.zeros(len(SCHEMA.names))
    for number, (tick, messages) in enumerate(shop_minutes(minutes, seed)):
        for cluster in (alone, *others.values()):
            cluster.minute(messages, tick)
        if number < _WARM_MINUTES:
            continue
        expected = alone.rows()
        truth = np.stack(list(expected.values())).astype(float)
        n, size = n + len(truth), size + np.abs(truth).sum(0)
        for name, cluster in others.items():
            rows = cluster.rows()
            off = np.abs(np.stack([rows[key] for key in expected]) - truth)
            apart[name] += (off > _NEAR * (1.0 + np.abs(truth))).sum(0)
            far[name] += off.sum(0)
    names = np.array(SCHEMA.names)
    found: dict[str, Any] = {"rows": n, "columns": len(names), "services": len(alone.flows[0].memory.services())}
    found["owned"] = [len(flow.memory.services()) for flow in others["with"].flows]
    for name, cluster in others.items():
        columns = np.flatnonzero(apart[name])
        found[name] = {
            "columns": {
                str(names[c]): {
                    "share_of_rows": float(apart[name][c] / n),
                    "mean_off": float(far[name][c] / n),
                    "mean_size": float(size[c] / n),
                }
                for c in columns.tolist()
            },
            "incidents_more": len(cluster.began - alone.began),
            "incidents_less": len(alone.began - cluster.began),
        }
    return found | {"incidents": len(alone.began)}


def cost(services: int, seed: int) -> dict[str, Any]:
    """Return what summaries cost of two nodes that hold half of a population each."""
    n_series = int(services * _SERIES_A_SERVICE)
    population = Population(n_series, seed)
    owned = [range(0, PARTITIONS, 2), range(1, PARTITIONS, 2)]
    memories = [Memory(MemoryPlan(max_series=2 * n_series, max_series_per_tenant=2 * n_series)) for _ in owned]
    seconds: dict[str, float] = dict.fromkeys(("tick", "extract", "summarise", "pack", "unpack", "hear"), 0.0)
    packed: list[list[bytes]] = [[], []]
    for number in range(_COST_WARM + _COST_TICKS):
        tick, timed = START_TICK + number, number >= _COST_WARM

        def took(part: str, act: Callable[[], Any], *, timed: bool = timed) -> Any:
            began = time.process_time()
            result = act()
            seconds[part] += (time.process_time() - began) * timed
            return result

        messages = list(population.messages(tick))
        for place, memory in enumerate(memories):
            memory.begin(tick)
            for partition, message in messages:
                if partition in owned[place]:
                    memory.add(TENANT, partition, message.batch)
            theirs = packed[1 - place]
            heard = took("unpack", lambda theirs=theirs: [unpack_summary(data) for data in theirs])
            took("hear", lambda memory=memory, heard=heard: setattr(memory, "afar", Afar(heard, memory.tick)))
            took("tick", lambda memory=memory, tick=tick: memory.advance(tick + 1))
            took("extract", lambda memory=memory: extract(memory))
        for place, memory in enumerate(memories):
            told = took("summarise", lambda memory=memory: summarise(memory))
            packed[place] = took("pack", lambda told=told: [pack(one) for one in told])
    edges = sum(len(one.edges) for memory in memories for one in summarise(memory))
    n_bytes = sum(len(data) for node in packed for data in node)
    return {
        "services": population.n_services,
        "series": population.n_series,
        "edges": edges,
        "documents": sum(map(len, packed)),
        "bytes": n_bytes,
        "bytes_a_service": n_bytes / population.n_services,
        "seconds_a_tick_and_node": {part: total / _COST_TICKS / len(memories) for part, total in seconds.items()},
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=360)
    parser.add_argument("--services", type=int, default=1000)
    answers_as_json(parser)
    asked = parser.parse_args()
    seen, costs = agreement(asked.minutes, asked.seed), cost(asked.services, asked.seed)
    for name in ("without", "with"):
        _tell(name, seen[name], seen["columns"])
    for name, value in costs.items():
        print(f"{name}: {value}", file=sys.stderr)
    deliver(asked, agreement=seen, cost=costs)


def _tell(name: str, found: Mapping[str, Any], n_columns: int) -> None:
    print(f"{name} summaries {len(found['columns'])} of {n_columns} columns differ:", file=sys.stderr)
    for column, off in found["columns"].items():
        said = f"{off['share_of_rows']:7.2%} of rows, off by {off['mean_off']:.4g} where the mean is {off['mean_size']:.4g}"
        print(f"  {column:28} {said}", file=sys.stderr)
    print(f"  incidents: {found['incidents_more']} more, {found['incidents_less']} less", file=sys.stderr)


if __name__ == "__main__":
    main()
