"""The parts of `benchmarks.bench` that need no server of ours: errors, predictions, memory, and the settings of decoding and of the log."""

from __future__ import annotations

import contextlib
import random
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, nullcontext
from datetime import UTC, datetime
from functools import partial
from itertools import cycle
from pathlib import Path

import numpy as np

from app.ingest.otlp import ENGINE, decoder
from app.placement import Candidate, placed
from app.settings import StoreSettings
from app.store.contract import Store
from app.store.jetstream import ClusterPlan, open_jetstream
from app.store.sqlite import open_store
from benchmarks.bench_measure import SCRATCH, Measure, called, measure, together
from benchmarks.learning import simulated
from benchmarks.otlp_bodies import templates
from features.batch import N_BUCKETS, N_CHANNELS, Batch, channel
from features.classify import classify, classify_event
from features.errors import MalformedBody
from features.event import ErrorRecord
from features.extract import extract
from features.fingerprint import Templates
from features.memory import Memory, MemoryPlan
from models.hazard import cumulate
from tests.cluster.servers import Accounts
from training.fit import fit

__all__ = ["coordination", "decoding", "errors", "log", "memory", "prediction"]

_N_SERIES = 5_000
_N_ROWS = 20_000
_BEGIN = 28_000_000  # a window of one minute
_MESSAGE = 20_000  # bytes of a log message, as `benchmarks.store` has it
_CALLERS = 12
_TURNS = 12
_PARTITIONS = 8
_NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def errors(seed: int) -> Iterator[Measure]:
    """Classify errors, and group their messages."""
    body = templates("traces", 512, 1.0, random.Random(seed))[0].fill(np.random.default_rng(seed), time.time_ns())
    records = decoder("python")(body, "traces", "protobuf").errors
    several = cycle(records)
    yield measure(("error handling", "classify one error"), called(lambda: classify(next(several))), each=(1, "errors"))
    known = Templates()
    when = _NOW

    def whole(record: ErrorRecord) -> None:
        classify_event(record, tenant="default", time=when, received_at=when, templates=known)

    yield measure(
        ("error handling", "classify, learn the template and name the group"),
        called(lambda: whole(next(several))),
        each=(1, "errors"),
    )
    broken = called(lambda: _refused(b"\x0a\xff" + body))
    yield measure(("error handling", "refuse a broken request"), broken, each=(1, "requests"))


def _refused(body: bytes) -> None:
    with contextlib.suppress(MalformedBody):
        decoder(ENGINE)(body, "traces", "protobuf")
        raise AssertionError("a broken body was taken")


