"""Real OTLP servers over a real store, for tests."""

from __future__ import annotations

import socket
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from time import time_ns

from app.ingest.codec import BatchMessage, unpack
from app.ingest.connections import server_of
from app.ingest.cors import Cors
from app.ingest.grpc_server import GrpcPlan, OtlpGrpc
from app.ingest.http import OtlpHttp
from app.ingest.limits import Limits
from app.ingest.otlp import Decode, decode
from app.ingest.receive import Receiver
from app.ingest.signals import Encoding, Signal
from app.settings import IngestSettings, ServerSettings, StoreSettings
from app.store.contract import Log
from app.store.sqlite import open_store
from app.telemetry import Telemetry
from features.batch import CHANNELS, Batch

_LIMITS = Limits()
CHANNEL = {name: place for place, name in enumerate(CHANNELS)}

__all__ = ["Bodies", "Ingest", "recorded", "refusals", "serve_grpc", "serve_http", "stored_log"]

Bodies = list[tuple[Signal, Encoding, bytes]]


def recorded(bodies: Bodies, decode: Decode = decode) -> Decode:
    """Return a decoder, which keeps every body for the other engine."""

    def decode_recorded(body: bytes, signal: Signal, encoding: Encoding, *, limits: Limits = _LIMITS) -> Batch:
        bodies.append((signal, encoding, body))
        return decode(body, signal, encoding, limits=limits)

    return decode_recorded


@dataclass
class Ingest:
    """A running server, its log and what it tells."""

    address: str
    log: Log
    telemetry: Telemetry
    receiver: Receiver
    bodies: Bodies

    def messages(self) -> list[BatchMessage]:
        """Return all messages of the log."""
        found = [unpack(entry.data) for part in range(self.log.n_partitions) for entry in self.log.read(part, 0)]
        return [message for message in found if isinstance(message, BatchMessage)]

    def total(self, name: str) -> float:
        """Return the sum of a channel over the log."""
        return sum(float(message.batch.counts[:, CHANNEL[name]].sum()) for message in self.messages())

    def sample(self, name: str, **labels: str) -> float | None:
        """Return a metric."""
        return self.telemetry.registry.get_sample_value(name, labels)


def refusals(ingest: Ingest, protocol: str) -> dict[str, float]:
    """Return how many requests of each signal were refused as to be tried again."""
    codes = {"http": ("429", "503"), "grpc": ("RESOURCE_EXHAUSTED", "UNAVAILABLE")}[protocol]
    counted = {
        (signal, code): ingest.sample("foreshock_requests_total", protocol=protocol, signal=signal, code=code) or 0
        for signal in ("logs", "metrics", "traces")
        for code in codes
    }
    return {signal: counted[signal, codes[0]] + counted[signal, codes[1]] for signal, _ in counted}


@contextmanager
def stored_log(folder: Path) -> Generator[Log, None, None]:
    store = open_store(folder, settings=StoreSettings(), max_in_flight_bytes=2**28, now=lambda: datetime.now(UTC))
    try:
        yield store.log
    finally:
        store.close()


@contextmanager
def serve_http(
    log: Log,
    limits: Limits,
    body_timeout_s: float = 60.0,
    settings: IngestSettings | None = None,
    decode: Decode = decode,
    server_settings: ServerSettings | None = None,
) -> Generator[Ingest, None, None]:
    telemetry = Telemetry()
    bodies: Bodies = []
    receiver = Receiver(log, telemetry, limits, time_ns, recorded(bodies, decode))
    settings = settings or IngestSettings()
    cors, max_calls = Cors(settings), settings.max_calls
    app = OtlpHttp(receiver, "default", body_timeout_s=body_timeout_s, cors=cors, max_calls=max_calls)
    listener = socket.create_server(("127.0.0.1", 0))
    open_to = server_settings or ServerSettings()
    server = server_of(app, open_to.keep_alive_s, open_to.max_connections)
    thread = Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield Ingest(f"127.0.0.1:{listener.getsockname()[1]}", log, telemetry, receiver, bodies)
    finally:
        server.should_exit = True
        thread.join()
        app.close()
        listener.close()


@contextmanager
def serve_grpc(log: Log, limits: Limits, decode: Decode = decode) -> Generator[Ingest, None, None]:
    telemetry = Telemetry()
    bodies: Bodies = []
    receiver = Receiver(log, telemetry, limits, time_ns, recorded(bodies, decode))
    server = OtlpGrpc(receiver, "default", "127.0.0.1:0", GrpcPlan(workers=4))
    try:
        yield Ingest(f"127.0.0.1:{server.port}", log, telemetry, receiver, bodies)
    finally:
        server.close()