def _filled(n: int, seed: int) -> Memory:
    """Return a memory that has seen an hour of many series."""
    rng, held = np.random.default_rng(seed), Memory(MemoryPlan(max_series=2 * n, max_series_per_tenant=2 * n))
    held.begin(_BEGIN)
    names = tuple((f"service {i % (n // 10)}", "*" if i < n // 10 else f"GET /{i}") for i in range(n))
    for tick in range(60):
        counts = np.zeros((n, N_CHANNELS))
        counts[:, channel("total")] = rng.poisson(50.0, n)
        counts[:, channel("failed")] = counts[:, channel("errors")] = rng.poisson(0.5, n)
        times = np.full(n, (_BEGIN + tick) * 60)
        held.add("default", 0, Batch("traces", n, names, np.arange(n), times, counts, np.zeros((n, N_BUCKETS))))
        held.advance(_BEGIN + tick + 1)
    return held


def memory(seed: int) -> Iterator[Measure]:
    """Hold an hour of many series, and close a tick of them."""
    tracemalloc.start()
    held = _filled(_N_SERIES, seed)
    taken = tracemalloc.get_traced_memory()[0] / 2**20
    tracemalloc.stop()
    tick = iter(range(_BEGIN + 61, _BEGIN + 10_000))
    took = called(lambda: held.advance(next(tick)))
    yield measure(("memory", f"close a tick of {_N_SERIES:,} series"), took, each=(_N_SERIES, "series"), mib=round(taken, 1))


def prediction(seed: int) -> Iterator[Measure]:
    """Make features of all series, and forecast three horizons for each."""
    held = _filled(_N_SERIES, seed)
    took = called(lambda: extract(held))
    yield measure(("prediction", f"features of {_N_SERIES:,} series"), took, each=(_N_SERIES, "series"))
    rows = simulated(_N_ROWS, seed)
    begun = time.perf_counter()
    fitted = fit(rows, seed=seed, jobs=2)
    yield measure(("prediction", f"fit of {_N_ROWS:,} rows"), [time.perf_counter() - begun], each=(_N_ROWS, "rows"))
    many, one = rows.x[:_N_SERIES], rows.x[:1]
    took = called(lambda: cumulate(fitted.ensemble.hazards(many)))
    yield measure(("prediction", f"forecast of {_N_SERIES:,} series x 3 horizons"), took, each=(_N_SERIES, "series"))
    took = called(lambda: cumulate(fitted.ensemble.hazards(one)))
    yield measure(("prediction", "forecast of one series x 3 horizons"), took, each=(1, "series"))


def decoding(seed: int) -> Iterator[Measure]:
    """Read requests in place, by the scanner in C, and through objects, by the reader in Python."""
    forms, rng = templates("traces", 512, 0.01, random.Random(seed)), np.random.default_rng(seed)
    bodies = cycle([form.fill(rng, time.time_ns()) for form in forms])
    engines = ("c", "python") if ENGINE == "c" else ("python",)
    for engine in engines:
        named = "in place (scanner in C)" if engine == "c" else "through objects (reader in Python)"
        decode = decoder(engine)
        took = called(partial(_decoded, decode, bodies))
        yield measure(("optimiser settings", f"zero-copy: 512 spans {named}"), took, each=(512, "spans"))


def _decoded(decode: Callable[..., Batch], bodies: Iterator[bytes]) -> None:
    decode(next(bodies), "traces", "protobuf")


def _opened(folder: Path, window_ms: float) -> Store:
    settings = StoreSettings.model_validate({"commit_window_ms": window_ms, "partitions": _PARTITIONS})
    return open_store(folder, settings=settings, max_in_flight_bytes=2**28, now=lambda: datetime.now(UTC))


def log(seed: int) -> Iterator[Measure]:
    """Append to the log: many callers in one flush, with and without waiting for each other, and one flush for each, in turns."""
    data, alone = random.Random(seed).randbytes(_MESSAGE), threading.Lock()
    ways = {
        "on (gathers up to 5 ms, tunes itself)": (5.0, False),
        "on, without waiting (0 ms)": (0.0, False),
        "off (a flush for each)": (0.0, True),
    }
    took: dict[str, list[float]] = {name: [] for name in ways}
    elapsed = dict.fromkeys(ways, 0.0)
    with ExitStack() as until:
        folder = Path(until.enter_context(tempfile.TemporaryDirectory(dir=SCRATCH)))
        stores = {
            name: until.enter_context(closing(_opened(folder / str(k), window_ms)))
            for k, (name, (window_ms, _)) in enumerate(ways.items())
        }
        for turn in range(_TURNS + 1):  # who else uses the disk meets all alike
            for name, (_, apart) in ways.items():

                def append(caller: int, store: Store = stores[name], apart: bool = apart) -> None:
                    with alone if apart else nullcontext():
                        store.log.append(caller % _PARTITIONS, "", data)

                each, whole = together(append, _CALLERS, 10)
                if turn:  # the first warms up
                    took[name] += each
                    elapsed[name] += whole
    for name in ways:
        title = ("optimiser settings", f"group commit {name}, {_CALLERS} callers")
        yield measure(title, took[name], elapsed=elapsed[name], each=(1, "appends"))


def coordination(seed: int) -> Iterator[Measure]:
    """Append to the log and write documents in a NATS server and in SQLite, and place partitions on members."""
    data = random.Random(seed).randbytes(_MESSAGE)
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        plan = ClusterPlan(_PARTITIONS, streams=2, replicas=1, window_s=0.001, max_in_flight_bytes=2**28, max_bytes=2**30)
        stores: dict[str, Callable[[], Store]] = {
            "SQLite": lambda: _opened(Path(folder), 5.0),
            "a NATS server": lambda: open_jetstream(Accounts().connect(Path(folder)), plan, lambda: datetime.now(UTC)),
        }
        for name, opened in stores.items():
            with closing(opened()) as store:

                def append(caller: int, store: Store = store) -> None:
                    store.log.append(caller % _PARTITIONS, "", data)

                def put(caller: int, store: Store = store) -> None:
                    store.documents.put("members", f"default/m{caller}", data[:500])

                together(append, _CALLERS, 5)
                for what, call, unit in (("append to the log", append, "appends"), ("write a document", put, "documents")):
                    took, elapsed = together(call, _CALLERS, 40)
                    title = ("distributed coordination", f"{what} in {name}, {_CALLERS} callers")
                    yield measure(title, took, elapsed=elapsed, each=(1, unit))
    members = [Candidate(f"node-{number}") for number in range(64)]
    took = called(lambda: placed(640, members), seconds=1.0)
    yield measure(("distributed coordination", "place 640 partitions on 64 members"), took, each=(640, "partitions"))
